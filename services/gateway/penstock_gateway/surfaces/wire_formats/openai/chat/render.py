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
    ChoiceFinished,
    Finished,
    FinishReason,
    GenerationEvent,
    ReasoningDelta,
    Started,
    TextDelta,
    ToolCall,
    ToolCallDelta,
    Usage,
)
from penstock_common.llm.unread import OPENAI_CHAT
from penstock_gateway.domain.knowledge_use.told import KnowledgeTold
from penstock_gateway.surfaces.wire_formats.beside import with_unread
from penstock_gateway.surfaces.wire_formats.extension import extension_json, told_json
from penstock_gateway.surfaces.wire_formats.format import USUAL_FORM, AnswerForm, StreamSummary
from penstock_gateway.surfaces.wire_formats.openai.chat import response_wire as wire
from penstock_gateway.surfaces.wire_formats.openai.chat.thinking import Sealed, block_json, blocks_json, wrapped_extras
from penstock_gateway.surfaces.wire_formats.openai.chat.unread import frame_with_unread, usage_frame_with_unread
from penstock_gateway.surfaces.wire_formats.openai.usage import usage_json, usage_of
from penstock_gateway.surfaces.wire_formats.sse import on_one_line

_encode = msgspec.json.Encoder().encode

_EXTRA = msgspec.json.Decoder(dict[str, msgspec.Raw])

DONE = b"data: [DONE]\n\n"
# OpenAI's words; strict clients take no others.
_TIERS = frozenset({"auto", "default", "flex", "scale", "priority", "fast"})
_STANDARD = "standard"
_ROLE = b'{"role":"assistant","content":"","refusal":null'


