"""Training the router's classifier on a team's own prompts: which are enough, and what came of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from typing import NamedTuple

import msgspec

from penstock_suite.domain.failure import Misconfigured
from penstock_suite.domain.routing_evaluation import COMPLEXITIES, Prompt

LEAST_OF_A_TASK = 10
"""Of fewer nothing is learned, nor can it be judged by folds."""


class RouterTraining(msgspec.Struct, frozen=True, kw_only=True):
    """What came of it. Accuracies of the new weights are by five folds, each judged by what has not seen it.

    Those of the shipped weights, on the same prompts, are None where a prompt has a task that they do not know.
    """

    prompts: int
    by_feedback: int
    """Prompts with a label that feedback has given."""
    without_label: int
    """Prompts that nothing was learned of, as neither the dataset nor feedback says what they are."""
    also: int
    tasks: list[str]
    task_accuracy: float
    complexity_accuracy: float
    shipped_task_accuracy: float | None
    shipped_complexity_accuracy: float
    version: str
    output: str
    bytes: int


class Said(msgspec.Struct, frozen=True):
    """Of what somebody said of an answer, what labels its prompt."""

    generation_id: str
    tags: dict[str, str] = {}


class Labels(NamedTuple):
    """Prompts that have both labels, how many have one of feedback, and how many are left out for want of one."""

    prompts: list[Prompt]
    by_feedback: int
    without_label: int


def labelled(prompts: Sequence[Prompt], said: Sequence[Said]) -> Labels:
    """Return the prompts with the tags `task` and `complexity` of the feedback on their answers, the newest first in ``said``.

    What feedback says goes before what the dataset does: it was said by whoever saw the answer.

    Raises:
        Misconfigured: for a complexity that is none, of an answer to one of the prompts.
    """
    tags = _tags_of(said, {bare for prompt in prompts if (bare := _bare(prompt.generation_id))})
    for bare, each in tags.items():
        if each.get("complexity", COMPLEXITIES[0]) not in COMPLEXITIES:
            told = (
                f"complexity is one of {', '.join(COMPLEXITIES)}, not '{each['complexity']}' as feedback says of {bare}"
            )
            raise Misconfigured(f"{told}; a newer word of it counts, or remove that one from the file")
    known = [msgspec.structs.replace(prompt, **tags.get(_bare(prompt.generation_id), {})) for prompt in prompts]
    whole = [prompt for prompt in known if prompt.task is not None and prompt.complexity is not None]
    found = sum(1 for prompt in whole if _bare(prompt.generation_id) in tags)
    return Labels(whole, found, len(known) - len(whole))


def _tags_of(said: Sequence[Said], asked: Collection[str]) -> dict[str, dict[str, str]]:
    """Return the labels of the answers that were ``asked``, by their bare ids; the first word of each counts."""
    tags: dict[str, dict[str, str]] = {}
    for one in said:
        labels = {name: value for name, value in one.tags.items() if name in ("task", "complexity")}
        if labels and (bare := _bare(one.generation_id)) in asked:
            tags[bare] = {**labels, **tags.get(bare, {})}
    return tags


def _bare(answer_id: str) -> str:
    """Return an answer's id without what a format puts before it, such as `chatcmpl-`; it has none of these signs itself."""
    return answer_id.replace("_", "-").rpartition("-")[2]


def tasks_of(prompts: Sequence[Prompt]) -> list[str]:
    """Return the tasks of labelled prompts, the most frequent first.

    Raises:
        Misconfigured: for a prompt without a label, or a task or a complexity of which there are too few.
    """
    bare = next((prompt for prompt in prompts if prompt.task is None or prompt.complexity is None), None)
    if bare is not None:
        raise Misconfigured(f"the prompt '{bare.id}' lacks a label: training takes task and complexity of each")
    tasks = Counter(str(prompt.task) for prompt in prompts)
    few = [f"{task} ({count})" for task, count in tasks.items() if count < LEAST_OF_A_TASK]
    if few:
        raise Misconfigured(
            f"of each task {LEAST_OF_A_TASK} prompts are the least; there are fewer of {', '.join(few)}"
        )
    if len(tasks) == 1:
        raise Misconfigured("all prompts are of one task, so that there is nothing to tell apart")
    missing = [level for level in COMPLEXITIES if not any(prompt.complexity == level for prompt in prompts)]
    if missing:
        raise Misconfigured(f"no prompt is of the complexity {' or '.join(missing)}, which could then never be seen")
    return [task for task, _ in tasks.most_common()]
