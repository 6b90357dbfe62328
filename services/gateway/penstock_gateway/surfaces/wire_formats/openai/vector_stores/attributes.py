"""Attributes and metadata: objects on the wire, lists of named values inside."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence

from penstock_common.contract.knowledge import Attribute, AttributeValue
from penstock_common.errors import InvalidRequest
from penstock_gateway.surfaces.wire_formats.json_body import shortened
from penstock_gateway.surfaces.wire_formats.openai.vector_stores.wire import AttributeValues

MAX_ATTRIBUTES = 16
MAX_TEXT = 512
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_LARGEST_WHOLE = 2.0**53


def read_attributes(given: Mapping[str, str | int | float | bool] | None, field: str) -> tuple[Attribute, ...]:
    """Return the attributes.

    Raises:
        InvalidRequest: if there are more than 16, or a name or a value is none.
    """
    if not given:
        return ()
    if len(given) > MAX_ATTRIBUTES:
        raise InvalidRequest(f"'{field}' has {len(given)} keys; at most {MAX_ATTRIBUTES} are allowed.", field=field)
    return tuple(Attribute(_name(name, field), _value(value, f"{field}.{name}")) for name, value in given.items())


def attributes_told(attributes: Sequence[Attribute]) -> AttributeValues:
    """Return the object that tells attributes."""
    return {attribute.name: _told(attribute.value) for attribute in attributes}


def metadata_told(attributes: Sequence[Attribute]) -> dict[str, str]:
    """Return the object that tells attributes as metadata, whose values are strings."""
    return {
        name: value if isinstance(value, str) else str(value) for name, value in attributes_told(attributes).items()
    }


def _name(name: str, field: str) -> str:
    if not _NAME.fullmatch(name):
        shown = shortened(name)
        reason = "must have 1 to 64 letters, digits, '_', '-' and '.'"
        raise InvalidRequest(f"A key of '{field}' {reason}, but is '{shown}'.", field=f"{field}.{shown}")
    return name


def _value(value: str | float | bool, field: str) -> AttributeValue:
    if isinstance(value, bool):
        return AttributeValue(flag=value)
    if isinstance(value, str):
        if len(value) > MAX_TEXT or "\0" in value:
            raise InvalidRequest(f"'{field}' must have at most {MAX_TEXT} characters, none of them NUL.", field=field)
        return AttributeValue(text=value)
    number = float(value)
    if not math.isfinite(number):
        raise InvalidRequest(f"'{field}' must be a finite number.", field=field)
    return AttributeValue(number=number)


def _told(value: AttributeValue) -> str | int | float | bool:
    if value.flag is not None:
        return value.flag
    if value.text is not None:
        return value.text
    number = value.number or 0.0
    return int(number) if number.is_integer() and abs(number) < _LARGEST_WHOLE else number
