"""Whether a value may stand in a variable's place, and how it is written there."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Mapping

import msgspec

from penstock_common.errors import InvalidRequest
from penstock_gateway.domain.prompts.content import Variable, VariableType

MAX_VALUE_CHARACTERS = 262_144
"""Of one value, as it is written."""
_MOST_SHOWN = 64
_FIELD = "prompt.variables"
_WANTED = {
    VariableType.STRING: "a string",
    VariableType.INTEGER: "an integer",
    VariableType.NUMBER: "a number",
    VariableType.BOOLEAN: "true or false",
    VariableType.ENUM: "a string",
    VariableType.IMAGE_URL: "an http(s) address",
}
_KINDS: Mapping[type, str] = {
    str: "a string", bool: "a boolean", int: "an integer", float: "a number", list: "an array", dict: "an object",
}  # fmt: skip
_ADDRESSES = ("https://", "http://")


def written_values(variables: Iterable[Variable], given: Mapping[str, object]) -> dict[str, str]:
    """Return what is written in the place of each variable.

    Raises:
        InvalidRequest: if a value is unknown, missing, of another type, or too long; it names the variable.
    """
    known = {variable.name: variable for variable in variables}
    for name in given:
        if name not in known:
            raise _unknown(name, known)
    return {name: _written(variable, given.get(name), f"{_FIELD}.{name}") for name, variable in known.items()}


def check_default(variable: Variable, field: str) -> None:
    """Raise InvalidRequest if the variable's default may not stand in its place."""
    if variable.default is not None:
        _written(variable, variable.default, field)


def nearest_hint(name: str, known: Iterable[str]) -> str:
    """Return the sentence that names the nearest of what there is, with a space before it; empty where nothing is near."""
    near = difflib.get_close_matches(name[:_MOST_SHOWN], known, n=1)
    return f" Did you mean '{near[0]}'?" if near else ""


def _written(variable: Variable, value: object, field: str) -> str:
    if value is None:
        value = variable.default
    if value is None:
        if variable.required:
            raise InvalidRequest(f"{field} is missing: the prompt requires it.", field=field)
        return ""
    text = _text_of(variable, value, field)
    most = variable.max_length or MAX_VALUE_CHARACTERS
    if len(text) > most:
        raise InvalidRequest(f"{field} may have at most {most} characters, not {len(text)}.", field=field)
    return text


def _text_of(variable: Variable, value: object, field: str) -> str:
    kind = variable.type
    if kind is VariableType.JSON:
        # Sorted, so that the same value is the same text whichever surface it came by.
        return msgspec.json.encode(value, order="sorted").decode()
    if kind is VariableType.BOOLEAN and isinstance(value, bool):
        return "true" if value else "false"
    if kind in (VariableType.INTEGER, VariableType.NUMBER) and not isinstance(value, bool):
        number = _number_text(value, whole=kind is VariableType.INTEGER)
        if number:
            return number
    if isinstance(value, str) and kind in (VariableType.STRING, VariableType.ENUM, VariableType.IMAGE_URL):
        _check_text(variable, value, field)
        return value
    found = _KINDS.get(type(value), "something else")
    raise InvalidRequest(f"{field} must be {_WANTED[kind]}, not {found}.", field=field)


def _number_text(value: object, *, whole: bool) -> str:
    """Return the number as it is written, alike whether it came as 5 or as 5.0; empty for what is none."""
    if isinstance(value, int):
        return str(value)
    if not isinstance(value, float) or not math.isfinite(value):
        return ""
    if value.is_integer():
        return str(int(value))
    return "" if whole else repr(value)


def _check_text(variable: Variable, value: str, field: str) -> None:
    if variable.type is VariableType.ENUM and value not in variable.values:
        choices = ", ".join(variable.values)
        raise InvalidRequest(f"{field} must be one of {choices}, not '{value[:_MOST_SHOWN]}'.", field=field)
    if variable.type is VariableType.IMAGE_URL and not value.startswith(_ADDRESSES):
        raise InvalidRequest(f"{field} must be an http(s) address.", field=field)


def _unknown(name: str, known: Mapping[str, Variable]) -> InvalidRequest:
    shown = name[:_MOST_SHOWN]
    hint = nearest_hint(name, known) or (f" It has {', '.join(known)}." if known else " It has none.")
    return InvalidRequest(f"{_FIELD}: the prompt has no variable '{shown}'.{hint}", field=f"{_FIELD}.{shown}")
