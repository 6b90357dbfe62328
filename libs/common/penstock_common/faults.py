"""What is wrong with a configuration: one fault for each cause, with its place and in words for whoever wrote it."""

from __future__ import annotations

import difflib
import types
import typing
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, NoReturn

from pydantic import BaseModel
from pydantic_core import PydanticCustomError

KeyPath = tuple[str | int, ...]
"""Where a setting stands: keys, and places in lists, from the top."""

_SEVERAL = "faults"
_EXPECTED = {
    "string": "a text",
    "model": "a mapping of keys",
    "dict": "a mapping of keys",
    "mapping": "a mapping of keys",
    "list": "a list",
    "tuple": "a list",
    "set": "a list",
    "int": "a whole number",
    "float": "a number",
    "decimal": "a number",
    "finite": "a number",
    "bool": "true or false",
    "path": "a path",
    "none": "nothing",
}
_BOUNDS = {
    "greater_than": "it must be more than {gt}",
    "greater_than_equal": "it must be at least {ge}",
    "less_than": "it must be less than {lt}",
    "less_than_equal": "it must be at most {le}",
    "string_pattern_mismatch": "it is not written as expected; its form is {pattern}",
    "string_too_short": "it must have at least {min_length} characters",
    "string_too_long": "it may have at most {max_length} characters",
    "too_short": "at least {min_length} must be named",
    "too_long": "at most {max_length} may be named",
}
_TYPE_FAULTS = ("_type", "_parsing", "_from_float", "_required", "_number", "_size")


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault. ``file`` is the file's name, or the variable's that overrides it; line 0 is not known."""

    message: str
    """Says what is wrong and what to do, and quotes no secret."""
    key: str = ""
    """Such as upstreams[0].name."""
    file: str = ""
    line: int = 0

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}: " if self.line else f"{self.file}: " if self.file else ""
        return place + self.message


class ConfigurationError(Exception):
    """The configuration cannot be used; the message says where and what to do, ``faults`` each by itself."""

    def __init__(self, *faults: Fault | str) -> None:
        self.faults = tuple(Fault(fault) if isinstance(fault, str) else fault for fault in faults)
        super().__init__("; ".join(map(str, self.faults)))


Places = Mapping[KeyPath, Fault]
"""Where each setting is written, as a fault without words."""


def refuse(found: Iterable[tuple[KeyPath, str]]) -> None:
    """Raise, within a validator, for all faults at once; each is told at its own key below what is validated."""
    if faults := list(found):
        raise PydanticCustomError(_SEVERAL, "{text}", {"text": "; ".join(text for _, text in faults), _SEVERAL: faults})


def refuse_key(text: str) -> NoReturn:
    """Raise, within a validator, for the setting that is validated."""
    raise PydanticCustomError("refused", "{text}", {"text": text})


def dotted(path: KeyPath) -> str:
    """Return the path as people write it: ``upstreams[0].name``."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).lstrip(".")


def fault_at(path: KeyPath, message: str, places: Places) -> Fault:
    """Return the fault at the nearest place that is written down."""
    where = next((places[path[:end]] for end in range(len(path), -1, -1) if path[:end] in places), Fault(""))
    key = dotted(path)
    return Fault(message, key, where.file, where.line)


def faults_of(settings_type: type[BaseModel], errors: Iterable[Any], places: Places) -> dict[KeyPath, list[Fault]]:
    """Return what pydantic found, by place."""
    known = [(_path_of(settings_type, error["loc"]), error) for error in errors]
    paths = [path for path, _ in known]
    found: dict[KeyPath, list[Fault]] = {}
    expected: dict[KeyPath, list[str]] = {}
    for path, error in known:
        if error["type"] == _SEVERAL:
            for below, text in error["ctx"][_SEVERAL]:
                where = (*path, *below)
                found.setdefault(where, []).append(fault_at(where, f"{_named(where)}{text}", places))
        elif (kind := _expected_kind(error["type"])) is not None:
            # Of a choice of forms, the one that was meant says more than those that were not.
            if not any(len(other) > len(path) and other[: len(path)] == path for other in paths):
                expected.setdefault(path, []).append(kind + _reading(error.get("input"), kind))
        else:
            found.setdefault(path, []).append(fault_at(path, _sentence(settings_type, path, error), places))
    for path, kinds in expected.items():
        wanted = " or ".join(dict.fromkeys(kinds))
        found.setdefault(path, []).append(fault_at(path, f"{_named(path)}{wanted} is expected", places))
    return found