class ChunkRenderer:
    """Renders one stream: ``render`` for each batch of events, then ``end`` once.

    A stream that fails ends with ``error_event`` instead of ``end``, so
    that no client takes it for complete.
    """

    def __init__(self, completion_id: str, created: int, include_usage: bool, form: AnswerForm = USUAL_FORM) -> None:
        self._completion_id = completion_id
        self._created = created
        self._include_usage = include_usage
        self._usage: Usage | None = None
        self._finished: Finished | None = None
        self._functions = form.functions
        # Of the choices after the first, those that have begun.
        self._begun: dict[int, None] = {}
        self._custom_calls: dict[tuple[int, int], None] = {}
        # Of each choice that reasons: its reasoning since the last signature.
        self._thoughts: dict[int, _Thoughts] = {}
        self._has_text = False
        self._name_model("")

    def render(self, events: Sequence[GenerationEvent]) -> bytes:
        """Return the frames of the next events, b"" where they have none.

        ``events`` obey the contract's order over the whole stream.
        """
        pieces: list[bytes] = []
        for event in events:
            if type(event) is TextDelta and not (event.choice or event.logprobs_json or event.is_refusal):
                self._has_text = True
                if self._thoughts:
                    self._note_text(event)
                pieces += (self._text_head, _encode(event.text), self._delta_tail)
            else:
                self._render_other(event, pieces)
        return on_one_line(b"".join(pieces))

    def end(self, summary: StreamSummary) -> bytes:
        """Return the last frames: the usage chunk where it was asked for, and ``[DONE]``."""
        if not self._include_usage:
            stopped = self._finished is not None and self._finished.stopped_by
            mark = self._ours(b'"stopped_by":%b' % _encode(stopped)) if stopped else b""
            return mark + (DONE if summary.knowledge is None else self._knowledge(summary.knowledge) + DONE)
        usage = usage_json(self._usage)
        frame = b"".join(
            (
                self._head,
                b"],",
                b'"usage":',
                usage,
                b',"x_penstock":',
                extension_json(self._finished, summary),
                b"}\n\n",
            )
        )
        if self._finished is not None and self._finished.unread is not None:
            frame = on_one_line(usage_frame_with_unread(frame, self._finished))
        return frame + DONE

    def _knowledge(self, told: KnowledgeTold) -> bytes:
        return self._ours(b'"knowledge":%b' % told_json(told))

    def _ours(self, told: bytes) -> bytes:
        """Return a chunk that adds nothing to the answer, as the last one has no place for what is ours."""
        empty = b'{},"logprobs":null,"finish_reason":null}],"x_penstock":{'
        return on_one_line(b"%b%b%b}}\n\n" % (self._delta_head, empty, told))

    def _render_other(self, event: GenerationEvent, pieces: list[bytes]) -> None:
        if isinstance(event, ToolCallDelta):
            pieces += (self._head_of(event.choice, pieces), b"{", self._call_piece(event), self._delta_tail)
        elif isinstance(event, ReasoningDelta):
            self._render_reasoning(event, pieces)
        elif isinstance(event, TextDelta):
            self._note_text(event)
            head, name = self._head_of(event.choice, pieces), _name_of(event)
            pieces += (head, b'{"%b":' % name, _encode(event.text), self._tail_with(event))
        elif isinstance(event, ChoiceFinished):
            pieces += (self._head_of(event.choice, pieces), self._end_of(event.reason))
        elif isinstance(event, Started):
            self._name_model(event.answered_by.model)
            pieces += (self._delta_head, _ROLE, self._delta_tail)
        elif isinstance(event, Usage):
            self._usage = event
        elif isinstance(event, Finished):
            self._finished = event
            # A recovery may have changed who answers.
            self._name_model(event.answered_by.model)
            pieces += (self._delta_head, self._end_of(event.reason))
            if event.service_tier and (tier := tier_word(event.service_tier)):
                pieces[-1] = b'%b,"service_tier":%b}\n\n' % (pieces[-1].removesuffix(b"}\n\n"), _encode(tier))
            if event.unread is not None:
                pieces[-2:] = [frame_with_unread(pieces[-2] + pieces[-1], event)]

    def _render_reasoning(self, event: ReasoningDelta, pieces: list[bytes]) -> None:
        """Add a piece of reasoning; a block that has its signature is told whole, as callers hand it back."""
        thoughts = self._thoughts.get(event.choice)
        if thoughts is None:
            is_first = not event.choice and not self._has_text
            thoughts = self._thoughts[event.choice] = _Thoughts(0 if is_first else -1)
        members: list[bytes] = []
        if event.text:
            thoughts.texts.append(event.text)
            members.append(b'"reasoning_content":%b' % _encode(event.text))
        if event.signature or event.hidden:
            members.append(b'"thinking_blocks":[%b]' % thoughts.end_block(event))
        if event.extra_json:
            members.append(wrapped_extras(event.extra_json, event.origin).encode()[1:-1])
        if members:
            pieces += (self._head_of(event.choice, pieces), b"{", b",".join(members), self._delta_tail)

    def _note_text(self, event: TextDelta) -> None:
        thoughts = self._thoughts.get(event.choice)
        if thoughts is not None and thoughts.characters >= 0:
            thoughts.characters += len(event.text)

    def _head_of(self, choice: int, pieces: list[bytes]) -> bytes:
        """Return what comes before a choice's delta; a choice that begins says its role first."""
        if not choice:
            return self._delta_head
        head = b'%b{"index":%d,"delta":' % (self._head, choice)
        if choice not in self._begun:
            self._begun[choice] = None
            pieces += (head, _ROLE, self._delta_tail)
        return head

    def _tail_with(self, event: TextDelta) -> bytes:
        if not event.logprobs_json:
            return self._delta_tail
        told, nothing = event.logprobs_json.encode(errors="replace"), b"null"
        both = (nothing, told) if event.is_refusal else (told, nothing)
        return b'},"logprobs":{"content":%b,"refusal":%b},"finish_reason":null%b' % (*both, self._chunk_tail)

    def _end_of(self, reason: FinishReason) -> bytes:
        word = finish_word(reason, functions=True) if self._functions else reason.value
        return b'{},"logprobs":null,"finish_reason":"%b"%b' % (word.encode(), self._chunk_tail)

    def _call_piece(self, event: ToolCallDelta) -> bytes:
        """Return the member of a delta that tells of a call, in the form that was asked for."""
        if self._functions:
            name = b'"name":%b,' % _encode(event.name) if event.name else b""
            return b'"function_call":{%b"arguments":%b}' % (name, _encode(event.arguments_json_fragment))
        call = event.choice, event.index
        if event.is_custom:
            self._custom_calls[call] = None
        if self._thoughts and event.choice in self._thoughts:
            self._thoughts[event.choice].calls[event.index] = None
        return b'"tool_calls":[%b]' % _tool_call_piece(event, is_custom=call in self._custom_calls)

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


class _Thoughts:
    """One choice's reasoning so far, and what came beside it; ``characters`` of text is -1 where that is not known."""

    __slots__ = ("calls", "characters", "texts")

    def __init__(self, characters: int) -> None:
        self.texts: list[str] = []
        self.characters = characters
        self.calls: dict[int, None] = {}

    def end_block(self, event: ReasoningDelta) -> bytes:
        """Return the block that an event ends."""
        text = "".join(self.texts)
        self.texts.clear()
        return block_json(text, Sealed(event.origin, event.signature, event.hidden, self.characters, len(self.calls)))


