"""``POST /v1/chat/completions``."""

from __future__ import annotations

from penstock_gateway.surfaces.wire_formats.extension import with_knowledge
from penstock_gateway.surfaces.wire_formats.format import GenerationFormat
from penstock_gateway.surfaces.wire_formats.openai.chat.parse import parse_chat_request
from penstock_gateway.surfaces.wire_formats.openai.chat.render import ChunkRenderer, render_whole
from penstock_gateway.surfaces.wire_formats.openai.errors import OPENAI
from penstock_gateway.surfaces.wire_formats.sse import COMMENT

FORMAT = GenerationFormat(
    family=OPENAI,
    path="/v1/chat/completions",
    id_prefix="chatcmpl-",
    keep_alive=COMMENT,
    parse=parse_chat_request,
    renderer=ChunkRenderer,
    whole=render_whole,
    with_knowledge=with_knowledge,
)
