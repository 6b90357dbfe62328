"""Rows of batches and files as the domain has them, and back."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec

from penstock_gateway.adapters.sql.jobs.rows import error_values, moment_of, ms_of
from penstock_gateway.adapters.sql.sealing import TenantSealer
from penstock_gateway.domain.batches.batch import Batch, BatchState, LineFault, Tokens
from penstock_gateway.domain.batches.files import KeptFile
from penstock_gateway.domain.jobs.job import JobError

BEGUN, KEPT, GONE, LEFT = "begun", "kept", "gone", "left"
"""The states of files. One that is gone may still be read by a batch; of one that is left, pieces may be missing."""
_MOST_NAME = 256
_MILLISECOND = timedelta(milliseconds=1)
_FAULTS = msgspec.msgpack.Decoder(tuple[LineFault, ...])
_ENCODER = msgspec.msgpack.Encoder()


def file_of(row: Any) -> KeptFile:
    """Return the file of a row."""
    return KeptFile(
        id=row.id,
        tenant=row.tenant,
        owner=row.key_id,
        purpose=row.purpose,
        filename=row.filename,
        created_at=moment_of(row.created_ms),
        bytes=row.bytes,
        expires_at=maybe(row.expires_ms),
        batch=row.batch,
    )


def file_values(file: KeptFile) -> dict[str, Any]:
    """Return the columns of a file that is begun."""
    return {
        "id": file.id,
        "tenant": file.tenant,
        "key_id": file.owner,
        "purpose": file.purpose,
        "filename": file.filename[:_MOST_NAME],
        "bytes": file.bytes,
        "created_ms": ms_of(file.created_at),
        "expires_ms": ms_of(file.expires_at),
        "state": BEGUN,
        "batch": file.batch,
    }


def batch_of(row: Any, sealer: TenantSealer) -> Batch:
    """Return the batch of a row."""
    moments = {f"{name}_at": maybe(getattr(row, f"{name}_ms")) for name in _MOMENTS}
    return Batch(
        id=row.id,
        tenant=row.tenant,
        key_id=row.key_id,
        owner=row.owner,
        job=row.job,
        surface=row.surface,
        endpoint=row.endpoint,
        input_file=row.input_file,
        state=BatchState(row.state),
        created_at=moment_of(row.created_ms),
        expires_at=moment_of(row.expires_ms),
        output_ttl=None if row.output_ttl_ms is None else timedelta(milliseconds=row.output_ttl_ms),
        model=row.model,
        metadata=row.metadata,
        request_id=row.request_id,
        errors=() if row.errors is None else _FAULTS.decode(sealer.open(row.tenant, errors_place(row.id), row.errors)),
        output_file=row.output_file,
        error_file=row.error_file,
        **moments,
        total=row.total,
        completed=row.completed,
        failed=row.failed,
        cancelled=row.cancelled_lines,
        lapsed=row.lapsed_lines,
        tokens=_tokens_of(row),
        handed=row.handed_lines,
        answered_by_providers=row.provider_lines,
        submitted=row.submitted,
        read_to=row.read_to,
        read_lines=row.read_lines,
        refused=row.refused,
        epoch=row.epoch,
        halted=JobError(row.halted_reason, row.halted_message or "") if row.halted_reason else None,
    )


def _tokens_of(row: Any) -> Tokens:
    return Tokens(
        input=row.input_tokens,
        cached=row.cached_tokens,
        output=row.output_tokens,
        reasoning=row.reasoning_tokens,
    )


_MOMENTS = ("in_progress", "finalizing", "completed", "failed", "expired", "cancelling", "cancelled")


def batch_values(batch: Batch) -> dict[str, Any]:
    """Return the columns of a new batch."""
    return {
        "id": batch.id,
        "tenant": batch.tenant,
        "key_id": batch.key_id,
        "owner": batch.owner,
        "job": batch.job,
        "surface": batch.surface,
        "endpoint": batch.endpoint,
        "input_file": batch.input_file,
        "state": batch.state.value,
        "is_open": True,
        "created_ms": ms_of(batch.created_at),
        "expires_ms": ms_of(batch.expires_at),
        "output_ttl_ms": None if batch.output_ttl is None else batch.output_ttl // _MILLISECOND,
        "model": batch.model,
        "metadata": dict(batch.metadata),
        "request_id": batch.request_id,
        "output_file": "",
        "error_file": "",
        "total": batch.total,
        "completed": 0,
        "failed": 0,
        **token_values(batch.tokens),
        "submitted": 0,
        "read_to": 0,
        "read_lines": 0,
        "refused": 0,
        "epoch": 0,
    }


def token_values(tokens: Tokens) -> dict[str, Any]:
    """Return the columns of what answers used."""
    return {
        "input_tokens": tokens.input,
        "cached_tokens": tokens.cached,
        "output_tokens": tokens.output,
        "reasoning_tokens": tokens.reasoning,
    }


def halted_values(error: JobError) -> dict[str, Any]:
    """Return the columns of why no more lines become jobs."""
    values = error_values(error)
    return {"halted_reason": values["error_reason"], "halted_message": values["error_message"]}


def faults_bytes(faults: Sequence[LineFault]) -> bytes:
    """Return faults as they are sealed."""
    return _ENCODER.encode(tuple(faults))


def errors_place(batch_id: str) -> str:
    """Return what a batch's faults are bound to."""
    return f"{batch_id}/errors"


def piece_place(file_id: str, number: int) -> str:
    """Return what a piece of a file is bound to."""
    return f"{file_id}/{number}"


def maybe(ms: int | None) -> datetime | None:
    """Return a moment of the database, where there is one."""
    return None if ms is None else moment_of(ms)
