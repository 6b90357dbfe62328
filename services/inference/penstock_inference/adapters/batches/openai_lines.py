"""The lines of OpenAI's batches: requests as they go into a file, and answers as they stand in others."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

import msgspec
import structlog

from penstock_common.contract.upstream_batches import KeptAnswer, UpstreamBatchAnswer
from penstock_common.http.body import Body

_ENCODER = msgspec.json.Encoder()
_UNTOLD = 500
# Codes of lines that were not executed.
_NOT_EXECUTED = frozenset({"batch_expired", "batch_cancelled", "batch_canceled"})
_TOGETHER_BYTES = 1024 * 1024
MAX_LINE_BYTES = 32 * 1024 * 1024
"""Of an answer."""

_log = structlog.get_logger(__name__)


class _Request(msgspec.Struct):
    custom_id: str
    method: str
    url: str
    body: msgspec.Raw


class _Response(msgspec.Struct):
    status_code: int = _UNTOLD
    body: msgspec.Raw = msgspec.Raw()


class _Error(msgspec.Struct):
    code: str | None = None
    message: str | None = None


class _Result(msgspec.Struct):
    custom_id: str
    response: _Response | None = None
    error: _Error | None = None


_RESULT = msgspec.json.Decoder(_Result)


def line_of(custom_id: str, url: str, body: bytes | Body) -> bytes:
    """Return the line of a request, its end included."""
    whole = body if isinstance(body, bytes) else b"".join(map(bytes, body.pieces()))
    return _ENCODER.encode(_Request(custom_id, "POST", url, msgspec.Raw(whole))) + b"\n"


async def answers_in(pieces: AsyncIterator[bytes]) -> AsyncIterator[Sequence[UpstreamBatchAnswer]]:
    """Yield the answers of a file, several at a time. Lines that are none are passed over: nobody knows whose they are."""
    rest, several, size, unread = b"", list[UpstreamBatchAnswer](), 0, 0
    async for piece in pieces:
        *whole, rest = (rest + piece).split(b"\n") if b"\n" in piece else (rest + piece,)
        for line in whole:
            answer = _answer_of(line)
            unread += answer is None and bool(line.strip())
            if answer is not None:
                several.append(answer)
                size += len(line)
        if size >= _TOGETHER_BYTES:
            yield several
            several, size = [], 0
        if len(rest) > MAX_LINE_BYTES:
            # Whatever it is, it is no answer; what comes up to its end belongs to it.
            rest = b"?"
    last = _answer_of(rest)
    if last is not None:
        several.append(last)
    if several:
        yield several
    if unread or (last is None and rest.strip()):
        _log.warning("batch_answers_not_read", lines=unread + (last is None and bool(rest.strip())))


def _answer_of(line: bytes) -> UpstreamBatchAnswer | None:
    """Return the answer of a line; None where it is none, or says that the request was not executed."""
    try:
        result = _RESULT.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    response, error = result.response, result.error
    if response is not None and bytes(response.body):
        return UpstreamBatchAnswer(result.custom_id, KeptAnswer(response.status_code, bytes(response.body)))
    if error is None or error.code in _NOT_EXECUTED:
        return None
    body = _ENCODER.encode({"error": {"message": error.message or "", "code": error.code or ""}})
    return UpstreamBatchAnswer(result.custom_id, KeptAnswer(_UNTOLD, body))
