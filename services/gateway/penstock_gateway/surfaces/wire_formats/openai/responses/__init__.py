"""``POST /v1/responses``."""

from __future__ import annotations

from penstock_gateway.surfaces.wire_formats.extension import with_knowledge
from penstock_gateway.surfaces.wire_formats.format import GenerationFormat
from penstock_gateway.surfaces.wire_formats.openai.responses.errors import RESPONSES
from penstock_gateway.surfaces.wire_formats.openai.responses.parse import parse_responses_request
from penstock_gateway.surfaces.wire_formats.openai.responses.response import ID_PREFIX
from penstock_gateway.surfaces.wire_formats.openai.responses.state import STATE
from penstock_gateway.surfaces.wire_formats.openai.responses.stream import ResponseRenderer
from penstock_gateway.surfaces.wire_formats.openai.responses.whole import render_response
from penstock_gateway.surfaces.wire_formats.sse import COMMENT

FORMAT = GenerationFormat(
    family=RESPONSES,
    path="/v1/responses",
    id_prefix=ID_PREFIX,
    keep_alive=COMMENT,
    parse=parse_responses_request,
    renderer=ResponseRenderer,
    whole=render_response,
    with_knowledge=with_knowledge,
    state=STATE,
)
