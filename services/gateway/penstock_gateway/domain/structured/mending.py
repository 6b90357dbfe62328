"""JSON that is not quite JSON: its signs put right, as far as nobody can mean anything else by them.

What models write in the place of JSON: commas before a bracket, comments, quotes of other kinds, names without any, ``True``
and ``None`` of Python, lines that end within a string, a bracket that is missing at the end. No value becomes another.
"""

from __future__ import annotations

import json
import re
from typing import NamedTuple

_TOKEN = re.compile(
    r"""(?P<blank>[\s\ufeff]+|//[^\n]*|/\*.*?\*/)|(?P<string>"(?:[^"\\]|\\.)*")|(?P<other>'(?:[^'\\]|\\.)*'|“[^”]*”)"""
    r"""|(?P<number>-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?(?![\w.]))|(?P<word>(?:[^\W\d]|\$)[\w$-]*)|(?P<sign>[{}\[\]:,])""",
    re.DOTALL,
)
# What has begun at the end of a text that may go on.
_BEGUN = re.compile(
    r"""/\*.*|//?|"(?:[^"\\]|\\.)*\\?|'(?:[^'\\]|\\.)*\\?|“[^”]*|-?\d*(?:\.\d*)?(?:[eE][+-]?\d*)?""", re.DOTALL
)
_LITERALS = {"true": "true", "false": "false", "null": "null", "True": "true", "False": "false", "None": "null"}
_CLOSES = {"{": "}", "[": "]"}
_MOST_DEPTH = 200


class _Odd(Exception):
    """Nobody can say what is meant."""


class Mended(NamedTuple):
    """What was made of a text: JSON, up to where the text came; ``is_whole``: all of it has come."""

    text: str
    is_whole: bool


class _Writer:
    """Writes JSON, token by token."""

    def __init__(self) -> None:
        self.out: list[str] = []
        self._open: list[str] = []
        # What came last: "" nothing, "value", "name", ":" or ",", or the sign that has opened something.
        self._last = ""

    @property
    def is_over(self) -> bool:
        """Whether the value is whole."""
        return self._last == "value" and not self._open

    def takes_more(self, *, is_behind_a_line: bool) -> bool:
        """Return whether a value or a name may stand here."""
        return self._last != "name" and (self._last != "value" or is_behind_a_line)

    def value(self, text: str, *, as_name: str = "", is_behind_a_line: bool = False) -> None:
        """Write a value, or a member's name, ``as_name``, where one is expected."""
        if self._last == "value" and self._open and is_behind_a_line:
            self.sign(",")
        if self._open and self._open[-1] == "{" and self._last in ("{", ","):
            text, self._last = as_name, "name"
        elif self._last in ("", ":") or (self._last in ("[", ",") and self._open[-1] == "["):
            self._last = "value"
        else:
            raise _Odd
        if not text:
            raise _Odd
        self.out.append(text)

    def sign(self, sign: str, *, is_behind_a_line: bool = False) -> None:
        """Write a bracket, a colon or a comma."""
        if sign in _CLOSES:
            self.value(sign, is_behind_a_line=is_behind_a_line)
            self._open.append(sign)
            self._last = sign
            if len(self._open) > _MOST_DEPTH:
                raise _Odd
        elif sign in "}]":
            self._close(sign)
        elif self._last != ("name" if sign == ":" else "value") or not self._open:
            raise _Odd
        else:
            self.out.append(sign)
            self._last = sign

    def _close(self, sign: str) -> None:
        if not self._open or _CLOSES[self._open[-1]] != sign or self._last in ("name", ":"):
            raise _Odd
        if self._last == ",":
            self.out.pop()
        self._open.pop()
        self.out.append(sign)
        self._last = "value"

    def close_all(self, *, may_go_on: bool) -> None:
        """Write the brackets that are missing; where more may come a member leaves that has no value yet."""
        if may_go_on and self._last == ":":
            self.out.pop()
            self._last = "name"
        if may_go_on and self._last == "name":
            self.out.pop()
            self._last = "," if self.out[-1] == "," else "{"
        while self._open:
            self._close(_CLOSES[self._open[-1]])


def mended(text: str, *, may_go_on: bool = False) -> Mended | None:
    """Return JSON for a text that begins with a bracket; None where nobody can say what is meant.

    ``may_go_on``: the text is a beginning, and so is what comes back, without what has only begun. What stands behind the last
    bracket is left out.
    """
    writer, at, is_behind_a_line = _Writer(), 0, False
    try:
        while at < len(text) and not writer.is_over:
            token = _TOKEN.match(text, at)
            if may_go_on and (token is None or token.end() == len(text)) and _BEGUN.fullmatch(text, at):
                if text[at] != "/" and not writer.takes_more(is_behind_a_line=is_behind_a_line):
                    return None
                break
            if token is None:
                return None
            at = token.end()
            if token.lastgroup == "blank":
                is_behind_a_line |= "\n" in token[0]
                continue
            if not (may_go_on and token.lastgroup == "word" and at == len(text)):
                _write(writer, token, is_behind_a_line=is_behind_a_line)
            is_behind_a_line = False
        is_whole = writer.is_over
        if not writer.out:
            return Mended("", is_whole=False) if may_go_on else None
        writer.close_all(may_go_on=may_go_on)
    except _Odd:
        return None
    return Mended("".join(writer.out), is_whole)


def _write(writer: _Writer, token: re.Match[str], *, is_behind_a_line: bool) -> None:
    said, kind = token[0], token.lastgroup
    if kind == "sign":
        writer.sign(said, is_behind_a_line=is_behind_a_line)
    elif kind == "word":
        writer.value(_LITERALS.get(said, ""), as_name=json.dumps(said), is_behind_a_line=is_behind_a_line)
    elif kind == "number":
        writer.value(said, is_behind_a_line=is_behind_a_line)
    else:
        string = _string(said)
        writer.value(string, as_name=string, is_behind_a_line=is_behind_a_line)


def _string(said: str) -> str:
    """Return a string of any quotes as JSON has it."""
    inner = said[1:-1]
    if said[0] != '"':
        inner = re.sub(r'\\.|"', lambda one: {"\\'": "'", '"': '\\"'}.get(one[0], one[0]), inner, flags=re.DOTALL)
    try:
        return json.dumps(json.loads(f'"{inner}"', strict=False), ensure_ascii=False)
    except ValueError:
        raise _Odd from None
