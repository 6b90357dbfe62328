"""A request's priority, as ``penstock.llm.v1`` writes it."""

from __future__ import annotations

from penstock.llm.v1 import generation_pb2 as gen
from penstock_common.priority import Priority

_TO_PROTO = {
    Priority.CRITICAL: gen.PRIORITY_CRITICAL,
    Priority.DEFAULT: gen.PRIORITY_DEFAULT,
    Priority.SHEDDABLE: gen.PRIORITY_SHEDDABLE,
}
_FROM_PROTO: dict[int, Priority] = {number: priority for priority, number in _TO_PROTO.items()}


def priority_to_proto(priority: Priority) -> gen.Priority:
    """Return the wire form of a priority."""
    return _TO_PROTO[priority]


def priority_from_proto(proto: int) -> Priority | None:
    """Return the value of a priority; None where nothing was said, or what this version does not know."""
    return _FROM_PROTO.get(proto)
