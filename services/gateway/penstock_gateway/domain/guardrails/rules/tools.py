"""Which tools may be called, and with what."""

from __future__ import annotations

import re
from collections.abc import Sequence
from fnmatch import translate
from typing import Any

import msgspec

from penstock_gateway.domain.guardrails.pipeline.rule import WHOLE, Found, LocalLook, Surface

_MOST_OF_AN_ARGUMENT = 65_536


class ArgumentTest(msgspec.Struct, frozen=True):
    """What an argument may not be. ``tool`` is a name with `*` in it, ``pointer`` a JSON pointer (RFC 6901)."""

    tool: str
    pointer: str
    pattern: re.Pattern[str]
    unless: bool = False


class Tools(LocalLook):
    """Looks at calls by name, and by their parsed arguments: spelling of JSON hides nothing.

    What is looked at is a call as ``call_text`` writes it.
    """

    hold = WHOLE

    def __init__(self, allowed: Sequence[str], denied: Sequence[str], arguments: Sequence[ArgumentTest] = ()) -> None:
        self._allowed, self._denied = _names(allowed), _names(denied)
        self._tests = [(_names([one.tool]), one) for one in arguments]

    def found(self, text: str, surface: Surface) -> Sequence[Found]:
        """Return why the call is denied."""
        name, _, arguments = text.partition("\n")
        kind = self._denied_for(name, arguments)
        return (Found(kind, 0, len(text)),) if kind else ()

    def _denied_for(self, name: str, arguments: str) -> str:
        if self._denied is not None and self._denied.match(name):
            return "denied_tool"
        if self._allowed is not None and not self._allowed.match(name):
            return "tool_not_allowed"
        tests = [test for tool, test in self._tests if tool is not None and tool.match(name)]
        if not tests:
            return ""
        try:
            # Some models write null where there are none.
            read = msgspec.json.decode(arguments or "{}") or {}
        except (msgspec.DecodeError, RecursionError):
            return "unreadable_arguments"
        # Who runs a call may still make an object of a list with one in it, or of JSON within a string.
        if not isinstance(read, dict) or _has_twice(arguments):
            return "unreadable_arguments"
        return "denied_argument" if any(_fails(test, read) for test in tests) else ""


def call_text(name: str, arguments: str) -> str:
    """Return a call as rules look at it: its name, a line's end, its arguments."""
    return f"{name}\n{arguments}"


def _names(names: Sequence[str]) -> re.Pattern[str] | None:
    return re.compile("|".join(translate(one.casefold()) for one in names), re.IGNORECASE) if names else None


def _fails(test: ArgumentTest, read: Any) -> bool:
    values = _values(read, [part.replace("~1", "/").replace("~0", "~") for part in test.pointer.split("/")[1:]])
    return any(_is_denied(test, value) for value in values)


def _is_denied(test: ArgumentTest, value: Any) -> bool:
    said = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    if len(said) > _MOST_OF_AN_ARGUMENT:
        return True
    return test.pattern.fullmatch(said) is None if test.unless else test.pattern.search(said) is not None


def _values(read: Any, parts: list[str]) -> list[Any]:
    """Return what stands at a pointer; ``*`` in it stands for all members."""
    found = [read]
    for part in parts:
        found = [inner for one in found for inner in _members(one, part)]
    return found


def _members(value: Any, part: str) -> list[Any]:
    if isinstance(value, str):
        # Models write JSON into strings, and those who run calls read it.
        value = _within(value)
    if isinstance(value, dict):
        return list(value.values()) if part == "*" else [value[part]] if part in value else []
    if isinstance(value, list):
        if part == "*":
            return value
        return [value[int(part)]] if part.isdecimal() and int(part) < len(value) else []
    return []


def _within(said: str) -> Any:
    try:
        return msgspec.json.decode(said)
    except (msgspec.DecodeError, RecursionError):
        return None


def _has_twice(arguments: str) -> bool:
    """Return whether an object has a member twice: whoever runs the call may take another than was looked at."""
    import json

    twice: list[bool] = []

    def note(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        twice.append(len({name for name, _ in pairs}) < len(pairs))
        return dict(pairs)

    json.loads(arguments or "{}", object_pairs_hook=note)
    return any(twice)
