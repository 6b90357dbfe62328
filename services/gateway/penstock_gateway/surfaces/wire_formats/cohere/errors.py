"""Renders the suite's errors as Cohere's: the status, and ``{"message"}``."""

from __future__ import annotations

from dataclasses import replace

import msgspec

from penstock_common.errors import PenstockError
from penstock_gateway.surfaces.wire_formats.format import ErrorResponse, Family
from penstock_gateway.surfaces.wire_formats.openai.errors import OPENAI

_encode = msgspec.json.Encoder().encode


def _error_response(error: PenstockError) -> ErrorResponse:
    return replace(OPENAI.error_response(error), body=_encode({"message": str(error)}))


COHERE = Family("cohere", _error_response, OPENAI.error_event)
