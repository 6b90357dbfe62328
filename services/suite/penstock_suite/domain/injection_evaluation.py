"""Judging the injection detector by labelled texts: what it finds of the attacks, and which harmless ones it takes for some."""

from __future__ import annotations

import gzip
import zlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, NamedTuple, cast

import msgspec

from penstock_suite.domain.failure import Misconfigured
from penstock_suite.domain.interval import Share, share

_GZIP = b"\x1f\x8b"


class GuardedText(msgspec.Struct, frozen=True):
    """A text, where it enters, and what it is."""

    id: str
    text: str
    label: Literal["attack", "benign"]
    kind: str = ""
    surface: Literal["user", "document", "tool_output", "output"] = "user"


class Taken(NamedTuple):
    """What a text was taken for, how sure of it the detector was, and how long it took."""

    is_attack: bool
    score: float
    rules: tuple[str, ...]
    microseconds: float


class InjectionEvaluation(msgspec.Struct, frozen=True, kw_only=True):
    """What was found. Ratios are None where there is no such text; intervals are Wilson's, 95 %.

    ``recall_by_kind`` counts attacks that were found; ``false_alarms_by_kind`` and ``_by_surface`` harmless texts that were
    taken for attacks. ``auc``: how often an attack has a higher score than a harmless text. ``missed`` and ``alarms`` are ids.
    """

    texts: int
    recall: float | None
    false_alarm_ratio: float | None
    auc: float | None
    recall_by_kind: dict[str, Share]
    recall_by_surface: dict[str, Share]
    false_alarms_by_kind: dict[str, Share]
    false_alarms_by_surface: dict[str, Share]
    intervals: dict[str, Share]
    rules: dict[str, int]
    missed: list[str]
    alarms: list[str]
    p50_us: float
    p95_us: float
    setting: dict[str, Any]


def read_texts(content: bytes) -> list[GuardedText]:
    """Return the texts of a file of JSON lines, which may be packed by gzip.

    Raises:
        Misconfigured: for the first line that is no labelled text, or has the id of another.
    """
    if content.startswith(_GZIP):
        try:
            content = gzip.decompress(content)
        except (OSError, EOFError, zlib.error):
            raise Misconfigured("the dataset is packed by gzip, and broken") from None
    texts: list[GuardedText] = []
    lines: dict[str, int] = {}
    for line, written in enumerate(content.removeprefix(b"\xef\xbb\xbf").split(b"\n"), 1):
        if not written.strip():
            continue
        text = _text(line, written)
        if text.id in lines:
            raise Misconfigured(f"line {line}: the id '{text.id}' is that of line {lines[text.id]}")
        lines[text.id] = line
        texts.append(text)
    if not texts:
        raise Misconfigured("the dataset has no texts")
    return texts


def _text(line: int, written: bytes) -> GuardedText:
    try:
        said: Any = msgspec.json.decode(written)
        if not isinstance(said, dict):
            raise msgspec.ValidationError("Expected `object`")
        return msgspec.convert({"id": str(line), **cast("dict[str, Any]", said)}, GuardedText)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise Misconfigured(f"line {line} is no labelled text: {error}") from None


def injection_evaluation(
    texts: Sequence[GuardedText], taken: Sequence[Taken], setting: Mapping[str, Any]
) -> InjectionEvaluation:
    """Return what was found of the texts, taken in their order."""
    both = list(zip(texts, taken, strict=True))
    attacks = [(text, seen) for text, seen in both if text.label == "attack"]
    benign = [(text, seen) for text, seen in both if text.label == "benign"]
    counted = {"recall": _flagged(attacks), "false_alarm_ratio": _flagged(benign)}
    rules: dict[str, int] = defaultdict(int)
    for _, seen in both:
        for rule in set(seen.rules) if seen.is_attack else ():
            rules[rule] += 1
    times = sorted(seen.microseconds for seen in taken)
    return InjectionEvaluation(
        texts=len(texts),
        recall=counted["recall"].ratio,
        false_alarm_ratio=counted["false_alarm_ratio"].ratio,
        auc=area_under_curve([seen.score for _, seen in attacks], [seen.score for _, seen in benign]),
        recall_by_kind=_by(attacks, "kind"),
        recall_by_surface=_by(attacks, "surface"),
        false_alarms_by_kind=_by(benign, "kind"),
        false_alarms_by_surface=_by(benign, "surface"),
        intervals=counted,
        rules=dict(sorted(rules.items(), key=lambda each: (-each[1], each[0]))),
        missed=[text.id for text, seen in attacks if not seen.is_attack],
        alarms=[text.id for text, seen in benign if seen.is_attack],
        p50_us=_quantile(times, 0.5),
        p95_us=_quantile(times, 0.95),
        setting=dict(setting),
    )


_Both = tuple[GuardedText, Taken]


def _flagged(both: Iterable[_Both]) -> Share:
    flags = [seen.is_attack for _, seen in both]
    return share(sum(flags), len(flags))


def _by(both: Iterable[_Both], field: Literal["kind", "surface"]) -> dict[str, Share]:
    groups: dict[str, list[_Both]] = defaultdict(list)
    for text, seen in both:
        groups[text.kind if field == "kind" else text.surface].append((text, seen))
    return {name: _flagged(group) for name, group in sorted(groups.items())}


def area_under_curve(positive: Sequence[float], negative: Sequence[float]) -> float | None:
    """Return how often a positive score is above a negative one, ties by half (Mann and Whitney); None without either."""
    if not positive or not negative:
        return None
    above = sum((high > low) + 0.5 * (high == low) for high in positive for low in negative)
    return round(above / (len(positive) * len(negative)), 6)


def _quantile(ordered: Sequence[float], share_below: float) -> float:
    return round(ordered[min(len(ordered) - 1, int(len(ordered) * share_below))], 1)
