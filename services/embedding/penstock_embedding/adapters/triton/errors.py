"""What Triton's refusals mean to callers, and which of them pass."""

from __future__ import annotations

import re

import grpc

from penstock_common.errors import Overloaded, PenstockError, UpstreamFailed, UpstreamTimeout

UPSTREAM = "triton"
# Triton's own words (max_queue_size in config.pbtxt); it says UNAVAILABLE then, as it does of a model that is not loaded.
_QUEUE_FULL = re.compile(r"exceeds maximum queue size", re.IGNORECASE)
_MAX_DETAIL_CHARACTERS = 300


def error_of(error: grpc.aio.AioRpcError) -> PenstockError:
    """Return what a failed call means. Triton's own words are for the log."""
    code = error.code()
    if code is grpc.StatusCode.DEADLINE_EXCEEDED:
        return UpstreamTimeout("The embedding model's Triton was silent.", upstream=UPSTREAM, stage="total")
    if _QUEUE_FULL.search(error.details() or ""):
        return Overloaded("The embedding model's Triton is busy. Try again.")
    return UpstreamFailed(f"The embedding model's Triton ended the call with {code.name}.", upstream=UPSTREAM)


def may_pass(error: grpc.aio.AioRpcError) -> bool:
    """Return whether the same batch may do better in a moment: no connection, a cut one, a full queue, a reload."""
    return error.code() is grpc.StatusCode.UNAVAILABLE


def detail_of(error: grpc.aio.AioRpcError) -> str:
    """Return Triton's words on one line, without the traceback that a Python model appends."""
    words = (error.details() or "").split("\n\nAt:", maxsplit=1)[0].split()
    return " ".join(words)[:_MAX_DETAIL_CHARACTERS] or error.code().name
