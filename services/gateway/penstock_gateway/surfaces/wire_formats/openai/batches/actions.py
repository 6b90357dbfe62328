"""What is done with batches."""

from __future__ import annotations

from datetime import datetime, timedelta

import msgspec

from penstock_common.errors import InvalidRequest
from penstock_gateway.domain.batches.batch import OPENAI, Batch
from penstock_gateway.domain.batches.desk import BatchAsked
from penstock_gateway.domain.batches.ports import BatchFilter
from penstock_gateway.surfaces.wire_formats.answer_head import JSON_LINE
from penstock_gateway.surfaces.wire_formats.json_body import read_members, read_object
from penstock_gateway.surfaces.wire_formats.keeping import KeptCall, KeptParts, StoresAnswer
from penstock_gateway.surfaces.wire_formats.openai.batches import wire
from penstock_gateway.surfaces.wire_formats.openai.vector_stores.common import object_in
from penstock_gateway.surfaces.wire_formats.openai.vector_stores.paging import read_cursor
from penstock_gateway.surfaces.wire_formats.openai.vector_stores.wire import ObjectList

_CREATION = msgspec.json.Decoder(wire.BatchCreation)
# More than any file may be kept, and no more than a timedelta holds.
_MOST_SECONDS = 1_000_000_000
_CHOICES = {"output_expires_after.anchor": "'created_at'"}
_encode = msgspec.json.Encoder().encode


def parse_creation(body: bytes) -> wire.BatchCreation:
    """Return what a batch is to be.

    Raises:
        InvalidRequest, UnsupportedParameter: if that cannot be had.
    """
    read_members(body)
    return read_object(_CREATION, body, _CHOICES)


async def create(parts: KeptParts, call: KeptCall) -> StoresAnswer:
    """Begin a batch."""
    given: wire.BatchCreation = call.body
    expires = given.output_expires_after
    asked = BatchAsked(
        input_file=given.input_file_id,
        endpoint=given.endpoint,
        window=given.completion_window,
        metadata=given.metadata or {},
        output_ttl=None if expires is None else timedelta(seconds=min(max(expires.seconds, 0), _MOST_SECONDS)),
        request_id=call.request_id,
        traceparent=call.traceparent,
    )
    return _answer(await parts.desk.create(call.caller, asked))


async def get(parts: KeptParts, call: KeptCall) -> StoresAnswer:
    """Return a batch."""
    return _answer(await parts.desk.get(call.caller, object_in(call, "batch", "batch")))


async def cancel(parts: KeptParts, call: KeptCall) -> StoresAnswer:
    """Have a batch end."""
    return _answer(await parts.desk.cancel(call.caller, object_in(call, "batch", "batch")))


async def list_all(parts: KeptParts, call: KeptCall) -> StoresAnswer:
    """Return a page of batches, the newest first."""
    cursor = read_cursor(call.query)
    if cursor.before or not cursor.descending:
        name = "before" if cursor.before else "order"
        raise InvalidRequest(f"'{name}' is not supported here: batches are listed from the newest on.", field=name)
    if cursor.after:
        # Whoever asks for what follows nothing would be given the first page again and again.
        await parts.desk.get(call.caller, cursor.after)
    wanted = BatchFilter(tenant="", surface=OPENAI, after=cursor.after)
    found = await parts.desk.list(call.caller, wanted, cursor.limit + 1)
    page = found[: cursor.limit]
    told = ObjectList(
        data=[batch_told(one) for one in page],
        first_id=page[0].id if page else None,
        last_id=page[-1].id if page else None,
        has_more=len(found) > len(page),
    )
    return StoresAnswer(_encode(told), JSON_LINE)


def batch_told(batch: Batch) -> wire.BatchObject:
    """Return a batch as OpenAI's object."""
    errors = [
        wire.BatchError(code=each.code, message=each.message, param=each.param, line=each.line) for each in batch.errors
    ]
    tokens = batch.tokens
    return wire.BatchObject(
        id=batch.id,
        endpoint=batch.endpoint,
        model=batch.model or None,
        errors=wire.BatchErrors(data=errors) if errors else None,
        input_file_id=batch.input_file,
        status=batch.state.value,
        output_file_id=batch.output_file or None,
        error_file_id=batch.error_file or None,
        created_at=int(batch.created_at.timestamp()),
        expires_at=int(batch.expires_at.timestamp()),
        in_progress_at=_seconds(batch.in_progress_at),
        finalizing_at=_seconds(batch.finalizing_at),
        completed_at=_seconds(batch.completed_at),
        failed_at=_seconds(batch.failed_at),
        expired_at=_seconds(batch.expired_at),
        cancelling_at=_seconds(batch.cancelling_at),
        cancelled_at=_seconds(batch.cancelled_at),
        request_counts=wire.RequestCounts(total=batch.total, completed=batch.completed, failed=batch.failed),
        usage=wire.BatchUsage(
            input_tokens=tokens.input,
            input_tokens_details=wire.InputDetails(cached_tokens=tokens.cached),
            output_tokens=tokens.output,
            output_tokens_details=wire.OutputDetails(reasoning_tokens=tokens.reasoning),
            total_tokens=tokens.input + tokens.output,
        ),
        metadata=dict(batch.metadata) or None,
        penstock=wire.ByProviders(batch.handed, batch.answered_by_providers) if batch.handed else msgspec.UNSET,
    )


def _answer(batch: Batch) -> StoresAnswer:
    return StoresAnswer(_encode(batch_told(batch)), JSON_LINE)


def _seconds(moment: datetime | None) -> int | None:
    return None if moment is None else int(moment.timestamp())