def render_whole(answers: Sequence[Answer], completion_id: str, created: int, form: AnswerForm) -> bytes:
    """Return the body of a whole answer, of which there is one, complete; ``created`` is in Unix seconds."""
    (answer,) = answers
    finished = answer.finished
    if finished is None:
        raise ValueError("an answer without finished is not complete")
    first = _choice(0, answer, finished.reason, form)
    more: list[wire.CompletionChoice] = []
    if answer.choices:
        more = [_choice(index, each, each.reason, form) for index, each in enumerate(answer.more, start=1)]
    completion = wire.ChatCompletion(
        id=completion_id,
        created=created,
        model=finished.answered_by.model,
        choices=(first, *more),
        service_tier=tier_word(finished.service_tier) or msgspec.UNSET,
        usage=usage_of(answer.usage),
    )
    told = _encode(completion)
    return told if finished.unread is None else with_unread(told, finished, OPENAI_CHAT)


def _choice(index: int, answer: Answer, reason: FinishReason | None, form: AnswerForm) -> wire.CompletionChoice:
    calls, text = answer.tool_calls, answer.text
    message = wire.CompletionMessage(
        content=text if not answer.is_refusal and (text or not calls) else None,
        refusal=text if answer.is_refusal else None,
        reasoning_content=answer.reasoning or msgspec.UNSET,
    )
    if answer.extra_json:
        for name, value in _extras(wrapped_extras(answer.extra_json, answer.origin), TURN_FIELDS).items():
            setattr(message, name, value)
    if answer.is_signed:
        message.thinking_blocks = msgspec.Raw(blocks_json(answer))
    if calls and form.functions:
        # The older form has a place for one, and the model was asked for no more.
        message.function_call = wire.AnsweredFunction(name=calls[0].name, arguments=calls[0].arguments_json)
    elif calls:
        message.tool_calls = [_tool_call(call) for call in calls]
    told = answer.logprobs_json if answer.logprobs else ""
    return wire.CompletionChoice(
        index=index,
        message=message,
        logprobs=_logprobs(told, is_refusal=answer.is_refusal) if told else None,
        finish_reason=finish_word(reason, functions=form.functions) if reason is not None else "stop",
    )


def _name_of(event: TextDelta) -> bytes:
    return b"refusal" if event.is_refusal else b"content"


def _logprobs(told: str, *, is_refusal: bool) -> wire.Logprobs:
    raw = msgspec.Raw(told.encode(errors="replace"))
    return wire.Logprobs(content=None, refusal=raw) if is_refusal else wire.Logprobs(content=raw)


def finish_word(reason: FinishReason, *, functions: bool = False) -> str:
    """Return OpenAI's word for why an answer ended; ``functions``: in the form that was there before tools."""
    return "function_call" if functions and reason is FinishReason.TOOL_CALLS else reason.value


def tier_word(told: str) -> str:
    """Return OpenAI's word for the tier that an answer was given in, as the provider told it; empty where there is none."""
    if told == _STANDARD:
        return "default"
    return told if told in _TIERS else ""


def _tool_call_piece(delta: ToolCallDelta, *, is_custom: bool) -> bytes:
    said, kind, member = _encode(delta.arguments_json_fragment), b"function", b"arguments"
    if is_custom:
        kind, member = b"custom", b"input"
    extra = b"".join(_members(wrapped_extras(delta.extra_json, delta.origin))) if delta.extra_json else b""
    if not delta.id and not delta.name:
        return b'{"index":%d,"%b":{"%b":%b}%b}' % (delta.index, kind, member, said, extra)
    return b'{"index":%d,"id":%b,"type":"%b","%b":{"name":%b,"%b":%b}%b}' % (
        delta.index,
        _encode(delta.id),
        kind,
        kind,
        _encode(delta.name),
        member,
        said,
        extra,
    )


def _tool_call(call: ToolCall) -> wire.AnsweredToolCall:
    extras = _extras(wrapped_extras(call.extra_json, call.origin), CALL_FIELDS) if call.extra_json else {}
    if call.is_custom:
        custom = wire.AnsweredCustom(name=call.name, input=call.arguments_json)
        return wire.AnsweredToolCall(id=call.id, type="custom", custom=custom, **extras)
    function = wire.AnsweredFunction(name=call.name, arguments=call.arguments_json)
    return wire.AnsweredToolCall(id=call.id, function=function, **extras)


def _members(extra_json: str) -> tuple[bytes, ...]:
    """Return the members of an object, verbatim, as they follow others."""
    return (b",", extra_json.encode()[1:-1]) if extra_json else ()


def _extras(extra_json: str, names: tuple[str, ...]) -> dict[str, Any]:
    """Return those members of an object that have a place in a whole answer, verbatim."""
    extra = _EXTRA.decode(extra_json)
    return {name: extra[name] for name in names if name in extra}
