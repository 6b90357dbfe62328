"""What a request says of responses that are kept: none are."""

from __future__ import annotations

import msgspec

from penstock_common.errors import InvalidRequest, ResourceNotFound, UnsupportedParameter
from penstock_gateway.surfaces.wire_formats.format import ResponseState
from penstock_gateway.surfaces.wire_formats.json_body import shortened
from penstock_gateway.surfaces.wire_formats.openai.fields import is_null
from penstock_gateway.surfaces.wire_formats.openai.responses import request_wire as wire


def kept_of(request: wire.ResponsesRequest, members: dict[str, msgspec.Raw]) -> ResponseState | None:
    """Return what a request says of kept responses; None where it says that nothing is kept and refers to nothing.

    Raises:
        InvalidRequest: if it refers to a response and to a conversation.
        ResourceNotFound: for a response before it, as none is kept.
        UnsupportedParameter: for a conversation, or an answer in the background.
    """
    if not is_null(request.conversation):
        if request.previous_response_id is not None:
            text = "'conversation' and 'previous_response_id' exclude each other; give one of them."
            raise InvalidRequest(text, field="conversation")
        text = "'conversation' is not supported: conversations are not kept here. Use 'previous_response_id'."
        raise UnsupportedParameter(text, parameter="conversation")
    if request.background:
        text = "'background' is not supported; leave it out or set it to false."
        raise UnsupportedParameter(text, parameter="background")
    if request.previous_response_id is not None:
        name = shortened(request.previous_response_id)
        raise ResourceNotFound(f"Previous response with id '{name}' not found.")
    if request.store is False:
        return None
    return ResponseState(
        previous_response_id=request.previous_response_id or "",
        store=request.store is not False,
        background=request.background is True,
        input_json=bytes(members["input"]) if "input" in members else b"",
    )
