"""The port of a vector store: what is kept, how it is asked for, and how it fails. No engine is known here."""

from __future__ import annotations

import hashlib
import re
from array import array
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol

from penstock_common.errors import ServiceUnavailable
from penstock_common.points.conditions import Condition

if TYPE_CHECKING:
    Vector = array[float]
else:
    # Of 3.11 it cannot be subscribed at run time, and codecs read annotations.
    Vector = array

Payload = Mapping[str, str | int | float | Sequence[str]]
"""Small fields beside a vector. Only those that the collection names as keywords or numbers can be asked for."""
Terms = Mapping[int, float]
"""A sparse vector: weights above 0 by numbers of 32 bits, such as hashes of words."""
TENANT = "tenant"
"""The field in which every engine keeps a point's tenant; no payload has one of this name."""

_WORD = re.compile(r"[a-z0-9]+")
_SLUG_CHARACTERS = 40
_DIGEST_CHARACTERS = 12
_NOTHING: Mapping[str, str] = {}
_UNBOUNDED: Mapping[str, float] = {}
_NO_CHOICE: Mapping[str, Sequence[str]] = {}
_NO_TERMS: Terms = {}


class PointsUnavailable(ServiceUnavailable):
    """The vector store does not answer in time, is full, or is left alone for a moment after failures."""


class PointsLate(PointsUnavailable):
    """It did not answer within the time of this question, which may have been short."""


class Collection(NamedTuple):
    """Points that may be compared: made by one revision of one model, with one form of payload.

    A change of anything here is another collection, and its points never meet those of this one.
    """

    purpose: str
    """Whose it is, such as ``cache``."""
    schema: int
    """Version of the payload's form."""
    model: str
    revision: str
    dimension: int
    keywords: tuple[str, ...] = ()
    """Fields of text, or lists of it, that ``Where.equal``, ``any_of`` and ``only`` may name."""
    numbers: tuple[str, ...] = ()
    """Numeric fields that ``Where.above`` and ``Where.below`` may name."""
    sparse: bool = False
    """Whether points have terms, too, and can be matched by them."""

    @property
    def name(self) -> str:
        """The name that engines know it by: letters, digits and hyphens; another for every other collection."""
        parts = [
            self.purpose,
            str(self.schema),
            self.model,
            self.revision,
            str(self.dimension),
            ",".join(self.keywords),
            ",".join(self.numbers),
        ]
        if self.sparse:
            # Those without terms keep the name that they had before there were any.
            parts.append("sparse")
        digest = hashlib.sha256("\0".join(parts).encode()).hexdigest()[:_DIGEST_CHARACTERS]
        slug = "-".join(_WORD.findall(self.model.lower()))[:_SLUG_CHARACTERS].strip("-")
        return f"penstock-{self.purpose}-v{self.schema}-{slug}-{self.dimension}-{digest}"


class Point(NamedTuple):
    """A unit vector of 32-bit floats with what is kept beside it.

    ``id`` is a UUID as text, and nobody's else: who puts one that another tenant has changes nothing.
    """

    id: str
    tenant: str
    vector: Vector
    payload: Payload
    terms: Terms = _NO_TERMS


class Scored(NamedTuple):
    """A point that was searched for. ``score`` is the cosine of a near one, and of a matching one the sum of products."""

    id: str
    tenant: str
    score: float
    payload: Payload


class Where(NamedTuple):
    """Which points of one tenant are meant; every condition must hold.

    ``tenant`` is a keyed hash and never empty. ``equal`` is met by a list that has the value among its own.
    ``above`` and ``below`` exclude the bounds themselves. ``ids`` None means whichever, and an empty sequence none.
    ``any_of`` is met by a value, or a list that has one, of those given: at least one, at most ``MOST_VALUES``.
    ``only`` is met as it says.
    """

    tenant: str
    equal: Mapping[str, str] = _NOTHING
    above: Mapping[str, float] = _UNBOUNDED
    below: Mapping[str, float] = _UNBOUNDED
    ids: Sequence[str] | None = None
    any_of: Mapping[str, Sequence[str]] = _NO_CHOICE
    only: Condition | None = None


