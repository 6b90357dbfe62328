"""Usage as the contract's messages, and back."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp

from penstock.gateway.v1 import usage_service_pb2 as pb
from penstock_common.errors import InvalidRequest
from penstock_gateway.domain.usage.lines import Line, Sums, UsedRequest
from penstock_gateway.domain.usage.query import Dimension, Filter, Group

_BY_LIST = tuple(name for name in Dimension if name.value in pb.UsageFilter.DESCRIPTOR.fields_by_name)
_FILTERED = tuple(name for name in _BY_LIST if name is not Dimension.TENANT)


def filter_from(message: pb.UsageFilter) -> Filter:
    """Return what is asked for.

    Raises:
        InvalidRequest: if a time or a tag is none.
    """
    return Filter(
        tenant=message.tenant,
        where={name: tuple(values) for name in _FILTERED if (values := getattr(message, name.value))},
        tags=_tags(message.tag),
        since=_moment(message, "since"),
        until=_moment(message, "until"),
    )


def line_message(line: Line, by: Sequence[Group], starts: Sequence[datetime], ends: Sequence[datetime]) -> pb.UsageLine:
    """Return a group's sums."""
    message = pb.UsageLine(
        groups={group.name: name for group, name in zip(by, line.names, strict=True)}, sums=sums_message(line.sums)
    )
    if starts:
        message.start.CopyFrom(_stamp(starts[line.turn]))
        message.end.CopyFrom(_stamp(ends[line.turn]))
    return message


def request_message(row: UsedRequest) -> pb.UsedRequest:
    """Return an entry of the ledger."""
    return pb.UsedRequest(
        generation_id=row.generation_id,
        request_id=row.request_id,
        created_at=_stamp(row.created_at),
        **row.of,
        tags=row.tags,
        kind=row.kind,
        finish_reason=row.finish_reason,
        time_to_first_token_ms=row.time_to_first_token_ms,
        sums=sums_message(row.sums),
    )


def sums_message(sums: Sums) -> pb.UsageSums:
    """Return what entries add up to."""
    return pb.UsageSums(**{name: getattr(sums, name) for name in Sums.__struct_fields__})


def _tags(texts: Sequence[str]) -> dict[str, str]:
    parted = [text.partition("=") for text in texts]
    if not all(equals for _, equals, _ in parted):
        raise InvalidRequest("filter.tag: KEY=VALUE is expected.", field="filter.tag")
    return {key: value for key, _, value in parted}


def _moment(message: pb.UsageFilter, field: Any) -> datetime | None:
    if not message.HasField(field):
        return None
    try:
        return getattr(message, field).ToDatetime(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise InvalidRequest(f"filter.{field} is no time.", field=f"filter.{field}") from None


def _stamp(moment: datetime) -> Timestamp:
    stamp = Timestamp()
    stamp.FromDatetime(moment)
    return stamp
