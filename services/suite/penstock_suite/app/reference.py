"""The reference of the configuration file, made of the settings as the roles declare them.

A key's meaning is the text under its declaration, a section's that of its class. A role
that looks at a part of another's section, and so forbids no other key, does not describe it.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
import types
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import Enum
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from penstock_common.configuration import Reloaded, format_duration
from penstock_common.faults import branches
from penstock_suite.app.check import settings_type
from penstock_suite.domain.requests import Role
from penstock_suite.settings import Document, Settings

_NAMES = {
    str: "text",
    int: "whole number",
    float: "number",
    bool: "true or false",
    Path: "path",
    timedelta: "duration",
    datetime: "time",
}
_BOUNDS = (("ge", "≥"), ("gt", ">"), ("le", "≤"), ("lt", "<"))
_NOT_THIS_ONES = "Not for "
_OF_SOME = "Of the provider "

_HEAD = """# Configuration

<!-- Written by tools/gen_configuration_docs.py from the settings of the services; do not edit. -->

One YAML file holds the configuration of every role. `penstock config init` writes one to begin with, `penstock config
check` says whether it can be used, with every fault at once, and `--show` prints the settings that take effect.

- `${NAME}` reads a variable of the environment, `${file:/run/secrets/x}` a file, each without the white space around
  what it holds. A literal `${` is written `$${`.