class Page(NamedTuple):
    """Points in the order of their ids; ``after`` asks for the next page, and is empty on the last."""

    points: Sequence[Point]
    after: str


class Points(Protocol):
    """One collection. ``timeout`` is in seconds and bounds the whole call; None is the engine's own.

    Raises:
        PointsUnavailable: if the engine cannot be asked, or does not answer in time; what was to be written may
            or may not be.
        InvalidRequest: if a vector's dimension is another, no tenant is named, a field that the collection does
            not name is asked for, terms are where the collection has none, or conditions are too many.
    """

    @property
    def collection(self) -> Collection:
        """What is kept here."""
        ...

    async def nearest(
        self,
        vector: Vector,
        where: Where,
        *,
        limit: int,
        floor: float,
        fields: Sequence[str] = (),
        timeout: float | None = None,  # noqa: ASYNC109 - an engine's, which is told of it
    ) -> Sequence[Scored]:
        """Return at most ``limit`` points whose score is at least ``floor``, the nearest first.

        Of their payloads only ``fields`` are read; empty means all.
        """
        ...

    async def matching(
        self,
        terms: Terms,
        where: Where,
        *,
        limit: int,
        fields: Sequence[str] = (),
        timeout: float | None = None,  # noqa: ASYNC109 - as above
    ) -> Sequence[Scored]:
        """Return at most ``limit`` points, those with the highest sum of products of weights first; ``fields`` as above.

        None is without a common term. The weights are the caller's own: an engine that could change them by how rare a
        term is in the collection does not, as that would tell of other tenants.
        """
        ...

    async def put(self, points: Sequence[Point], *, timeout: float | None = None) -> None:  # noqa: ASYNC109 - as above
        """Keep the points, each in place of an earlier one of its id and tenant; they are found from now on."""
        ...

    async def get(
        self,
        tenant: str,
        ids: Sequence[str],
        *,
        timeout: float | None = None,  # noqa: ASYNC109 - as above
    ) -> Sequence[Point]:
        """Return those that the tenant has, with their vectors and terms, in the order of their ids."""
        ...

    async def set_payload(
        self,
        where: Where,
        payload: Payload,
        *,
        timeout: float | None = None,  # noqa: ASYNC109 - as above
    ) -> None:
        """Change the fields that ``payload`` names, and no other."""
        ...

    async def delete(self, where: Where, *, timeout: float | None = None) -> int:  # noqa: ASYNC109 - as above
        """Delete, and return how many there were."""
        ...

    async def count(self, where: Where, *, timeout: float | None = None) -> int:  # noqa: ASYNC109 - as above
        """Return how many there are."""
        ...

    async def scroll(
        self,
        where: Where,
        *,
        limit: int,
        after: str = "",
        timeout: float | None = None,  # noqa: ASYNC109 - as above
    ) -> Page:
        """Return the page behind ``after``, with empty vectors and no terms: they are not read."""
        ...

    async def drop_tenant(self, tenant: str, *, timeout: float | None = None) -> None:  # noqa: ASYNC109 - as above
        """Delete all that the tenant has here."""
        ...

    async def sweep(self, field: str, below: float, *, timeout: float | None = None) -> int:  # noqa: ASYNC109 - as above
        """Delete the points of every tenant whose number is lower, and return how many there were."""
        ...

    async def size(self, *, timeout: float | None = None) -> int:  # noqa: ASYNC109 - as above
        """Return how many points all tenants have here."""
        ...


class Engine(Protocol):
    """Keeps collections; one that is missing is made when it is first used."""

    def points(self, collection: Collection) -> Points:
        """Return the collection; nothing is asked yet."""
        ...
