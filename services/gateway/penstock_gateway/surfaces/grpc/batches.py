"""BatchService: convert, look or end, convert."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from penstock.gateway.v1 import batch_service_pb2 as pb
from penstock_common.rpc.method import Handler
from penstock_common.rpc.server_call import ServerCall
from penstock_gateway.domain.administration.paging import Page
from penstock_gateway.domain.batches.batch import Batch, BatchState
from penstock_gateway.domain.batches.sight import BatchSight
from penstock_gateway.surfaces.grpc.job_desk import ViewerOf
from penstock_gateway.surfaces.grpc.methods import handlers_of

_STATES = {
    BatchState.VALIDATING: pb.BATCH_STATE_VALIDATING,
    BatchState.FAILED: pb.BATCH_STATE_FAILED,
    BatchState.IN_PROGRESS: pb.BATCH_STATE_IN_PROGRESS,
    BatchState.FINALIZING: pb.BATCH_STATE_FINALIZING,
    BatchState.COMPLETED: pb.BATCH_STATE_COMPLETED,
    BatchState.EXPIRED: pb.BATCH_STATE_EXPIRED,
    BatchState.CANCELLING: pb.BATCH_STATE_CANCELLING,
    BatchState.CANCELLED: pb.BATCH_STATE_CANCELLED,
}
_MOST_FAULTS = 100


class BatchServicer:
    """Serves batches; the domain keeps the walls between tenants and keys."""

    def __init__(self, sight: BatchSight, viewer_of: ViewerOf) -> None:
        self._sight = sight
        self._viewer_of = viewer_of

    def handlers(self) -> list[Handler]:
        """Return what this serves."""
        return handlers_of(pb.DESCRIPTOR.services_by_name["BatchService"], self)

    async def GetBatch(self, request: pb.GetBatchRequest, call: ServerCall) -> pb.GetBatchResponse:
        """Return a batch."""
        found = await self._sight.get(self._viewer_of(call), request.tenant, request.id)
        return pb.GetBatchResponse(batch=batch_message(found))

    async def ListBatches(self, request: pb.ListBatchesRequest, call: ServerCall) -> pb.ListBatchesResponse:
        """Return a page of batches."""
        page = Page.of(request.page_size, request.page_token)
        listed = await self._sight.list(self._viewer_of(call), request.tenant, page)
        return pb.ListBatchesResponse(batches=map(batch_message, listed.items), next_page_token=listed.next_token)

    async def CancelBatch(self, request: pb.CancelBatchRequest, call: ServerCall) -> pb.CancelBatchResponse:
        """Return a batch that is to end."""
        cancelled = await self._sight.cancel(self._viewer_of(call), request.tenant, request.id)
        return pb.CancelBatchResponse(batch=batch_message(cancelled))


def batch_message(batch: Batch) -> pb.Batch:
    """Return a batch as its message."""
    message = pb.Batch(
        id=batch.id,
        tenant=batch.tenant,
        key_id=batch.key_id,
        state=_STATES[batch.state],
        endpoint=batch.endpoint,
        model=batch.model,
        input_file=batch.input_file,
        output_file=batch.output_file,
        error_file=batch.error_file,
        total=batch.total,
        completed=batch.completed,
        failed=batch.failed,
        input_tokens=batch.tokens.input,
        output_tokens=batch.tokens.output,
        metadata=batch.metadata,
        job=batch.job,
        request_id=batch.request_id,
        handed=batch.handed,
        answered_by_providers=batch.answered_by_providers,
    )
    ended_at = batch.completed_at or batch.failed_at or batch.expired_at or batch.cancelled_at
    _set(message, "created_at", batch.created_at)
    _set(message, "expires_at", batch.expires_at)
    _set(message, "ended_at", ended_at)
    for fault in batch.errors[:_MOST_FAULTS]:
        message.faults.add(code=fault.code, message=fault.message, line=fault.line or 0)
    return message


def _set(message: Any, field: str, moment: datetime | None) -> None:
    if moment is not None:
        getattr(message, field).FromDatetime(moment)
