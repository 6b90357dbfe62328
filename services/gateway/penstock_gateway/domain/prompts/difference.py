"""What differs between two versions, for people."""

from __future__ import annotations

import difflib
from collections.abc import Iterator

import msgspec

from penstock_gateway.domain.prompts.content import Template, Variable
from penstock_gateway.domain.prompts.records import VersionRecord

MAX_COMPARED_LINES = 2_000
"""Of a version. Of one that has more, all between the first and the last line that differ counts as changed."""
_CONTEXT = 3


def difference(old: VersionRecord, new: VersionRecord) -> str:
    """Return a unified diff of everything that the versions say; empty where they say the same."""
    one, other = (f"{record.name}@{record.version}" for record in (old, new))
    before, after = _lines(old.template), _lines(new.template)
    if max(len(before), len(after)) > MAX_COMPARED_LINES:
        # To compare each line with each takes minutes where they are many.
        return "\n".join(_in_one_piece(before, after, one, other))
    return "\n".join(difflib.unified_diff(before, after, one, other, lineterm=""))


def _in_one_piece(old: list[str], new: list[str], one: str, other: str) -> Iterator[str]:
    if old == new:
        return
    head = _alike(old, new)
    tail = _alike(old[head:][::-1], new[head:][::-1])
    removed, added = old[head : len(old) - tail], new[head : len(new) - tail]
    begins = max(0, head - _CONTEXT)
    above, below = old[begins:head], old[len(old) - tail :][:_CONTEXT]
    around = len(above) + len(below)
    yield from (f"--- {one}", f"+++ {other}")
    yield f"@@ -{begins + 1},{around + len(removed)} +{begins + 1},{around + len(added)} @@"
    for sign, lines in ((" ", above), ("-", removed), ("+", added), (" ", below)):
        yield from (f"{sign}{line}" for line in lines)


def _alike(one: list[str], other: list[str]) -> int:
    """Return how many lines both begin with."""
    pairs = zip(one, other, strict=False)
    return next((at for at, (line, its) in enumerate(pairs) if line != its), min(len(one), len(other)))


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
