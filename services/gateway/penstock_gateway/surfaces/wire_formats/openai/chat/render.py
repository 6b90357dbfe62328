"""Renders answers in OpenAI's chat-completions format: whole, or as server-sent events.

The constant bytes around a chunk's text are made once a stream; a text delta
then costs one JSON string and one join.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from penstock_common.llm.events import Answer
from penstock_common.llm.types import (
    Finished,
    GenerationEvent,
    ReasoningDelta,
    Started,
    TextDelta,
    ToolCallDelta,
    Usage,
)
from penstock_gateway.surfaces.wire_formats.format import StreamSummary
from penstock_gateway.surfaces.wire_formats.openai.chat import response_wire as wire
from penstock_gateway.surfaces.wire_formats.openai.usage import extension_json, usage_json, usage_of
from penstock_gateway.surfaces.wire_formats.sse import on_one_line

_encode = msgspec.json.Encoder().encode

DONE = b"data: [DONE]\n\n"


class ChunkRenderer:
    """Renders one stream: ``render`` for each batch of events, then ``end`` once.

    A stream that fails ends with ``error_event`` instead of ``end``, so
    that no client takes it for complete.
    """

    def __init__(self, completion_id: str, created: int, include_usage: bool) -> None:
        self._completion_id = completion_id
        self._created = created
        self._include_usage = include_usage
        self._usage: Usage | None = None
        self._finished: Finished | None = None
        self._name_model("")

    def render(self, events: Sequence[GenerationEvent]) -> bytes:
        """Return the frames of the next events, b"" where they have none.

        ``events`` obey the contract's order over the whole stream.
        """
        pieces: list[bytes] = []
        for event in events:
            if type(event) is TextDelta:
                pieces += (self._text_head, _encode(event.text), self._delta_tail)
            else:
                self._render_other(event, pieces)
        return on_one_line(b"".join(pieces))

    def end(self, summary: StreamSummary) -> bytes:
        """Return the last frames: the usage chunk where it was asked for, and ``[DONE]``."""
        if not self._include_usage:
            return DONE
        usage = usage_json(self._usage)
        return b"".join(
            (
                self._head,
                b"],",
                b'"usage":',
                usage,
                b',"x_penstock":',
                extension_json(self._finished, summary),
                b"}\n\n",
                DONE,
            )
        )

    def _render_other(self, event: GenerationEvent, pieces: list[bytes]) -> None:
        if isinstance(event, ToolCallDelta):
            pieces += (self._delta_head, b'{"tool_calls":[', _tool_call_piece(event), b"]}", self._delta_tail[1:])
        elif isinstance(event, ReasoningDelta):
            # The format has no place for a signature.
            if event.text:
                pieces += (self._delta_head, b'{"reasoning_content":', _encode(event.text), self._delta_tail)
        elif isinstance(event, Started):
            self._name_model(event.answered_by.model)
            pieces += (self._delta_head, b'{"role":"assistant","content":"","refusal":null', self._delta_tail)
        elif isinstance(event, Usage):
            self._usage = event
        elif isinstance(event, Finished):
            self._finished = event
            # A recovery may have changed who answers.
            self._name_model(event.answered_by.model)
            reason = event.reason.value.encode()
            pieces += (self._delta_head, b'{},"logprobs":null,"finish_reason":"', reason, b'"', self._chunk_tail)

    def _name_model(self, model: str) -> None:
        self._head = b'data: {"id":%b,"object":"chat.completion.chunk","created":%d,"model":%b,%b' % (
            _encode(self._completion_id),
            self._created,
            _encode(model),
            b'"choices":[',
        )
        self._chunk_tail = b'}],"usage":null}\n\n' if self._include_usage else b"}]}\n\n"
        self._delta_head = self._head + b'{"index":0,"delta":'
        self._text_head = self._delta_head + b'{"content":'
        self._delta_tail = b'},"logprobs":null,"finish_reason":null' + self._chunk_tail


def render_completion(answer: Answer, completion_id: str, created: int) -> bytes:
    """Return the body of a whole answer; ``answer`` is complete, ``created`` in Unix seconds."""
    finished = answer.finished
    if finished is None:
        raise ValueError("an answer without finished is not complete")
    message = wire.CompletionMessage(
        content=answer.text if answer.text or not answer.tool_calls else None,
        reasoning_content=answer.reasoning or msgspec.UNSET,
        tool_calls=_tool_calls(answer) or msgspec.UNSET,
    )
    return _encode(
        wire.ChatCompletion(
            id=completion_id,
            created=created,
            model=finished.answered_by.model,
            choices=(wire.CompletionChoice(message=message, finish_reason=finished.reason.value),),
            usage=usage_of(answer.usage),
        )
    )


def _tool_call_piece(delta: ToolCallDelta) -> bytes:
    arguments = _encode(delta.arguments_json_fragment)
    if not delta.id and not delta.name:
        return b'{"index":%d,"function":{"arguments":%b}}' % (delta.index, arguments)
    return b'{"index":%d,"id":%b,"type":"function","function":{"name":%b,"arguments":%b}}' % (
        delta.index,
        _encode(delta.id),
        _encode(delta.name),
        arguments,
    )


def _tool_calls(answer: Answer) -> list[wire.AnsweredToolCall]:
    return [
        wire.AnsweredToolCall(id=call.id, function=wire.AnsweredFunction(name=call.name, arguments=call.arguments_json))
        for call in answer.tool_calls
    ]
