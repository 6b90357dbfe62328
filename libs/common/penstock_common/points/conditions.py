"""Conditions on keyword fields that an engine joins: which of a tenant's points are meant, beyond what all of them meet."""

from __future__ import annotations

from collections.abc import Sequence

from penstock_common.llm.types import Value

MOST_DEPTH = 6
"""Conditions within conditions: a caller's filter of five levels, whose comparisons may be negated."""
MOST_CONDITIONS = 256
"""In one tree: a caller's filter of 64 comparisons, each of which may be negated, and what joins them."""
MOST_VALUES = 512
"""Of one field's condition: a range of numbers by the heads of their digits needs up to 464."""

EXACT_AT_MOST = 25_000
"""Points that meet the conditions, as the embedded engine guesses: so many are compared one by one. Of 17,500 among 100,000
that takes 30 ms of a processor and finds all, where the graph takes 120 ms."""
ACORN_SELECTIVITY = 0.25
"""Of a tenant's points: where fewer meet the conditions, a graph is searched over those that do not, too, and the neighbours
of neighbours are looked at, which takes several times as long. Otherwise it falls apart: of the ten nearest among a sixth
of 100,000 only five are found. Where two fifths meet them, nine are, and with `hnsw_filtered_ef` nearly all."""


class In(Value, frozen=True, tag="in"):
    """The field has one of the values, or its list has; a point without the field does not meet it."""

    field: str
    values: Sequence[str]


class Not(Value, frozen=True, tag="not"):
    """The condition is not met; so points without its field are meant."""

    of: Condition


class AllOf(Value, frozen=True, tag="all"):
    """Each is met."""

    of: Sequence[Condition]


class AnyOf(Value, frozen=True, tag="any"):
    """At least one is met."""

    of: Sequence[Condition]


Condition = In | Not | AllOf | AnyOf
"""Of keywords alone. Flags and numbers, and even ranges of numbers, can be said with them: whoever keeps points chooses
how, and an index answers in every case. Fields whose names are free, such as attributes of documents, cannot each have
one, and without one an engine reads the payload of every point that it looks at: half a second for 100,000."""
