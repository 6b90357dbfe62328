"""The texts that stand in a JSON document: a change of one of them leaves all else as it was written, byte by byte."""

from __future__ import annotations

import re
from collections.abc import Sequence
from json import dumps, loads

from penstock_gateway.domain.guardrails.pipeline.rule import Found

# A string of JSON, or a whole number that is long enough to be somebody's: each character is tried in one way.
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"|(?<![\w.])\d{7,}(?![\w.])', re.DOTALL)


def strings_of(document: str) -> list[tuple[int, int, str]]:
    """Return each string, and each number of seven digits and more, with its place (quotes included) as it reads."""
    found: list[tuple[int, int, str]] = []
    for one in _STRING.finditer(document):
        if one[0][0] != '"':
            found.append((one.start(), one.end(), one[0]))
            continue
        try:
            found.append((one.start(), one.end(), loads(one[0], strict=False)))
        except ValueError:
            found.append((one.start(), one.end(), one[0][1:-1]))
    return found


def is_whole(document: str) -> bool:
    """Return whether it is JSON: of what is not, strings are not all that may be said."""
    try:
        loads(document, strict=False)
    except (ValueError, RecursionError):
        return not document
    return True


def with_strings(document: str, changed: Sequence[tuple[int, int, str]]) -> str:
    """Return the document with strings in the place of those that stand there, in order."""
    parts: list[str] = []
    at = 0
    for start, end, text in changed:
        parts += (document[at:start], dumps(text, ensure_ascii=False))
        at = end
    return "".join([*parts, document[at:]])


def escaped(text: str) -> str:
    """Return a text as it stands within a string of JSON."""
    return dumps(text, ensure_ascii=False)[1:-1]


def replaced(text: str, found: Sequence[Found]) -> str:
    """Return a text with marks in the places of what was found."""
    parts: list[str] = []
    at = 0
    for one in found:
        if one.start >= at:
            parts += (text[at : one.start], one.mark)
            at = one.end
    return "".join([*parts, text[at:]])