def _named(path: KeyPath) -> str:
    return f"'{dotted(path)}': " if path else ""


def _expected_kind(error_type: str) -> str | None:
    if not error_type.endswith(_TYPE_FAULTS):
        return None
    return _EXPECTED.get(error_type.partition("_")[0])


def _reading(value: Any, kind: str) -> str:
    """Return how YAML reads what stands there, where that surprises; never the value itself."""
    if value is None and kind != "nothing":
        return ", and nothing stands there,"
    if kind == "a text" and isinstance(value, bool | int | float | date):
        read = "true or false" if isinstance(value, bool) else "a date" if isinstance(value, date) else "a number"
        return f" in quotes, as YAML reads it as {read} without them,"
    return ""


def _sentence(settings_type: type[BaseModel], path: KeyPath, error: Any) -> str:
    kind: str = error["type"]
    context: dict[str, Any] = error.get("ctx") or {}
    if kind == "extra_forbidden":
        return f"unknown key '{dotted(path)}'{nearest(str(path[-1]), _known_keys(settings_type, path[:-1]))}"
    if kind == "missing":
        return f"'{dotted(path)}' is missing"
    if kind in ("literal_error", "enum"):
        choices = str(context["expected"]).replace(" or ", ", ").replace("'", "")
        return f"{_named(path)}one of {choices} is expected"
    if kind in _BOUNDS:
        return _named(path) + _BOUNDS[kind].format(**context)
    return _named(path) + str(error["msg"]).removeprefix("Value error, ")


def _path_of(settings_type: type[BaseModel], location: tuple[str | int, ...]) -> KeyPath:
    """Return the keys of the location, without the names that pydantic gives to the branches of a choice."""
    path: list[str | int] = []
    annotations: list[Any] = [settings_type]
    for part in location:
        forms = [form for annotation in annotations for form in branches(annotation)]
        below = [inner for form in forms for inner in _below(form, part)]
        if below:
            path.append(part)
            annotations = below
        elif not _names_a_form(part, forms):
            path.append(part)
            annotations = []
    return tuple(path)


def _names_a_form(part: str | int, forms: list[Any]) -> bool:
    """Return whether it is no key, but pydantic's name of a branch, such as ``TierSettings`` or ``list[str]``."""
    return str(part) in {getattr(form, "__name__", "") for form in forms} or any(mark in str(part) for mark in "[(")


def branches(annotation: Any) -> list[Any]:
    """Return what may stand where the annotation does: the branches of a choice, or itself."""
    origin = typing.get_origin(annotation)
    if origin is typing.Annotated:
        return branches(typing.get_args(annotation)[0])
    if origin in (typing.Union, types.UnionType):
        return [form for argument in typing.get_args(annotation) for form in branches(argument)]
    return [annotation]


def _below(form: Any, part: str | int) -> list[Any]:
    """Return what may stand under the key; empty where the form has none such."""
    if _is_model(form):
        field = form.model_fields.get(str(part))
        return [] if field is None else [field.annotation]
    arguments = typing.get_args(form)
    origin = typing.get_origin(form)
    if origin is dict:
        return [arguments[1]]
    if isinstance(part, int) and origin in (list, tuple, set, frozenset):
        return [arguments[0]]
    return []


def _is_model(form: Any) -> bool:
    return isinstance(form, type) and not isinstance(form, types.GenericAlias) and issubclass(form, BaseModel)


def _known_keys(model: type[BaseModel], path: KeyPath) -> set[str]:
    """Return the keys of the mappings that may stand at ``path``; empty where none is known."""
    annotations: list[Any] = [model]
    for part in path:
        annotations = [
            inner for annotation in annotations for form in branches(annotation) for inner in _below(form, part)
        ]
    forms = [form for annotation in annotations for form in branches(annotation)]
    return {key for form in forms if _is_model(form) for key in form.model_fields}


def nearest(name: str, known: Collection[str]) -> str:
    """Return the end of a sentence about a name that is none: the nearest one, else all."""
    matches = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f"; did you mean '{matches[0]}'?" if matches else f"; known are {', '.join(sorted(known))}" if known else ""
