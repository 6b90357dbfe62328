"""What came of a batch's lines, as OpenAI's output and error files tell it."""

from __future__ import annotations

import msgspec

from penstock_gateway.domain.batches.closing import CANCELLED, EXPIRED
from penstock_gateway.domain.batches.ports import LineResult, Told

_encode = msgspec.json.Encoder().encode
_TEXTS = {
    CANCELLED: "This request was not executed: it was cancelled, or its batch was.",
    EXPIRED: "This request could not be executed before its batch expired.",
}


class _Response(msgspec.Struct):
    status_code: int
    request_id: str
    body: msgspec.Raw


class _NotExecuted(msgspec.Struct):
    code: str
    message: str


class _Line(msgspec.Struct):
    id: str
    custom_id: str
    response: _Response | None = None
    error: _NotExecuted | None = None


def render(result: LineResult) -> bytes:
    """Return a line of the output or the error file."""
    line, told = _Line(result.id, result.custom_id), result.told
    if isinstance(told, Told):
        line.response = _Response(told.status, result.request_id, msgspec.Raw(told.body))
    else:
        line.error = _NotExecuted(told, _TEXTS[told])
    return _encode(line)