- `PENSTOCK_LISTEN__HTTP=127.0.0.1:9000` overrides `listen: {http: …}`, and so on for every key that is not in a list.
- Durations are written `500ms`, `3s`, `10m`, `1h` or `30d`.
- What is marked as reloaded a running suite takes over: `penstock config reload`, or SIGHUP
  ([operations](operations.md#changing-the-configuration-while-it-runs)).
- A key that nobody knows is a fault, and so is one that is given twice. Sections whose names begin with `x-` are yours,
  such as for YAML anchors; `<<: *anchor` merges one in, and the mapping's own keys stand over it.

"[]" stands for each item of a list, "NAME" for a name of your choice.
"""


@dataclass(frozen=True, slots=True)
class Entry:
    """A key of the configuration."""

    key: str
    kind: str
    default: str
    meaning: str
    is_reloaded: bool = False
    """Whether a running process takes it over."""


@dataclass(frozen=True, slots=True)
class _Declared:
    """A field, and the class that declares it."""

    owner: type[BaseModel]
    field: FieldInfo


def reference() -> str:
    """Return the page, in Markdown."""
    parts = [_HEAD]
    for section, entries in sections().items():
        rows = "\n".join(
            f"| `{entry.key}` | {entry.kind} | {entry.default} | {_cell(entry.meaning)} |" for entry in entries
        )
        parts.append(
            f"\n## {section}\n\n{_reloading(entries)}\n\n| key | type | default | meaning |\n|---|---|---|---|\n{rows}\n"
        )
    return "".join(parts)


def _reloading(entries: list[Entry]) -> str:
    """Return what becomes of a change while the suite runs."""
    taken_over = [entry.key for entry in entries if entry.is_reloaded]
    if len(taken_over) == len(entries):
        return "Reloaded: a change is taken over without a restart."
    tops = [key for key in taken_over if key.rpartition(".")[0] not in taken_over]
    reloaded = f", but for {', '.join(f'`{key}`' for key in tops)}, which is reloaded" if tops else ""
    return f"A change needs a restart{reloaded}."


def sections() -> Mapping[str, list[Entry]]:
    """Return the keys of each section, in the order of the file."""
    roles = [*dict.fromkeys(settings_type(role) for role in Role)]
    return {name: list(_entries(name, _declared(name, [*roles, Settings]))) for name in Document.model_fields}


def undescribed() -> list[str]:
    """Return the keys that nothing is said about."""
    return [entry.key for entries in sections().values() for entry in entries if not entry.meaning]


def _declared(section: str, roles: list[type[BaseModel]]) -> list[_Declared]:
    """Return the declarations of a section that describe the whole of it."""
    found = [_Declared(role, role.model_fields[section]) for role in roles if section in role.model_fields]
    whole = [one for one in found if not any(_is_a_view(form) for form in _models(one.field.annotation))]
    # Of several whole ones the first that has a form, rather than `Any`.
    formed = [one for one in whole if one.field.annotation is not Any and _models(one.field.annotation)]
    return formed[:1] or whole[:1] or found[:1]


def _is_a_view(model: type[BaseModel]) -> bool:
    return model.model_config.get("extra") != "forbid"


def _models(annotation: Any) -> list[type[BaseModel]]:
    """Return the sections that stand at a place, in a list there, or under a name there."""
    found: list[type[BaseModel]] = []
    for form in branches(annotation):
        if isinstance(form, type) and typing.get_origin(form) is None and issubclass(form, BaseModel):
            found.append(form)
        elif typing.get_origin(form) is list:
            found += _models(typing.get_args(form)[0])
        elif typing.get_origin(form) is dict:
            found += _models(typing.get_args(form)[1])
    return found


def _entries(key: str, declared: list[_Declared], *, is_reloaded: bool = False) -> Iterator[Entry]:
    """Yield a key and, where it holds a section, the keys of that; what is reloaded is so with all below it."""
    models = [model for one in declared for model in _models(one.field.annotation)]
    first = declared[0]
    meaning = _meaning(declared) or (_doc(models[0]) if models else "")
    is_reloaded = is_reloaded or any(isinstance(note, Reloaded) for note in first.field.metadata)
    kind = _kind(first.field.annotation, first.field.metadata)
    yield Entry(key, kind, _default(first.field), meaning, is_reloaded)
    below = key + _step(first.field.annotation)
    names = dict.fromkeys(name for model in models for name in model.model_fields)
    for name in names:
        holders = [_Declared(model, model.model_fields[name]) for model in models if name in model.model_fields]
        fitting = [one for one in holders if not _described(one).startswith(_NOT_THIS_ONES)]
        for entry in _entries(f"{below}.{name}", fitting or holders, is_reloaded=is_reloaded):
            yield _marked(entry, models, fitting)


def _marked(entry: Entry, models: list[type[BaseModel]], fitting: list[_Declared]) -> Entry:
    """Return the entry, said to be of some providers where it is."""
    from penstock_inference.adapters.providers.registry import PROVIDERS

    if len(fitting) == len(models) or entry.meaning.startswith(_OF_SOME):
        return entry
    owners = {one.owner for one in fitting}
    names = [name for name, provider in PROVIDERS.items() if provider.settings in owners]
    return replace(entry, meaning=f"{_OF_SOME}{', '.join(names)}: {entry.meaning}") if names else entry


def _step(annotation: Any) -> str:
    origins = {typing.get_origin(form) for form in branches(annotation)}
    return "[]" if list in origins else ".NAME" if dict in origins else ""


def _meaning(declared: list[_Declared]) -> str:
    return next((text for one in declared if (text := _described(one))), "")


def _described(one: _Declared) -> str:
    """Return the text under the field's declaration, in the class or where it has it from."""
    name = next(name for name, field in one.owner.model_fields.items() if field is one.field)
    return next((text for base in one.owner.__mro__ if (text := _texts(base).get(name))), "")


@cache
def _texts(declaring: type) -> Mapping[str, str]:
    """Return the texts under the declarations of a class."""
    if declaring.__module__ == "builtins" or "__annotations__" not in vars(declaring):
        return {}
    (tree,) = ast.parse(textwrap.dedent(inspect.getsource(declaring))).body
    assert isinstance(tree, ast.ClassDef)
    texts: dict[str, str] = {}
    for declared, after in zip(tree.body, tree.body[1:], strict=False):
        if isinstance(declared, ast.AnnAssign) and isinstance(declared.target, ast.Name):
            text = after.value if isinstance(after, ast.Expr) else None
            if isinstance(text, ast.Constant) and isinstance(text.value, str):
                texts[declared.target.id] = " ".join(text.value.split())
    return texts


def _doc(model: type[BaseModel]) -> str:
    return " ".join((inspect.getdoc(model) or "").split())


def _kind(annotation: Any, metadata: list[Any]) -> str:
    forms = [form for form in branches(annotation) if form is not type(None)]
    kinds = dict.fromkeys(_kind_of(form) for form in forms)
    metadata = [*metadata, *_metadata(annotation)]
    bounds = [f"{sign} {value}" for name, sign in _BOUNDS if (value := _bound(metadata, name)) is not None]
    return ", ".join([" or ".join(kinds), *bounds])


def _metadata(annotation: Any) -> list[Any]:
    """Return what is noted beside a type, also where it is one of several forms."""
    if typing.get_origin(annotation) is typing.Annotated:
        base, *notes = typing.get_args(annotation)
        return [*_metadata(base), *(inner for note in notes for inner in getattr(note, "metadata", [note]))]
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        return [note for form in typing.get_args(annotation) for note in _metadata(form)]
    return []


def _kind_of(form: Any) -> str:
    origin, arguments = typing.get_origin(form), typing.get_args(form)
    if origin is typing.Literal:
        return ", ".join(f"`{choice}`" for choice in arguments)
    if origin is list:
        item = _kind(arguments[0], [])
        return f"list of {item}" if item.startswith("`") else f"list of {item}s"
    if origin is dict:
        return f"{_kind(arguments[1], [])} by name"
    if not isinstance(form, type) or form is Any:
        return "mapping"
    if issubclass(form, SecretStr):
        return "secret"
    if issubclass(form, BaseModel):
        return "mapping"
    if issubclass(form, Enum):
        return ", ".join(f"`{choice.value}`" for choice in form)
    return _NAMES.get(form, "number")


def _bound(metadata: list[Any], name: str) -> Any:
    value = next((found for one in metadata if (found := getattr(one, name, None)) is not None), None)
    return format_duration(value) if isinstance(value, timedelta) else value


def _default(field: FieldInfo) -> str:
    value = field.default.value if isinstance(field.default, Enum) else field.default
    if value is PydanticUndefined:
        return "required"
    if isinstance(value, SecretStr | BaseModel) or value in (None, "", [], {}):
        return ""
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, timedelta):
        return f"`{format_duration(value)}`"
    if isinstance(value, list):
        return f"`[{', '.join(map(str, typing.cast('list[Any]', value)))}]`"
    return f"`{value}`"


def _cell(text: str) -> str:
    return text.replace("``", "`").replace("|", r"\|")
