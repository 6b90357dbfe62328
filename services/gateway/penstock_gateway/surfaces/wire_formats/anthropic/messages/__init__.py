"""``POST /v1/messages``."""

from __future__ import annotations

from penstock_gateway.surfaces.wire_formats.anthropic.errors import ANTHROPIC
from penstock_gateway.surfaces.wire_formats.anthropic.messages.parse import parse_messages_request, with_betas
from penstock_gateway.surfaces.wire_formats.anthropic.messages.stream import EventRenderer
from penstock_gateway.surfaces.wire_formats.anthropic.messages.whole import render_message
from penstock_gateway.surfaces.wire_formats.extension import with_knowledge
from penstock_gateway.surfaces.wire_formats.format import GenerationFormat

FORMAT = GenerationFormat(
    family=ANTHROPIC,
    path="/v1/messages",
    id_prefix="msg_",
    keep_alive=b'event: ping\ndata: {"type":"ping"}\n\n',
    parse=parse_messages_request,
    with_headers=with_betas,
    renderer=EventRenderer,
    whole=render_message,
    with_knowledge=with_knowledge,
)
