"""What is done with message batches; they are run as OpenAI's are."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from typing import Literal

import msgspec

from penstock_common.errors import InvalidRequest
from penstock_gateway.domain.batches.batch import ANTHROPIC, Batch, BatchState, id_of_public, public_id
from penstock_gateway.domain.batches.desk import BatchAsked, no_batch
from penstock_gateway.domain.batches.files import FileWriter, pieces_of
from penstock_gateway.domain.batches.ports import BatchFilter
from penstock_gateway.surfaces.wire_formats.answer_head import JSON_LINE
from penstock_gateway.surfaces.wire_formats.anthropic.batches import wire
from penstock_gateway.surfaces.wire_formats.anthropic.batches.lines import Lines
from penstock_gateway.surfaces.wire_formats.anthropic.batches.listing import asked_page
from penstock_gateway.surfaces.wire_formats.anthropic.batches.requests import requests_in
from penstock_gateway.surfaces.wire_formats.anthropic.messages import FORMAT as MESSAGES
from penstock_gateway.surfaces.wire_formats.keeping import FormBody, KeptCall, KeptParts, StoresAnswer, StreamedAnswer

RESULTS_TTL = timedelta(days=29)
"""How long the results of a batch are kept, as at Anthropic."""
_LINES = b"content-type: application/x-jsonl\r\nx-content-type-options: nosniff\r\n"
# What an SDK says of this endpoint, and no provider is to be told.
_OWN_BETA = "message-batches-"
_STATUSES: Mapping[BatchState, Literal["canceling", "ended"]] = {
    BatchState.CANCELLING: "canceling",
    **dict.fromkeys((state for state in BatchState if state.is_end), "ended"),
}
_encode = msgspec.json.Encoder().encode


async def create(parts: KeptParts, call: KeptCall) -> StoresAnswer:
    """Begin a batch with the requests of the body."""
    body: FormBody = call.body
    desk, terms = parts.desk, parts.desk.terms
    lines = Lines(terms.max_lines, terms.max_line_bytes, _betas(call.headers))
    writer = await desk.new_input(call.caller, "requests.jsonl")
    try:
        await _write(body, terms.max_line_bytes, lines, writer)
        asked = BatchAsked(
            surface=ANTHROPIC,
            lines=lines.count,
            endpoint=MESSAGES.path,
            window="24h",
            output_ttl=RESULTS_TTL,
            request_id=call.request_id,
            traceparent=call.traceparent,
        )
        return _answer(await desk.begin(call.caller, asked, writer))
    except BaseException:
        await writer.discard()
        raise


async def get(parts: KeptParts, call: KeptCall) -> StoresAnswer:
    """Return a batch."""
    return _answer(await parts.desk.get(call.caller, _batch_in(call), ANTHROPIC))


async def cancel(parts: KeptParts, call: KeptCall) -> StoresAnswer:
    """Have a batch end."""
    return _answer(await parts.desk.cancel(call.caller, _batch_in(call), ANTHROPIC))


async def delete(parts: KeptParts, call: KeptCall) -> StoresAnswer:
    """Forget a batch that has ended."""
    await parts.desk.delete(call.caller, _batch_in(call), ANTHROPIC)
    return StoresAnswer(_encode(wire.DeletedMessageBatch(id=call.names["batch"])), JSON_LINE)


async def results(parts: KeptParts, call: KeptCall) -> StreamedAnswer:
    """Return what came of each request, as a file of lines."""
    file = await parts.desk.results(call.caller, _batch_in(call), ANTHROPIC)
    return StreamedAnswer(pieces_of(parts.desk.files, file), file.bytes, _LINES)


async def list_all(parts: KeptParts, call: KeptCall) -> StoresAnswer:
    """Return a page of batches, the newest first."""
    page = asked_page(call.query)
    for cursor in (page.after, page.before):
        if cursor:
            # Whoever asks for what follows nothing would be given the first page again and again.
            await parts.desk.get(call.caller, id_of_public(cursor), ANTHROPIC)
    after, before = id_of_public(page.after), id_of_public(page.before)
    wanted = BatchFilter(tenant="", surface=ANTHROPIC, after=after, before=before)
    found = await parts.desk.list(call.caller, wanted, page.limit + 1)
    shown = found[-page.limit :] if before else found[: page.limit]
    told = [batch_told(one) for one in shown]
    answer = wire.MessageBatchList(
        data=told,
        has_more=len(found) > len(shown),
        first_id=told[0].id if told else None,
        last_id=told[-1].id if told else None,
    )
    return StoresAnswer(_encode(answer), JSON_LINE)


def batch_told(batch: Batch) -> wire.MessageBatch:
    """Return a batch as Anthropic's object."""
    ended_at = batch.completed_at or batch.expired_at or batch.cancelled_at or batch.failed_at
    goes_at = None if ended_at is None or batch.output_ttl is None else ended_at + batch.output_ttl
    is_archived = goes_at is not None and goes_at <= datetime.now(UTC)
    known = public_id(batch)
    return wire.MessageBatch(
        id=known,
        processing_status=_STATUSES.get(batch.state, "in_progress"),
        request_counts=_counts(batch),
        ended_at=_moment(ended_at),
        created_at=_told(batch.created_at),
        expires_at=_told(batch.expires_at),
        archived_at=_moment(goes_at) if is_archived else None,
        cancel_initiated_at=_moment(batch.cancelling_at),
        results_url=f"{wire.PATH}/{known}/results" if batch.output_file and not is_archived else None,
    )


def _counts(batch: Batch) -> wire.RequestCounts:
    if not batch.state.is_end:
        return wire.RequestCounts(processing=batch.total)
    if batch.state is BatchState.FAILED:
        return wire.RequestCounts(errored=batch.total)
    return wire.RequestCounts(
        succeeded=batch.completed,
        errored=batch.failed - batch.cancelled - batch.lapsed,
        canceled=batch.cancelled,
        expired=batch.lapsed,
    )


async def _write(body: FormBody, most_bytes: int, lines: Lines, writer: FileWriter) -> None:
    async with aclosing(requests_in(body, most_bytes)) as some:
        async for requests in some:
            for request in requests:
                await writer.write(lines.line(request))
    if not lines.count:
        raise InvalidRequest("'requests' must have one request at least.", field="requests")


def _betas(headers: Mapping[str, str]) -> list[str]:
    named = (beta.strip() for beta in headers.get("anthropic-beta", "").split(","))
    return [beta for beta in named if beta and not beta.startswith(_OWN_BETA)]


def _batch_in(call: KeptCall) -> str:
    """Return the id under which the batch is kept that the path names."""
    named = call.names["batch"]
    kept = id_of_public(named)
    if kept == named:
        raise no_batch(named)
    return kept


def _answer(batch: Batch) -> StoresAnswer:
    return StoresAnswer(_encode(batch_told(batch)), JSON_LINE)


def _moment(moment: datetime | None) -> str | None:
    return None if moment is None else _told(moment)


def _told(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
