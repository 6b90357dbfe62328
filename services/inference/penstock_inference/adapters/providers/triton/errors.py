"""What Triton's errors mean: texts in the stream, and statuses of the call."""

from __future__ import annotations

import re

import grpc

from penstock_inference.domain.failure import AttemptFailed, FailureKind

# The demonstration model's words, and vLLM's.
_CONTEXT_LENGTH = re.compile(r"context length exceeded: (\d{1,10}) input tokens, maximum (\d{1,10})")
_CONTEXT_LENGTH_OF_VLLM = re.compile(
    r"prompt \(length (\d{1,10})\) is longer than the maximum model length of (\d{1,10})"
)
_MISCONFIGURED = re.compile(r"unknown model|unexpected inference input|failed to find", re.IGNORECASE)
_NOT_LOADED = re.compile(r"has no available versions|is not ready", re.IGNORECASE)
# The demonstration model's queue, and Triton's own (max_queue_size in config.pbtxt).
_QUEUE_FULL = re.compile(r"queue is full|exceeds maximum queue size", re.IGNORECASE)
_BAD_REQUEST = re.compile(r"sampling[ _]parameter|must be .* in \[|stop must be", re.IGNORECASE)
MAX_MESSAGE_CHARACTERS = 300

_KINDS = {
    grpc.StatusCode.NOT_FOUND: FailureKind.MISCONFIGURED,
    grpc.StatusCode.UNIMPLEMENTED: FailureKind.MISCONFIGURED,
    grpc.StatusCode.INVALID_ARGUMENT: FailureKind.MISCONFIGURED,
    grpc.StatusCode.UNAUTHENTICATED: FailureKind.CREDENTIALS,
    grpc.StatusCode.PERMISSION_DENIED: FailureKind.CREDENTIALS,
    grpc.StatusCode.CANCELLED: FailureKind.CUT,
}


def failure_of_message(text: str) -> AttemptFailed:
    """Return what an error message in the stream means."""
    for pattern in (_CONTEXT_LENGTH, _CONTEXT_LENGTH_OF_VLLM):
        match = pattern.search(text)
        if match:
            return AttemptFailed(
                FailureKind.CONTEXT_LENGTH,
                f"the conversation has {match[1]} tokens, at most {match[2]} fit",
                input_tokens=int(match[1]),
                max_input_tokens=int(match[2]),
            )
    if _NOT_LOADED.search(text):
        return AttemptFailed(FailureKind.MISCONFIGURED, "Triton has not loaded this model")
    if _QUEUE_FULL.search(text):
        return AttemptFailed(FailureKind.RATE_LIMITED, "Triton's queue for this model is full")
    if _MISCONFIGURED.search(text):
        return AttemptFailed(FailureKind.MISCONFIGURED, "Triton does not serve this model as configured")
    if _BAD_REQUEST.search(text):
        return AttemptFailed(FailureKind.BAD_REQUEST, " ".join(text.split())[:MAX_MESSAGE_CHARACTERS])
    return AttemptFailed(FailureKind.SERVER_ERROR, "Triton reported an error")


def failure_of_rpc(error: grpc.aio.AioRpcError, *, began: bool) -> AttemptFailed:
    """Return what a failed call means; ``began``: a response had come."""
    code = error.code()
    if code is grpc.StatusCode.UNAVAILABLE:
        if began:
            return AttemptFailed(FailureKind.CUT, "the connection was cut")
        return AttemptFailed(FailureKind.CONNECT, "no connection")
    kind = _KINDS.get(code, FailureKind.SERVER_ERROR)
    return AttemptFailed(kind, f"Triton ended the call with {code.name}")
