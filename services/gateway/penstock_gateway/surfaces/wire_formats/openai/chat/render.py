"""Renders answers in OpenAI's chat-completions format: whole, or as server-sent events.

The constant bytes around a chunk's text are made once a stream; a text delta
then costs one JSON string and one join.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from penstock_common.llm.events import Answer
from penstock_common.llm.extras import CALL_FIELDS, TURN_FIELDS
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
from penstock_gateway.surfaces.wire_formats.openai.usage import extension_json, usage_of
from penstock_gateway.surfaces.wire_formats.sse import on_one_line

_encode = msgspec.json.Encoder().encode

_EXTRA = msgspec.json.Decoder(dict[str, msgspec.Raw])

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
        usage = _encode(usage_of(self._usage))
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
            # The format has no place for a signature; what the provider gave beside the text stands beside it.
            if event.text:
                pieces += (self._delta_head, b'{"reasoning_content":', _encode(event.text))
                pieces += (*_members(event.extra_json), self._delta_tail)
            elif event.extra_json:
                pieces += (self._delta_head, event.extra_json.encode()[:-1], self._delta_tail)
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
            b'"system_fingerprint":null,"choices":[',
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
    text, calls = answer.text, _tool_calls(answer)
    message = wire.CompletionMessage(
        content=text if text or not calls else None,
        reasoning_content=answer.reasoning or msgspec.UNSET,
        tool_calls=calls or msgspec.UNSET,
        **(_extras(answer.extra_json, TURN_FIELDS) if answer.extra_json else {}),
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
    extra = b"".join(_members(delta.extra_json))
    if not delta.id and not delta.name:
        return b'{"index":%d,"function":{"arguments":%b}%b}' % (delta.index, arguments, extra)
    return b'{"index":%d,"id":%b,"type":"function","function":{"name":%b,"arguments":%b}%b}' % (
        delta.index,
        _encode(delta.id),
        _encode(delta.name),
        arguments,
        extra,
    )


def _members(extra_json: str) -> tuple[bytes, ...]:
    """Return the members of an object, verbatim, as they follow others."""
    return (b",", extra_json.encode()[1:-1]) if extra_json else ()


def _extras(extra_json: str, names: tuple[str, ...]) -> dict[str, Any]:
    """Return those members of an object that have a place in a whole answer, verbatim."""
    extra = _EXTRA.decode(extra_json)
    return {name: extra[name] for name in names if name in extra}


def _tool_calls(answer: Answer) -> list[wire.AnsweredToolCall]:
    return [
        wire.AnsweredToolCall(
            id=call.id,
            function=wire.AnsweredFunction(name=call.name, arguments=call.arguments_json),
            **(_extras(call.extra_json, CALL_FIELDS) if call.extra_json else {}),
        )
        for call in answer.tool_calls
    ]
