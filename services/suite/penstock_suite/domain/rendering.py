"""Settings as a person reads them: one document, no secrets."""

from __future__ import annotations

import re
from typing import Any, cast

_URL_PASSWORD = re.compile(r"(?<=://)([^/\s:@]*):([^/\s@]+)@")
_PASSWORD_PARAMETER = re.compile(r"([?&][a-z]*password=)[^&\s]+")


def merged(first: Any, second: Any) -> Any:
    """Return two readings of one document as one: mappings by key, lists by place, else the first."""
    if isinstance(first, dict) and isinstance(second, dict):
        left, right = cast("dict[str, Any]", first), cast("dict[str, Any]", second)
        return {
            name: merged(left[name], right[name]) if name in left and name in right else left.get(name, right.get(name))
            for name in {**left, **right}
        }
    if isinstance(first, list) and isinstance(second, list):
        these, those = cast("list[Any]", first), cast("list[Any]", second)
        if len(these) == len(those):
            return [merged(this, that) for this, that in zip(these, those, strict=True)]
    return cast("Any", first)


def masked(value: Any) -> Any:
    """Return the value without passwords in its URLs; keys were masked when they were read."""
    if isinstance(value, dict):
        return {name: masked(inner) for name, inner in cast("dict[str, Any]", value).items()}
    if isinstance(value, list):
        return [masked(inner) for inner in cast("list[Any]", value)]
    if not isinstance(value, str) or "://" not in value:
        return value
    return _PASSWORD_PARAMETER.sub(r"\1**********", _URL_PASSWORD.sub(r"\1:**********@", value))


def referred(value: Any) -> Any:
    """Return the value as a configuration that says it: what would be read as a reference is written as a literal."""
    if isinstance(value, dict):
        return {name: referred(inner) for name, inner in cast("dict[str, Any]", value).items()}
    if isinstance(value, list):
        return [referred(inner) for inner in cast("list[Any]", value)]
    return value.replace("${", "$${") if isinstance(value, str) else value
