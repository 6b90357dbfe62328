"""Judging the router's classifier by labelled prompts: what it takes them for, and whether its confidence is right."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, cast

import msgspec

from penstock_suite.domain.failure import Misconfigured
from penstock_suite.domain.interval import Share, share

COMPLEXITIES = ("low", "medium", "high")
# Of equal width, over confidences from 0 to 1.
_BINS = 10


class Prompt(msgspec.Struct, frozen=True):
    """A prompt, and what it is; a label that is None is not judged."""

    id: str
    prompt: str
    task: str | None = None
    complexity: str | None = None
    generation_id: str = ""
    """Of the answer that it had, by which feedback finds it."""


class Read(NamedTuple):
    """What a prompt was taken for, how sure of it the classifier was, and how long it took after the vector."""

    task: str
    complexity: str
    task_confidence: float
    complexity_confidence: float
    abstains: bool
    by_vector: bool
    microseconds: float


class RoutingEvaluation(msgspec.Struct, frozen=True, kw_only=True):
    """What was found. Ratios and errors are None where nothing has that label; intervals are Wilson's, 95 %.

    Accuracies count prompts of which the classifier abstains, too; ``decided_*`` leave them out.
    ``confusion``: how often a task, or a complexity, was taken for another, by the label and then by what it was taken for.
    """

    prompts: int
    task_accuracy: float | None
    complexity_accuracy: float | None
    decided_task_accuracy: float | None
    decided_complexity_accuracy: float | None
    abstained_ratio: float
    by_vector_ratio: float
    task_calibration_error: float | None
    complexity_calibration_error: float | None
    confusion: dict[str, dict[str, dict[str, int]]]
    intervals: dict[str, Share]
    p50_us: float
    p95_us: float
    p99_us: float
    setting: dict[str, Any]


def read_prompts(content: bytes, tasks: Sequence[str] | None) -> list[Prompt]:
    """Return the prompts of a file of JSON lines, whose tasks are some of these; None: any.

    Raises:
        Misconfigured: for the first line that is no prompt, or has a label that the classifier does not know.
    """
    prompts: list[Prompt] = []
    lines: dict[str, int] = {}
    for line, text in enumerate(content.removeprefix(b"\xef\xbb\xbf").split(b"\n"), 1):
        if not text.strip():
            continue
        prompt = _prompt(line, text, tasks)
        if prompt.id in lines:
            raise Misconfigured(f"line {line}: the id '{prompt.id}' is that of line {lines[prompt.id]}")
        lines[prompt.id] = line
        prompts.append(prompt)
    if not prompts:
        raise Misconfigured("the dataset has no prompts")
    return prompts


def _prompt(line: int, text: bytes, tasks: Sequence[str] | None) -> Prompt:
    try:
        said: Any = msgspec.json.decode(text)
        if not isinstance(said, dict):
            raise msgspec.ValidationError("Expected `object`")
        prompt = msgspec.convert({"id": str(line), **cast("dict[str, Any]", said)}, Prompt)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise Misconfigured(f"line {line} is no prompt: {error}") from None
    if not prompt.prompt.strip():
        raise Misconfigured(f"line {line} is no prompt: it is empty")
    for name, label, known in (("task", prompt.task, tasks), ("complexity", prompt.complexity, COMPLEXITIES)):
        if label is not None and known is not None and label not in known:
            raise Misconfigured(f"line {line}: {name} is one of {', '.join(known)}, not '{label}'")
    return prompt


def evaluation(prompts: Sequence[Prompt], read: Sequence[Read], setting: Mapping[str, Any]) -> RoutingEvaluation:
    """Return what was found of the prompts, read in their order."""
    both = list(zip(prompts, read, strict=True))
    tasks = [(one.task, seen.task, seen.task_confidence, seen.abstains) for one, seen in both if one.task]
    complexities = [
        (one.complexity, seen.complexity, seen.complexity_confidence, seen.abstains)
        for one, seen in both
        if one.complexity
    ]
    times = sorted(seen.microseconds for seen in read)
    counted = {"task_accuracy": _right(tasks), "complexity_accuracy": _right(complexities)}
    return RoutingEvaluation(
        prompts=len(prompts),
        task_accuracy=counted["task_accuracy"].ratio,
        complexity_accuracy=counted["complexity_accuracy"].ratio,
        decided_task_accuracy=_right([one for one in tasks if not one[-1]]).ratio,
        decided_complexity_accuracy=_right([one for one in complexities if not one[-1]]).ratio,
        abstained_ratio=round(sum(seen.abstains for seen in read) / len(read), 6),
        by_vector_ratio=round(sum(seen.by_vector for seen in read) / len(read), 6),
        task_calibration_error=_calibration_error(tasks),
        complexity_calibration_error=_calibration_error(complexities),
        confusion={"task": _confusion(tasks), "complexity": _confusion(complexities)},
        intervals=counted,
        p50_us=_quantile(times, 0.5),
        p95_us=_quantile(times, 0.95),
        p99_us=_quantile(times, 0.99),
        setting=dict(setting),
    )


# A label, what it was taken for, how sure that was, and whether the classifier abstained.
_Judged = tuple[str, str, float, bool]


def _right(judged: Sequence[_Judged]) -> Share:
    return share(sum(label == taken for label, taken, _, _ in judged), len(judged))


def _confusion(judged: Sequence[_Judged]) -> dict[str, dict[str, int]]:
    counts: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for label, taken, _, _ in judged:
        counts[label][taken] += 1
    return {label: dict(sorted(taken.items())) for label, taken in sorted(counts.items())}


def _calibration_error(judged: Sequence[_Judged]) -> float | None:
    """Return how far confidence is from the share that is right, on average over bins of confidence (ECE)."""
    if not judged:
        return None
    bins: dict[int, list[tuple[float, bool]]] = defaultdict(list)
    for label, taken, confidence, _ in judged:
        bins[min(int(confidence * _BINS), _BINS - 1)].append((confidence, label == taken))
    off = sum(abs(sum(confidence - right for confidence, right in found)) for found in bins.values())
    return round(off / len(judged), 6)


def _quantile(ordered: Sequence[float], share_below: float) -> float:
    return round(ordered[min(len(ordered) - 1, int(len(ordered) * share_below))], 1)
