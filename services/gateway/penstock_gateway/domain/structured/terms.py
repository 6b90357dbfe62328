"""For which public models answers are checked, and how often they are asked for again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import StrEnum

import msgspec

from penstock_gateway.domain.structured.schema import MakeSchema, Problem


class Terms(msgspec.Struct, frozen=True):
    """What holds for a public model: how often an answer that is not valid is asked for again, at most."""

    repairs: int = 2


class Told(StrEnum):
    """What became of an answer that was to be JSON."""

    VALID = "valid"
    MENDED = "mended"
    """It was valid within words or a fence of Markdown, which were taken off."""
    REPAIRED = "repaired"
    """It was asked for again."""
    INVALID = "invalid"
    """The caller has the last one as it is."""
    CUT = "cut"
    """It ended before its end: at its limit of tokens, or by a filter. To ask again would not help."""
    OTHER = "other"
    """It calls a tool, or refuses: no schema is for that."""
    UNCHECKED = "unchecked"
    """Its schema cannot be checked, or not with an answer of that size."""


class StructuredOutput:
    """What answers are checked with. ``note`` hears of each, by public model."""

    def __init__(self, by_name: Mapping[str, Terms], make: MakeSchema, note: Callable[[str, Told], None]) -> None:
        self.by_name, self.make, self.note = by_name, make, note

    def take_over(self, by_name: Mapping[str, Terms]) -> None:
        """Go by other terms from now on."""
        self.by_name = by_name


def asked_again(problem: Problem, schema_json: str) -> str:
    """Return what the model is told of an answer that is not valid."""
    if problem.rule:
        return f"That answer cannot be given: {problem.told}\nAnswer the same request again, with that put right."
    schema = f"\nThe schema:\n{schema_json}" if 0 < len(schema_json) <= _LONGEST_SCHEMA else ""
    return (
        f"That answer cannot be used: {problem.told}\nAnswer the same request again. Reply with JSON that the schema "
        f"accepts and with nothing else: no explanation, no Markdown.{schema}"
    )


_LONGEST_SCHEMA = 16_384
