"""Whether a schema that a stranger sent may be applied to a text that a stranger may have shaped: in time that is no power of either.

A validator follows each reference each time it meets it, so that twenty definitions, each of which names the next one twice, are a
million; and a recursive one in which a member leads back in two ways doubles with each level of the text.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any, cast

MOST_STEPS = 20_000
"""Of a schema with its references followed."""
MOST_WORK = 5_000_000
"""Of these steps, times the values of a text: some tenths of a second."""

_IN_PLACE = ("allOf", "anyOf", "oneOf", "not", "if", "then", "else")
_OF_ITEMS = ("items", "prefixItems", "additionalItems", "unevaluatedItems", "contains")
_OF_ANY_MEMBER = ("patternProperties", "additionalProperties", "unevaluatedProperties", "propertyNames")
_NEVER = frozenset({"$dynamicRef", "$recursiveRef", "$id"})
_ANY = "*"
Label = tuple[str, ...]


class TooMuch(ValueError):
    """A schema that is not to be applied."""


class _Walk:
    """Counts the steps of a schema, and in how many ways each of its recursions leads back to one place of a text."""

    def __init__(self, root: dict[str, Any]) -> None:
        self._root = root
        self._looks = self._cycles = 0
        self._steps: dict[str, int] = {}  # of references that lead back to nothing
        self._running: list[str] = []
        self._ways: dict[str, Counter[Label]] = {}

    def steps(self, schema: object, label: Label = ()) -> int:
        """Return how many schemas are applied in all."""
        self._looks += 1
        if self._looks > MOST_STEPS:
            raise TooMuch("it is too large with its references followed")
        if isinstance(schema, list):
            return sum(self.steps(one, label) for one in cast("list[object]", schema))
        if not isinstance(schema, dict):
            return 1
        members = cast("dict[str, object]", schema)
        if not _NEVER.isdisjoint(members):
            raise TooMuch("it says where it stands, or refers to what it is used by")
        steps = 1
        if isinstance(reference := members.get("$ref"), str):
            steps += self._followed(reference, label)
        for part, further in _parts(members):
            steps += self.steps(part, (*label, *further))
            if steps > MOST_STEPS:
                raise TooMuch("it is too large with its references followed")
        return steps

    def _followed(self, reference: str, label: Label) -> int:
        if reference in self._running:
            self._cycles += 1
            for inside in self._running[self._running.index(reference) :]:
                self._lead_back(inside, label)
            return 1
        if reference in self._steps:
            return self._steps[reference]
        cycles = self._cycles
        self._running.append(reference)
        steps = self.steps(self._target(reference), label)
        self._running.pop()
        if cycles == self._cycles:
            self._steps[reference] = steps
        return steps

    def _lead_back(self, reference: str, label: Label) -> None:
        if not label:
            raise TooMuch("it leads back to itself")
        ways = self._ways.setdefault(reference, Counter())
        ways[label] += 1
        if sum(count for other, count in ways.items() if _may_be_one(other, label)) > 1:
            raise TooMuch("it leads back in two ways at once")

    def _target(self, reference: str) -> object:
        if reference != "#" and not reference.startswith("#/"):
            raise TooMuch("it refers to what is not in it")
        found: object = self._root
        for step in reference.split("/")[1:]:
            name = step.replace("~1", "/").replace("~0", "~")
            if not isinstance(found, dict) or name not in found:
                raise TooMuch("it refers to what is not in it")
            found = cast("dict[str, object]", found)[name]
        return found


def steps_of(schema: dict[str, Any]) -> int:
    """Return how many schemas are applied where one is.

    Raises:
        TooMuch: if it is not to be applied.
    """
    # What it is called is of no use to anybody here.
    named = {name: part for name, part in schema.items() if name != "$id"}
    return _Walk(named).steps(named)


def _parts(schema: dict[str, object]) -> Iterator[tuple[object, Label]]:
    """Yield the schemas within one, each with what of the text it is applied to: the same, a member, or the items."""
    for name in _IN_PLACE:
        if name in schema:
            yield schema[name], ()
    for name in _OF_ITEMS:
        if name in schema:
            yield schema[name], ("[]",)
    for name in _OF_ANY_MEMBER:
        if name in schema:
            part = schema[name]
            yield (
                list(cast("dict[str, object]", part).values())
                if name == "patternProperties" and isinstance(part, dict)
                else part,
                (_ANY,),
            )
    for name in ("properties", "dependentSchemas", "dependencies"):
        if isinstance(named := schema.get(name), dict):
            for member, part in cast("dict[str, object]", named).items():
                yield part, (f".{member}",) if name == "properties" else ()


def _may_be_one(left: Label, right: Label) -> bool:
    """Return whether both may be the same place of a text."""
    return len(left) == len(right) and all(
        a == b or (_ANY in (a, b) and "[]" not in (a, b)) for a, b in zip(left, right, strict=True)
    )
