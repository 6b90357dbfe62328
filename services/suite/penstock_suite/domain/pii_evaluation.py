"""Judging the detector of personal data and secrets by texts whose entities are marked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import msgspec

from penstock_suite.domain.failure import Misconfigured
from penstock_suite.domain.interval import Share, share

STRUCTURED = (
    "email", "phone", "credit_card", "iban", "ssn_us", "ip_address", "passport", "date_of_birth", "api_key", "url_with_token",
)  # fmt: skip
NAMED = ("person", "address")
KINDS = (*STRUCTURED, *NAMED)
# Recall counts four times as much as precision: what is missed leaks (van Rijsbergen, 1979).
_BETA_SQUARED = 4


class Entity(msgspec.Struct, frozen=True):
    """Code points ``start`` to ``end`` are of this type."""

    type: str
    start: int
    end: int


class Text(msgspec.Struct, frozen=True):
    """A text and what it holds; a clean one holds nothing."""

    id: str
    text: str
    entities: tuple[Entity, ...]
    lang: str = ""


Find = Callable[[str], Sequence[Entity]]


class Seen(msgspec.Struct, frozen=True):
    """A text, what was found in it, and how long that took."""

    text: Text
    found: tuple[Entity, ...]
    milliseconds: float = 0.0


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """What was found of some entities: ``right`` overlap one, ``exact`` have its span, ``false`` overlap none of their type.

    Ratios are None where nothing was counted. ``precision`` counts findings, ``recall`` entities.
    """

    entities: int
    right: int
    exact: int
    found: int
    false: int
    recall: float | None
    precision: float | None
    exact_recall: float | None
    exact_precision: float | None
    f2: float | None


class PiiEvaluation(msgspec.Struct, frozen=True, kw_only=True):
    """What was found of the dataset. Intervals are Wilson's, 95 %."""

    texts: int
    structured: Figures
    """All types that have a form of their own."""
    named: Figures
    """Persons and addresses."""
    by_type: dict[str, Figures]
    by_language: dict[str, dict[str, Figures]]
    """Structured and named, by language."""
    clean_texts: int
    clean_touched: int
    clean_touched_ratio: float | None
    clean_found: dict[str, int]
    """Findings in clean texts, by type."""
    intervals: dict[str, Share]
    missed: tuple[str, ...]
    """``id type`` of what was missed."""
    false_hits: tuple[str, ...]
    """``id type`` of what was found and is none."""
    p50_ms: float | None
    p95_ms: float | None
    setting: dict[str, Any]


def read_texts(content: bytes) -> list[Text]:
    """Return the texts of a file of JSON lines.

    Raises:
        Misconfigured: for the first line that is none, or if there is none. Nothing of a text is told.
    """
    found: list[Text] = []
    lines: dict[str, int] = {}
    for line, row in enumerate(content.removeprefix(b"\xef\xbb\xbf").split(b"\n"), 1):
        if not row.strip():
            continue
        text = _text(line, row)
        if text.id in lines:
            raise Misconfigured(f"line {line}: the id '{text.id}' is that of line {lines[text.id]}")
        lines[text.id] = line
        found.append(text)
    if not found:
        raise Misconfigured("the dataset has no texts")
    return found


def _text(line: int, row: bytes) -> Text:
    try:
        text = msgspec.json.decode(row, type=Text)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise Misconfigured(f"line {line} is no text with its entities: {error}") from None
    for one in text.entities:
        if one.type not in KINDS:
            raise Misconfigured(f"line {line}: a type is one of {', '.join(KINDS)}, not '{one.type}'")
        if not 0 <= one.start < one.end <= len(text.text):
            raise Misconfigured(f"line {line}: {one.start} to {one.end} is no part of the text")
    return text


def evaluation(seen: Sequence[Seen], setting: Mapping[str, Any]) -> PiiEvaluation:
    """Return what was found of the texts."""
    clean = [one for one in seen if not one.text.entities]
    touched = share(sum(bool(one.found) for one in clean), len(clean))
    structured, named = _figures(seen, STRUCTURED), _figures(seen, NAMED)
    times = sorted(one.milliseconds for one in seen)
    return PiiEvaluation(
        texts=len(seen),
        structured=structured,
        named=named,
        by_type={kind: _figures(seen, (kind,)) for kind in KINDS},
        by_language={
            lang: {
                "structured": _figures([one for one in seen if one.text.lang == lang], STRUCTURED),
                "named": _figures([one for one in seen if one.text.lang == lang], NAMED),
            }
            for lang in sorted({one.text.lang for one in seen})
        },
        clean_texts=len(clean),
        clean_touched=touched.hits,
        clean_touched_ratio=touched.ratio,
        clean_found=dict(sorted(Counter(found.type for one in clean for found in one.found).items())),
        intervals={
            "structured_recall": share(structured.right, structured.entities),
            "structured_precision": share(structured.found - structured.false, structured.found),
            "named_recall": share(named.right, named.entities),
            "clean_touched_ratio": touched,
        },
        missed=tuple(f"{one.text.id} {each.type}" for one in seen for each in _unmet(one.text.entities, one.found)),
        false_hits=tuple(f"{one.text.id} {each.type}" for one in seen for each in _unmet(one.found, one.text.entities)),
        p50_ms=_quantile(times, 0.5),
        p95_ms=_quantile(times, 0.95),
        setting=dict(setting),
    )


def _overlap(one: Entity, other: Entity) -> bool:
    return one.type == other.type and one.start < other.end and other.start < one.end


def _unmet(those: Iterable[Entity], others: Sequence[Entity]) -> list[Entity]:
    return [one for one in those if not any(_overlap(one, other) for other in others)]


def _figures(seen: Iterable[Seen], kinds: Sequence[str]) -> Figures:
    entities = right = exact = found = false = 0
    for one in seen:
        marked = [each for each in one.text.entities if each.type in kinds]
        told = [each for each in one.found if each.type in kinds]
        entities, found = entities + len(marked), found + len(told)
        right += len(marked) - len(_unmet(marked, told))
        false += len(_unmet(told, marked))
        exact += sum(each in told for each in marked)
    recall, precision = _ratio(right, entities), _ratio(found - false, found)
    return Figures(
        entities=entities,
        right=right,
        exact=exact,
        found=found,
        false=false,
        recall=recall,
        precision=precision,
        exact_recall=_ratio(exact, entities),
        exact_precision=_ratio(exact, found),
        f2=_f2(recall, precision),
    )


def _f2(recall: float | None, precision: float | None) -> float | None:
    if recall is None:
        return None
    if not recall or not precision:
        return 0.0
    return round((1 + _BETA_SQUARED) * precision * recall / (_BETA_SQUARED * precision + recall), 6)


def _ratio(part: int, whole: int) -> float | None:
    return round(part / whole, 6) if whole else None


def _quantile(ordered: Sequence[float], share_below: float) -> float | None:
    return round(ordered[min(len(ordered) - 1, int(len(ordered) * share_below))], 3) if ordered else None
