"""What differs between two versions, for people."""

from __future__ import annotations

import difflib
from collections.abc import Iterator

import msgspec

from penstock_gateway.domain.prompts.content import Template, Variable
from penstock_gateway.domain.prompts.records import VersionRecord


def difference(old: VersionRecord, new: VersionRecord) -> str:
    """Return a unified diff of everything that the versions say; empty where they say the same."""
    one, other = (f"{record.name}@{record.version}" for record in (old, new))
    lines = difflib.unified_diff(_lines(old.template), _lines(new.template), one, other, lineterm="")
    return "\n".join(lines)


def _lines(template: Template) -> list[str]:
    return [*_head(template), *_turns(template)]


def _head(template: Template) -> Iterator[str]:
    if template.model:
        yield f"model: {template.model}"
    for name, value in msgspec.to_builtins(template.sampling).items():
        yield f"{name}: {_json(value)}"
    for variable in template.variables:
        yield _variable(variable)


def _turns(template: Template) -> Iterator[str]:
    for turn in template.turns:
        yield f"[{turn.role.value}]"
        yield from turn.text.split("\n")


def _variable(variable: Variable) -> str:
    said = [variable.type.value]
    if variable.values:
        said.append(f"one of {', '.join(variable.values)}")
    if variable.default is not None:
        said.append(f"default {_json(variable.default)}")
    elif not variable.required:
        said.append("optional")
    if variable.max_length:
        said.append(f"at most {variable.max_length} characters")
    told = f": {variable.description}" if variable.description else ""
    return f"variable {variable.name} ({'; '.join(said)}){told}"


def _json(value: object) -> str:
    return msgspec.json.encode(value, order="sorted").decode()
