"""Patterns that operators write: those that cannot take long, whatever the text is.

Python's engine goes back over what it has tried, so that a pattern with repetitions inside one another, or many in a
row, may take hours. Here each repetition has an end, and the ways in which one place can be tried are counted.
"""

from __future__ import annotations

import re
from importlib import import_module
from typing import Any

# Python has no other way to take a pattern apart; both stand there since 3.11.
parser: Any = import_module("re._parser")
constants: Any = import_module("re._constants")

MOST_WAYS = 20_000
"""In which a pattern may be tried at one place of a text."""
MOST_WIDTH = 1024
"""Characters that a pattern may match."""
_REFUSED = {
    constants.GROUPREF: "a reference to a group",
    constants.GROUPREF_EXISTS: "a condition on a group",
    constants.ASSERT: "a look ahead or behind",
    constants.ASSERT_NOT: "a look ahead or behind",
}


_CATEGORIES = {
    constants.CATEGORY_DIGIT: r"\d",
    constants.CATEGORY_WORD: r"\w",
    constants.CATEGORY_SPACE: r"\s",
}


class PatternRefused(ValueError):
    """The pattern is none, or may take long."""


def checked_pattern(pattern: str) -> tuple[re.Pattern[str], int]:
    """Return the pattern compiled, and the most characters that it matches.

    Raises:
        PatternRefused: if it is no pattern, or may take long; the message says what to write.
    """
    try:
        parsed = parser.parse(pattern)
        compiled = re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        raise PatternRefused(f"no regular expression: {error}") from error
    ways = _ways(parsed)
    width = min(parsed.getwidth()[1], constants.MAXREPEAT)
    if width > MOST_WIDTH:
        raise PatternRefused(f"it matches up to {width} characters: {MOST_WIDTH} are the most")
    if not parsed.getwidth()[0]:
        raise PatternRefused("it matches an empty text, and so everywhere")
    if ways > MOST_WAYS:
        raise PatternRefused(
            f"it may be tried in {ways} ways at one place, and {MOST_WAYS} are the most: "
            "write fewer repetitions in a row or inside one another, or shorter ones"
        )
    return compiled, width


def literal_of(pattern: re.Pattern[str]) -> str:
    """Return the longest text that stands in whatever a pattern matches, as it is written; empty where there is none."""
    if pattern.flags & re.IGNORECASE:
        return ""
    runs = [""]
    for operation, argument in parser.parse(pattern.pattern):
        if operation is constants.LITERAL:
            runs[-1] += chr(argument)
        elif operation is not constants.AT:
            runs.append("")
    return max(runs, key=len)


def needs_digit(pattern: re.Pattern[str]) -> bool:
    """Return whether a digit stands in whatever a pattern matches."""
    return any(_is_digit(operation, argument) for operation, argument in parser.parse(pattern.pattern))


def first_of(pattern: re.Pattern[str]) -> re.Pattern[str] | None:
    """Return what the first character of whatever a pattern matches is like; None where that is not easily said."""
    signs = _first_signs(parser.parse(pattern.pattern))
    return None if signs is None else re.compile(f"[{signs}]", pattern.flags & re.IGNORECASE)


def _first_signs(parsed: Any) -> str | None:
    """Return the inside of a set of characters."""
    for operation, argument in parsed:
        if operation is constants.AT:
            continue
        if operation is constants.LITERAL:
            return re.escape(chr(argument))
        if operation is constants.IN:
            return _signs_of(argument)
        if operation in (constants.MAX_REPEAT, constants.MIN_REPEAT):
            return _first_signs(argument[2]) if argument[0] else None
        return _first_signs(argument[-1]) if operation is constants.SUBPATTERN and not argument[1] else None
    return None


def _signs_of(members: Any) -> str | None:
    signs = ""
    for operation, argument in members:
        if operation is constants.LITERAL:
            signs += re.escape(chr(argument))
        elif operation is constants.RANGE:
            signs += f"{re.escape(chr(argument[0]))}-{re.escape(chr(argument[1]))}"
        elif argument in _CATEGORIES:
            signs += _CATEGORIES[argument]
        else:
            return None
    return signs


def _is_digit(operation: Any, argument: Any) -> bool:
    if operation in (constants.MAX_REPEAT, constants.MIN_REPEAT):
        least, _, inner = argument
        return least > 0 and len(inner) == 1 and _is_digit(*inner[0])
    return operation is constants.IN and argument == [(constants.CATEGORY, constants.CATEGORY_DIGIT)]


def _ways(parsed: Any) -> int:
    """Return an upper bound of the ways in which a pattern can be tried at one place."""
    ways = 1
    for operation, argument in parsed:
        ways *= _ways_of(operation, argument)
        if ways > MOST_WAYS**2:
            break
    return ways


def _ways_of(operation: Any, argument: Any) -> int:
    if operation in _REFUSED:
        raise PatternRefused(f"{_REFUSED[operation]} is not supported here")
    if operation in (constants.MAX_REPEAT, constants.MIN_REPEAT):
        least, most, inner = argument
        if most is constants.MAXREPEAT:
            raise PatternRefused(
                "a repetition without an end: write {0,64} in the place of '*', {1,64} in the place of '+'"
            )
        each = _ways(inner)
        return (most - least + 1) * (each ** min(most, 64) if each > 1 else 1)
    if operation is constants.BRANCH:
        return sum(_ways(branch) for branch in argument[1])
    if operation is constants.SUBPATTERN:
        return _ways(argument[-1])
    if operation in (constants.ATOMIC_GROUP, constants.POSSESSIVE_REPEAT):
        raise PatternRefused("atomic groups and possessive repetitions are not supported here")
    return 1
