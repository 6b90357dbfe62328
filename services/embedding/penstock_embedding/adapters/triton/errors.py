"""What Triton's refusals mean: to callers, and for whom to ask next."""

from __future__ import annotations

import re

import grpc

from penstock_common.errors import Overloaded, UpstreamFailed, UpstreamTimeout
from penstock_embedding.domain.failure import Again, AttemptFailed

# Triton's own words (max_queue_size in config.pbtxt); it says UNAVAILABLE then, as it does of a model that is not loaded.
_QUEUE_FULL = re.compile(r"exceeds maximum queue size", re.IGNORECASE)
_MAX_DETAIL_CHARACTERS = 300


def failure_of(error: grpc.aio.AioRpcError, upstream: str) -> AttemptFailed:
    """Return what a failed call means. Triton's own words are for the log."""
    code = error.code()
    if code is grpc.StatusCode.DEADLINE_EXCEEDED:
        silent = UpstreamTimeout("The embedding model's Triton was silent.", upstream=upstream, stage="total")
        return AttemptFailed(silent, Again.ELSEWHERE, "timeout")
    if _QUEUE_FULL.search(error.details() or ""):
        busy = Overloaded("The embedding model's Triton is busy. Try again.")
        return AttemptFailed(busy, Again.OTHERS_FIRST, "busy")
    failed = UpstreamFailed(f"The embedding model's Triton ended the call with {code.name}.", upstream=upstream)
    # No connection, a cut one, a reload: the same batch may do better in a moment.
    again = Again.HERE if code is grpc.StatusCode.UNAVAILABLE else Again.ELSEWHERE
    return AttemptFailed(failed, again, "status")


def malformed_of(upstream: str) -> AttemptFailed:
    """Return what it means that an answer is no set of vectors for these texts."""
    error = UpstreamFailed("The embedding model's Triton gave no proper answer.", upstream=upstream)
    return AttemptFailed(error, Again.ELSEWHERE, "malformed")


def detail_of(error: grpc.aio.AioRpcError) -> str:
    """Return Triton's words on one line, without the traceback that a Python model appends."""
    words = (error.details() or "").split("\n\nAt:", maxsplit=1)[0].split()
    return " ".join(words)[:_MAX_DETAIL_CHARACTERS] or error.code().name
