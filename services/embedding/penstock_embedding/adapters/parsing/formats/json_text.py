"""JSON: as it is where it is laid out for people, else as an outline."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from typing import NoReturn

from penstock_embedding.adapters.parsing.formats.source import Source
from penstock_embedding.domain.documents.draft import Draft
from penstock_embedding.domain.documents.parsed import DocumentRefused

_STRUCTURE = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*(?:"|\\?\Z)|[\[\]{}]', re.DOTALL)
_LONGEST_LINE = 1_000
_MOST_DIGITS = 1_000
_TITLE_KEYS = ("title", "name", "subject", "heading")
_TITLE_CHARACTERS = 120


class _Number(str):
    """A number as it was written."""

    __slots__ = ()


def read(source: Source, draft: Draft) -> None:
    """Write it into the draft."""
    refuse_other_encodings(source)
    text = source.text
    value = json_value(text, draft.limits.nesting)
    draft.title = title_of(value)
    is_laid_out = "\\u" not in text and max(map(len, text.split("\n"))) <= _LONGEST_LINE
    draft.add("code", text if is_laid_out else outline(value))


def refuse_other_encodings(source: Source) -> None:
    """Raise DocumentRefused for what is no Unicode, as JSON is: a guess could make another value of it."""
    if source.not_unicode_at >= 0:
        raise DocumentRefused("broken", "It is no UTF-8, as JSON is. Save it anew.", f"byte {source.not_unicode_at}")


def is_json(text: str) -> bool:
    """Whether it can be read as such."""
    try:
        json_value(text, 1_000)
    except DocumentRefused as refused:
        return refused.reason != "broken"
    return True


def json_value(text: str, nesting: int) -> object:
    """Return what the text says, with numbers as they are written.

    Raises:
        DocumentRefused: if it is no JSON, or more deeply nested than is allowed, or ambiguous.
    """
    _check_nesting(text, nesting)
    try:
        return json.loads(
            text, parse_int=_number, parse_float=_number, parse_constant=_refuse_constant, object_pairs_hook=_members
        )
    except json.JSONDecodeError as error:
        raise DocumentRefused(
            "broken", f"It is no JSON: {error.msg}.", f"line {error.lineno}, column {error.colno}"
        ) from None


def title_of(value: object) -> str:
    """Return what an object calls itself: its title, or the first text in it."""
    if not isinstance(value, dict):
        return ""
    texts = {str(key): text for key, text in value.items() if _is_title(key, text)}
    for key in _TITLE_KEYS:
        if key in texts:
            return texts[key]
    return next(iter(texts.values()), "")


def outline(value: object) -> str:
    """Return it as lines of ``key: value``, indented as it is nested."""
    return "\n".join(_lines(value, ""))


def _is_title(key: object, text: object) -> bool:
    is_text = type(text) is str and 0 < len(text) <= _TITLE_CHARACTERS and "://" not in text
    return is_text and not str(key).startswith(("$", "@", "_"))


def _check_nesting(text: str, most: int) -> None:
    depth = 0
    for found in _STRUCTURE.finditer(text):
        mark = found[0][0]
        if mark in "[{":
            depth += 1
            if depth > most:
                line = text.count("\n", 0, found.start()) + 1
                raise DocumentRefused("bomb", f"It is nested more than {most} deep. Flatten it.", f"line {line}")
        elif mark in "]}":
            depth -= 1


def _number(digits: str) -> _Number:
    if len(digits) > _MOST_DIGITS:
        raise DocumentRefused("broken", f"A number in it has {len(digits)} digits.", f"{digits[:20]}…")
    return _Number(digits)


def _refuse_constant(name: str) -> NoReturn:
    raise DocumentRefused("broken", f"It is no JSON: {name} is no number there. Write null.", name)


def _members(pairs: Sequence[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) != len(pairs):
        keys = [key for key, _ in pairs]
        double = next(key for key in keys if keys.count(key) > 1)
        raise DocumentRefused("broken", "An object in it has a key twice. Keep one.", f"key {double[:100]!r}")
    return members


def _lines(value: object, indent: str) -> Iterator[str]:
    match value:
        case dict():
            for key, member in value.items():
                yield from _entry(f"{indent}{key}:", member, indent)
        case list():
            for member in value:
                yield from _entry(f"{indent}-", member, indent)
        case _:
            yield f"{indent}{_scalar(value)}"


def _entry(label: str, member: object, indent: str) -> Iterator[str]:
    if isinstance(member, (dict, list)) and member:
        yield label
        yield from _lines(member, f"{indent}  ")
    else:
        yield f"{label} {_scalar(member)}"


def _scalar(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)
