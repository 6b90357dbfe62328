"""Renders answers in OpenAI's completions format, the older one: whole, or as server-sent events.

The format has no place for reasoning; what a model thinks before it answers
counts as output tokens and is not shown.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from penstock_common.llm.events import Answer
from penstock_common.llm.types import Finished, GenerationEvent, Started, TextDelta, Usage
from penstock_gateway.surfaces.wire_formats.format import StreamSummary
from penstock_gateway.surfaces.wire_formats.openai.chat.render import DONE
from penstock_gateway.surfaces.wire_formats.openai.completions import wire
from penstock_gateway.surfaces.wire_formats.openai.usage import extension_json, usage_json, usage_of
from penstock_gateway.surfaces.wire_formats.sse import on_one_line

_encode = msgspec.json.Encoder().encode


class TextChunkRenderer:
    """Renders one stream: ``render`` for each batch of events, then ``end`` once."""

    def __init__(self, completion_id: str, created: int, include_usage: bool) -> None:
        self._completion_id = completion_id
        self._created = created
        self._include_usage = include_usage
        self._usage: Usage | None = None
        self._finished: Finished | None = None
        self._name_model("")

    def render(self, events: Sequence[GenerationEvent]) -> bytes:
        """Return the frames of the next events, b"" where they have none."""
        pieces: list[bytes] = []
        for event in events:
            if isinstance(event, TextDelta):
                pieces += (self._head, b'{"text":', _encode(event.text), self._tail(b"null"))
            elif isinstance(event, Started):
                self._name_model(event.answered_by.model)
            elif isinstance(event, Usage):
                self._usage = event
            elif isinstance(event, Finished):
                self._finished = event
                # A recovery may have changed who answers.
                self._name_model(event.answered_by.model)
                pieces += (self._head, b'{"text":""', self._tail(b'"%b"' % event.reason.value.encode()))
        return on_one_line(b"".join(pieces))

    def end(self, summary: StreamSummary) -> bytes:
        """Return the last frames: the usage chunk where it was asked for, and ``[DONE]``."""
        if not self._include_usage:
            return DONE
        usage, extension = usage_json(self._usage), extension_json(self._finished, summary)
        return b'%b],"usage":%b,"x_penstock":%b}\n\n%b' % (self._head, usage, extension, DONE)

    def _name_model(self, model: str) -> None:
        self._head = b'data: {"id":%b,"object":"text_completion","created":%d,"model":%b,%b' % (
            _encode(self._completion_id),
            self._created,
            _encode(model),
            b'"choices":[',
        )

    def _tail(self, finish_reason: bytes) -> bytes:
        usage = b',"usage":null' if self._include_usage else b""
        return b',"index":0,"logprobs":null,"finish_reason":%b}]%b}\n\n' % (finish_reason, usage)


def render_text_completion(answer: Answer, completion_id: str, created: int) -> bytes:
    """Return the body of a whole answer; ``answer`` is complete, ``created`` in Unix seconds."""
    finished = answer.finished
    if finished is None:
        raise ValueError("an answer without finished is not complete")
    return _encode(
        wire.TextCompletion(
            id=completion_id,
            created=created,
            model=finished.answered_by.model,
            choices=(wire.TextChoice(text=answer.text, finish_reason=finished.reason.value),),
            usage=usage_of(answer.usage),
        )
    )
