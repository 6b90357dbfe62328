"""What every engine refuses before it is asked, so that all refuse the same in the same words."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence

from penstock_common.errors import InvalidRequest
from penstock_common.points.store import TENANT, Collection, Payload, Point, Vector, Where


def check_vector(collection: Collection, vector: Vector) -> None:
    """Refuse a vector of another dimension."""
    if len(vector) != collection.dimension:
        raise InvalidRequest(
            f"The vector has {len(vector)} dimensions; those of {collection.name} have {collection.dimension}.",
            field="vector",
        )


def check_where(collection: Collection, where: Where) -> None:
    """Refuse what names no tenant, or fields that no index has."""
    check_tenant(where.tenant)
    _check_fields(collection, where.equal, collection.keywords, "equal")
    check_numbers(collection, (*where.above, *where.below))
    check_ids(where.ids or ())


def check_tenant(tenant: str) -> None:
    """Refuse an empty tenant: nothing would stand between it and the others."""
    if not tenant:
        raise InvalidRequest("No tenant is named.", field="tenant")


def check_numbers(collection: Collection, fields: Iterable[str]) -> None:
    """Refuse bounds of fields that the collection does not name as numbers."""
    _check_fields(collection, fields, collection.numbers, "above")


def check_ids(ids: Iterable[str]) -> None:
    """Refuse ids that are no UUIDs."""
    for text in ids:
        try:
            well_formed = str(uuid.UUID(text)) == text
        except ValueError:
            well_formed = False
        if not well_formed:
            raise InvalidRequest(f"{text!r} is no UUID in its usual form.", field="ids")


def check_payload(payload: Payload) -> None:
    """Refuse a field that would change whose the point is."""
    if TENANT in payload:
        raise InvalidRequest(f"A payload has no field {TENANT!r}: a point names its tenant itself.", field="payload")


def check_points(collection: Collection, points: Sequence[Point]) -> None:
    """Refuse points that the collection cannot keep."""
    check_ids(point.id for point in points)
    for point in points:
        check_tenant(point.tenant)
        check_vector(collection, point.vector)
        check_payload(point.payload)


def _check_fields(collection: Collection, fields: Iterable[str], known: Sequence[str], name: str) -> None:
    for field in fields:
        if field not in known:
            raise InvalidRequest(f"{collection.name} has no index of {field!r}.", field=name)
