"""What came of a batch's requests, as the lines of Anthropic's results tell it."""

from __future__ import annotations

from typing import Any

import msgspec

from penstock_gateway.domain.batches.closing import CANCELLED
from penstock_gateway.domain.batches.ports import LineResult, Told
from penstock_gateway.surfaces.wire_formats.anthropic.batches import wire

_OK = 200
_encode = msgspec.json.Encoder().encode
_ERROR = msgspec.json.Decoder(dict[str, Any])


def render(result: LineResult) -> bytes:
    """Return a line of the results."""
    return _encode(wire.IndividualResponse(custom_id=result.custom_id, result=_result(result)))


def _result(result: LineResult) -> wire.Succeeded | wire.Errored | wire.Canceled | wire.Expired:
    told = result.told
    if not isinstance(told, Told):
        return wire.Canceled() if told == CANCELLED else wire.Expired()
    if told.status == _OK:
        return wire.Succeeded(message=msgspec.Raw(told.body))
    return wire.Errored(error={**_ERROR.decode(told.body), "request_id": result.request_id})
