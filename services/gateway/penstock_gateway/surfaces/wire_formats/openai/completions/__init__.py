"""``POST /v1/completions``, the older format."""

from __future__ import annotations

from penstock_gateway.surfaces.wire_formats.extension import with_knowledge
from penstock_gateway.surfaces.wire_formats.format import GenerationFormat
from penstock_gateway.surfaces.wire_formats.openai.completions.parse import parse_completion_request
from penstock_gateway.surfaces.wire_formats.openai.completions.render import TextChunkRenderer, render_text_completion
from penstock_gateway.surfaces.wire_formats.openai.errors import OPENAI
from penstock_gateway.surfaces.wire_formats.sse import COMMENT

FORMAT = GenerationFormat(
    family=OPENAI,
    path="/v1/completions",
    id_prefix="cmpl-",
    keep_alive=COMMENT,
    parse=parse_completion_request,
    renderer=TextChunkRenderer,
    whole=render_text_completion,
    with_knowledge=with_knowledge,
)
