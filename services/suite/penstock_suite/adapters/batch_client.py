"""BatchService as the command asks for it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from penstock.gateway.v1 import batch_service_pb2 as pb
from penstock_suite.domain.batches import BatchRow

_PAGE_SIZE = 500
_STATE = "BATCH_STATE_"


class BatchClient:
    """Implements ``Batches`` by what ``_ask`` does."""

    async def _ask(self, method: str, request: Any) -> Any:
        raise NotImplementedError

    async def batches(self, tenant: str, most: int) -> list[BatchRow]:
        """Return batches of as many pages as are needed."""
        request = pb.ListBatchesRequest(tenant=tenant)
        found: list[BatchRow] = []
        while len(found) < most:
            request.page_size = min(_PAGE_SIZE, most - len(found))
            page = await self._ask("ListBatches", request)
            found += map(_row, page.batches)
            if not page.next_page_token:
                break
            request.page_token = page.next_page_token
        return found

    async def batch(self, tenant: str, batch_id: str) -> BatchRow:
        """Return a batch."""
        return _row((await self._ask("GetBatch", pb.GetBatchRequest(tenant=tenant, id=batch_id))).batch)

    async def cancel_batch(self, tenant: str, batch_id: str) -> BatchRow:
        """Return a batch that is to end."""
        return _row((await self._ask("CancelBatch", pb.CancelBatchRequest(tenant=tenant, id=batch_id))).batch)


def _row(batch: pb.Batch) -> BatchRow:
    faults = [f"{f'line {fault.line}: ' if fault.line else ''}{fault.code}: {fault.message}" for fault in batch.faults]
    return BatchRow(
        id=batch.id,
        tenant=batch.tenant,
        key_id=batch.key_id,
        state=pb.BatchState.Name(batch.state).removeprefix(_STATE).lower(),
        endpoint=batch.endpoint,
        model=batch.model,
        input_file=batch.input_file,
        output_file=batch.output_file,
        error_file=batch.error_file,
        total=batch.total,
        completed=batch.completed,
        failed=batch.failed,
        handed=batch.handed,
        answered_by_providers=batch.answered_by_providers,
        input_tokens=batch.input_tokens,
        output_tokens=batch.output_tokens,
        created_at=_moment(batch, "created_at"),
        expires_at=_moment(batch, "expires_at"),
        ended_at=_moment(batch, "ended_at"),
        faults=tuple(faults),
        job=batch.job,
        request_id=batch.request_id,
        metadata=dict(batch.metadata),
    )


def _moment(batch: pb.Batch, field: Any) -> datetime | None:
    return getattr(batch, field).ToDatetime(tzinfo=UTC) if batch.HasField(field) else None
