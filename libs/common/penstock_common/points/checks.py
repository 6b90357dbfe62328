"""What every engine refuses before it is asked, so that all refuse the same in the same words."""

from __future__ import annotations

import math
import uuid
from collections.abc import Iterable, Sequence

from penstock_common.errors import InvalidRequest
from penstock_common.points.conditions import MOST_CONDITIONS, MOST_DEPTH, MOST_VALUES, Condition, In, Not
from penstock_common.points.store import TENANT, Collection, Payload, Point, Terms, Vector, Where

MOST_TERMS = 16_384
"""Of one point, or one search."""
_LAST_TERM = 2**32 - 1


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
    if where.any_of:
        for field, values in where.any_of.items():
            _check_choice(collection, field, values, "any_of")
    if where.only is not None:
        _check_condition(collection, where.only)


def check_terms(collection: Collection, terms: Terms) -> None:
    """Refuse terms where the collection has none, numbers of more than 32 bits, and weights that are not above 0."""
    if not terms:
        return
    if not collection.sparse:
        raise InvalidRequest(f"{collection.name} has no terms.", field="terms")
    if len(terms) > MOST_TERMS:
        raise InvalidRequest(f"There are {len(terms)} terms; at most {MOST_TERMS} are taken.", field="terms")
    for term, weight in terms.items():
        if not 0 <= term <= _LAST_TERM or not 0 < weight < math.inf:
            raise InvalidRequest(
                f"The term {term} with weight {weight} is none: a term has 32 bits, and a weight above 0.",
                field="terms",
            )


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
        check_terms(collection, point.terms)
        check_payload(point.payload)


def _check_fields(collection: Collection, fields: Iterable[str], known: Sequence[str], name: str) -> None:
    for field in fields:
        if field not in known:
            raise InvalidRequest(f"{collection.name} has no index of {field!r}.", field=name)


def _check_choice(collection: Collection, field: str, values: Sequence[str], name: str) -> None:
    _check_fields(collection, (field,), collection.keywords, name)
    if not 0 < len(values) <= MOST_VALUES:
        raise InvalidRequest(
            f"{field!r} is asked for {len(values)} values; it can be asked for 1 to {MOST_VALUES}.", field=name
        )


def _check_condition(collection: Collection, condition: Condition) -> None:
    count, level = 0, [condition]
    for _ in range(MOST_DEPTH):
        count += len(level)
        if count > MOST_CONDITIONS:
            raise InvalidRequest(f"There are more than {MOST_CONDITIONS} conditions.", field="only")
        level = [inner for outer in level for inner in _within(collection, outer)]
        if not level:
            return
    raise InvalidRequest(f"Conditions are nested deeper than {MOST_DEPTH} levels.", field="only")


def _within(collection: Collection, condition: Condition) -> Sequence[Condition]:
    if isinstance(condition, In):
        _check_choice(collection, condition.field, condition.values, "only")
        return ()
    if isinstance(condition, Not):
        return (condition.of,)
    if not condition.of:
        raise InvalidRequest("A condition that joins others has none.", field="only")
    return condition.of
