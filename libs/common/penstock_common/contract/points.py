"""What a vector store is asked over a wire, with values of ``penstock_common.points.store``."""

from __future__ import annotations

from collections.abc import Sequence

from penstock_common.llm.types import Value
from penstock_common.points.store import Collection, Payload, Point, Terms, Vector, Where


class Nearest(Value, frozen=True, tag=True):
    """Answered with ``Scored`` points."""

    collection: Collection
    vector: Vector
    where: Where
    limit: int
    floor: float
    fields: Sequence[str] = ()


class Matching(Value, frozen=True, tag=True):
    """Answered with ``Scored`` points."""

    collection: Collection
    terms: Terms
    where: Where
    limit: int
    fields: Sequence[str] = ()


class Put(Value, frozen=True, tag=True):
    """Answered with nothing."""

    collection: Collection
    points: Sequence[Point]


class Get(Value, frozen=True, tag=True):
    """Answered with points."""

    collection: Collection
    tenant: str
    ids: Sequence[str]


class SetPayload(Value, frozen=True, tag=True):
    """Answered with nothing."""

    collection: Collection
    where: Where
    payload: Payload


class Delete(Value, frozen=True, tag=True):
    """Answered with how many there were."""

    collection: Collection
    where: Where


class Count(Value, frozen=True, tag=True):
    """Answered with how many there are."""

    collection: Collection
    where: Where


class Scroll(Value, frozen=True, tag=True):
    """Answered with a ``Page``."""

    collection: Collection
    where: Where
    limit: int
    after: str = ""


class Sweep(Value, frozen=True, tag=True):
    """Answered with how many there were."""

    collection: Collection
    field: str
    below: float


class Size(Value, frozen=True, tag=True):
    """Answered with how many there are."""

    collection: Collection


Question = Nearest | Matching | Put | Get | SetPayload | Delete | Count | Scroll | Sweep | Size
