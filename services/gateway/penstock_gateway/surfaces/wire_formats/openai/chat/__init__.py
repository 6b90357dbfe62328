"""``POST /v1/chat/completions``."""

from __future__ import annotations

from collections.abc import Sequence

from penstock_common.llm.events import Answer
from penstock_gateway.surfaces.wire_formats.format import AnswerForm, GenerationFormat
from penstock_gateway.surfaces.wire_formats.openai.chat.parse import parse_chat_request
from penstock_gateway.surfaces.wire_formats.openai.chat.render import ChunkRenderer, render_completion
from penstock_gateway.surfaces.wire_formats.openai.errors import OPENAI
from penstock_gateway.surfaces.wire_formats.sse import COMMENT


def _whole(answers: Sequence[Answer], completion_id: str, created: int, form: AnswerForm) -> bytes:
    (answer,) = answers
    return render_completion(answer, completion_id, created, form)


FORMAT = GenerationFormat(
    family=OPENAI,
    path="/v1/chat/completions",
    id_prefix="chatcmpl-",
    keep_alive=COMMENT,
    parse=parse_chat_request,
    renderer=ChunkRenderer,
    whole=_whole,
)
