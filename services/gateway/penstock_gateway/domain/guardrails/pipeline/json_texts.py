"""The texts that stand in a JSON document: a change of one of them leaves all else as it was written, byte by byte."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from json import dumps, loads

from penstock_gateway.domain.guardrails.pipeline.rule import Found

# A string of JSON, or a whole number that is long enough to be somebody's: each character is tried in one way. The last
# string of a document that was cut short has no end.
_STRING = re.compile(r'"(?:[^"\\]|\\.)*(?:"|\\?\Z)|(?<![\w.-])-?\d{7,}(?![\w.])', re.DOTALL)
_CUT = re.compile(r"(?<!\\)((?:\\\\)*)\\(?:u[0-9a-fA-F]{0,3})?\Z")
_CLOSED = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)
_COLON = re.compile(r"\s*:")
# Half of a pair: no text of Unicode has one, and nothing that takes texts takes it.
_LONE = re.compile("[\ud800-\udfff]")
_UNKNOWN = "\ufffd"
# An escape of JSON, or the beginning of one.
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|u[0-9a-fA-F]{0,3}\Z|\Z|.)", re.DOTALL)
# What pseudonyms are made of; all else stays as it was written.
_OF_PSEUDONYMS = re.compile(r"[A-Za-z0-9@.:/_-]")


def strings_of(document: str) -> list[tuple[int, int, str]]:
    """Return each string, and each number of seven digits and more, with its place (quotes included) as it reads.

    Half of a surrogate pair reads as U+FFFD.
    """
    found: list[tuple[int, int, str]] = []
    for one in _STRING.finditer(document):
        said = one[0]
        if said[0] == '"':
            said = _LONE.sub(_UNKNOWN, _read(said))
        found.append((one.start(), one.end(), said))
    return found


def values_of(document: str, is_text: Callable[[str], bool]) -> list[tuple[int, int, str]]:
    """Return the strings that are values of members whose names ``is_text`` takes."""
    found: list[tuple[int, int, str]] = []
    member = ""
    for start, end, text in strings_of(document):
        if document[start] == '"' and _COLON.match(document, end):
            member = text
        elif is_text(member):
            found.append((start, end, text))
    return found


def _read(said: str) -> str:
    whole = said if _has_end(said) else _CUT.sub(r"\1", said) + '"'
    try:
        return loads(whole, strict=False)
    except ValueError:
        return whole[1:-1]


def _has_end(said: str) -> bool:
    """Return whether a string of JSON has its closing quote."""
    return _CLOSED.fullmatch(said) is not None


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
        said = dumps(text, ensure_ascii=False)
        is_cut = document[start] == '"' and not _has_end(document[start:end])
        parts += (document[at:start], said[:-1] if is_cut else said)
        at = end
    return "".join([*parts, document[at:]])


def with_originals(document: str, originals: Mapping[str, str]) -> str:
    """Return the document with originals in the place of their pseudonyms, however its JSON spells these."""
    if not originals:
        return document
    pattern = re.compile("|".join(map(re.escape, sorted(originals, key=len, reverse=True))))
    changed = [
        (start, end, pattern.sub(lambda one: originals[one[0]], text))
        for start, end, text in strings_of(document)
        if pattern.search(text)
    ]
    left = with_strings(document, changed) if changed else document
    # Of what is no JSON, strings are not all that is said.
    return left if is_whole(left) else pattern.sub(lambda one: escaped(originals[one[0]]), left)


class Spelling:
    r"""Pieces of JSON with what pseudonyms are made of spelled out: ``\\u0040`` reads ``@``, wherever the pieces are cut."""

    def __init__(self) -> None:
        self._held = ""

    def feed(self, piece: str) -> str:
        """Return the piece; an escape that has only begun waits."""
        if not self._held and "\\" not in piece:
            return piece
        text, self._held = self._held + piece, ""
        return _ESCAPE.sub(self._spelled, text)

    def end(self) -> str:
        """Return what waits."""
        held, self._held = self._held, ""
        return held

    def _spelled(self, one: re.Match[str]) -> str:
        said, code = one[0], one[1]
        if code:
            character = chr(int(code, 16))
            return character if _OF_PSEUDONYMS.match(character) else said
        if (len(said) == 1 or said[1] == "u") and one.end() == len(one.string):
            self._held = said
            return ""
        return "/" if said == "\\/" else said


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
