"""The two formats that OpenAI's API asks for generated text in: what differs between them, and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from penstock_common.llm.events import Answer
from penstock_common.llm.types import GenerationEvent
from penstock_gateway.surfaces.openai.completion_parse import parse_completion_request
from penstock_gateway.surfaces.openai.completion_render import TextChunkRenderer, render_text_completion
from penstock_gateway.surfaces.openai.parse import ChatRequest, parse_chat_request
from penstock_gateway.surfaces.openai.render import ChunkRenderer, StreamSummary, render_completion


class StreamRenderer(Protocol):
    """Renders one stream: ``render`` for each batch of events, then ``end`` once."""

    def render(self, events: Sequence[GenerationEvent]) -> bytes:
        """Return the frames of the next events, b"" where they have none."""
        ...

    def end(self, summary: StreamSummary) -> bytes:
        """Return the last frames."""
        ...


@dataclass(frozen=True, slots=True)
class Format:
    """How a request is read, and its answer written.

    ``renderer`` and ``whole`` take the completion's id and its creation in Unix
    seconds; ``renderer`` also whether the stream ends with its usage.
    """

    id_prefix: str
    parse: Callable[[bytes], ChatRequest]
    renderer: Callable[[str, int, bool], StreamRenderer]
    whole: Callable[[Answer, str, int], bytes]


CHAT_COMPLETIONS = Format("chatcmpl-", parse_chat_request, ChunkRenderer, render_completion)
COMPLETIONS = Format("cmpl-", parse_completion_request, TextChunkRenderer, render_text_completion)
