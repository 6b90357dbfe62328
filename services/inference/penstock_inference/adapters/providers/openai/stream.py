"""From a chat completion, streamed or whole, to our events."""

from __future__ import annotations

import secrets
from collections.abc import Callable

import msgspec

from penstock_common.llm.events import merge_deltas
from penstock_common.llm.types import FinishReason, ReasoningDelta, TextDelta, ToolCallDelta, Usage
from penstock_inference.adapters.providers.openai.errors import error_in, failure_in_band
from penstock_inference.adapters.providers.server_sent_events import EventParser, StreamTooLargeError
from penstock_inference.domain.failure import AttemptFailed, FailureKind
from penstock_inference.domain.upstream import Stopped, UpstreamEvent

_DONE = b"[DONE]"
_MOST_TIER_CHARACTERS = 64

_FINISH_REASONS = {
    "stop": FinishReason.STOP,
    "length": FinishReason.LENGTH,
    "tool_calls": FinishReason.TOOL_CALLS,
    "function_call": FinishReason.TOOL_CALLS,
    "content_filter": FinishReason.CONTENT_FILTER,
    # Hugging Face's server, Together, Mistral. A word that is not here may mean a broken answer.
    "eos": FinishReason.STOP,
    "eos_token": FinishReason.STOP,
    "stop_sequence": FinishReason.STOP,
    "model_length": FinishReason.LENGTH,
    "max_tokens": FinishReason.LENGTH,
}


class _Function(msgspec.Struct, gc=False):
    name: str | None = None
    arguments: str | None = None


class _ToolCall(msgspec.Struct, gc=False):
    index: int | None = None
    id: str | None = None
    function: _Function | None = None


class _Delta(msgspec.Struct, gc=False):
    content: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    refusal: str | None = None
    tool_calls: list[_ToolCall] | None = None


class _Choice(msgspec.Struct, gc=False):
    index: int = 0
    delta: _Delta | None = None
    message: _Delta | None = None
    """In place of ``delta`` where the answer is whole; not looked at in a stream, where it repeats what came."""
    finish_reason: str | None = None
    stop_reason: str | int | None = None


class _PromptDetails(msgspec.Struct, gc=False):
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None


class _CompletionDetails(msgspec.Struct, gc=False):
    reasoning_tokens: int | None = None


class _Usage(msgspec.Struct, gc=False):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    total_tokens: int | None = None
    prompt_tokens_details: _PromptDetails | None = None
    completion_tokens_details: _CompletionDetails | None = None


class _Chunk(msgspec.Struct, gc=False):
    choices: list[_Choice] | None = None
    usage: _Usage | None = None
    error: msgspec.Raw = msgspec.Raw()
    service_tier: object = None


_CHUNK = msgspec.json.Decoder(_Chunk)
# Some servers send the field always.
_NO_ERRORS = (b"null", b"false", b'""', b"{}")


_Events = list[UpstreamEvent]


class _Reader:
    """Turns choices into events; numbers the calls of tools over a whole answer."""

    def __init__(self) -> None:
        # By the vendor's index: our index and the vendor's id. Gemini gives parallel calls the same index.
        self._calls: dict[int, tuple[int, str]] = {}
        self._last_call_index = -1
        self._calls_begun = 0
        self._service_tier = ""

    def add(self, chunk: _Chunk, payload: bytes, events: _Events, *, whole: bool = False) -> None:
        """Add the chunk's events, usage last.

        Raises:
            AttemptFailed: for an error in band, or a finish reason that is none.
        """
        if chunk.error and bytes(chunk.error) not in _NO_ERRORS:
            raise _named_error(payload)
        if isinstance(chunk.service_tier, str):
            self._service_tier = chunk.service_tier[:_MOST_TIER_CHARACTERS]
        for choice in chunk.choices or ():
            if choice.index == 0:
                delta = choice.message if whole else choice.delta
                if delta is not None:
                    # Of a whole answer each is a call of its own, whatever its index.
                    self._add_delta(delta, self._begin_tool_call if whole else self._add_tool_call, events)
                if choice.finish_reason:
                    events.append(_stopped(choice.finish_reason, choice.stop_reason, self._service_tier))
        if chunk.usage is not None:
            events.append(_usage(chunk.usage))

    def _add_delta(self, delta: _Delta, add_call: Callable[[_ToolCall], UpstreamEvent | None], events: _Events) -> None:
        reasoning = delta.reasoning_content or delta.reasoning
        if reasoning:
            events.append(ReasoningDelta(text=reasoning))
        text = delta.content or delta.refusal
        if text:
            events.append(TextDelta(text=text))
        for call in delta.tool_calls or ():
            event = add_call(call)
            if event is not None:
                events.append(event)

    def _add_tool_call(self, call: _ToolCall) -> UpstreamEvent | None:
        """Return one fragment; ``id`` and ``name`` go on the first of each call, whatever the vendor repeats or omits."""
        function = call.function or _Function()
        index = call.index
        if index is None:
            begins = bool(call.id or function.name) or self._last_call_index < 0
            index = self._last_call_index + 1 if begins else self._last_call_index
        self._last_call_index = index
        ours, identity = self._calls.get(index, (-1, ""))
        if ours >= 0 and (not function.name or not call.id or call.id == identity):
            arguments = function.arguments
            return ToolCallDelta(index=ours, arguments_json_fragment=arguments) if arguments else None
        self._calls[index] = self._calls_begun, call.id or ""
        return self._begin_tool_call(call)

    def _begin_tool_call(self, call: _ToolCall) -> UpstreamEvent:
        function = call.function or _Function()
        ours = self._calls_begun
        self._calls_begun += 1
        identity = call.id or f"call_{secrets.token_hex(12)}"
        name, arguments = function.name or "", function.arguments or ""
        return ToolCallDelta(index=ours, id=identity, name=name, arguments_json_fragment=arguments)


def _stopped(word: str, stop_reason: str | int | None, service_tier: str) -> Stopped:
    reason = _FINISH_REASONS.get(word)
    if reason is None:
        raise AttemptFailed(FailureKind.CUT, f"the upstream broke off with finish reason {word[:40]!r}")
    return Stopped(reason, stop_reason if isinstance(stop_reason, str) else "", service_tier)


class CompletionStream:
    """Reads one response's bytes; ``done`` is set when ``[DONE]`` has come, and nothing after it is read."""

    def __init__(self) -> None:
        self._parser = EventParser()
        self._reader = _Reader()
        self.done = False

    def feed(self, data: bytes) -> list[UpstreamEvent]:
        """Return what one read brought, neighbouring deltas merged.

        Raises:
            AttemptFailed: for a malformed event, an error in band, or more bytes than an answer can have.
        """
        try:
            plain = self._parser.plain_data(data)
            if plain is not None:
                return self._read_plain(plain)
            arrived = self._parser.feed(data)
        except StreamTooLargeError:
            raise AttemptFailed(FailureKind.OVERSIZE, "the upstream sent more than an answer can hold") from None
        events: list[UpstreamEvent] = []
        for name, payload in arrived:
            if payload.startswith(_DONE):
                self.done = True
                break
            if name == b"error":
                raise _named_error(payload)
            self._reader.add(_decoded(payload), payload, events)
        return _merged(events) if len(events) > 1 else events

    def _read_plain(self, payloads: list[bytes]) -> list[UpstreamEvent]:
        """Read events that came whole: what they add to the text goes straight into one delta."""
        events: _Events = []
        texts: list[str] = []
        for payload in payloads:
            # Only what is none begins like this: a chunk is an object.
            if payload[:1] == b"[" and payload.startswith(_DONE):
                self.done = True
                break
            try:
                chunk = _CHUNK.decode(payload)
            except (msgspec.DecodeError, UnicodeDecodeError):
                raise _malformed() from None
            text = None if chunk.usage is not None or chunk.error else _text_alone(chunk.choices)
            if text is not None:
                texts.append(text)
                continue
            if texts:
                events.append(TextDelta(text="".join(texts)))
                texts = []
            self._reader.add(chunk, payload, events)
        if texts:
            events.append(TextDelta(text="".join(texts)))
        return _merged(events) if len(events) > 1 else events


def whole_answer(body: bytes) -> list[UpstreamEvent]:
    """Return the events of an answer that came in one piece.

    Raises:
        AttemptFailed: if it is none, or an error in its place.
    """
    try:
        chunk = _CHUNK.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise _no_completion(body) from None
    if chunk.choices is None:
        raise _no_completion(body)
    events: _Events = []
    # In their order already, and no two of them are one.
    _Reader().add(chunk, body, events, whole=True)
    return events


def _no_completion(body: bytes) -> AttemptFailed:
    error = error_in(body)
    if error is not None:
        return failure_in_band(error)
    return AttemptFailed(FailureKind.MALFORMED, "the upstream did not answer with a completion")


def _decoded(payload: bytes) -> _Chunk:
    try:
        return _CHUNK.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise _malformed() from None


def _malformed() -> AttemptFailed:
    return AttemptFailed(FailureKind.MALFORMED, "the upstream sent a malformed event")


def _text_alone(choices: list[_Choice] | None) -> str | None:
    """Return the text that choices add where they do nothing else; None where they do, or add none."""
    if not choices or len(choices) > 1:
        return None
    choice = choices[0]
    delta = choice.delta
    if delta is None or choice.finish_reason or choice.index or delta.reasoning_content or delta.reasoning:
        return None
    return None if delta.tool_calls else delta.content or None


def _merged(events: list[UpstreamEvent]) -> list[UpstreamEvent]:
    """Return the deltas merged, then usage and end, which belong after them."""
    deltas = [event for event in events if not isinstance(event, Usage | Stopped)]
    merged: list[UpstreamEvent] = [*merge_deltas(deltas)]  # pyright: ignore[reportAssignmentType] - deltas in, deltas out
    merged.extend(event for event in events if isinstance(event, Usage | Stopped))
    return merged


def _usage(usage: _Usage) -> Usage:
    prompt = usage.prompt_tokens_details or _PromptDetails()
    completion = usage.completion_tokens_details or _CompletionDetails()
    input_tokens, output_tokens = usage.prompt_tokens or 0, usage.completion_tokens or 0
    # Gemini and xAI count reasoning in the total alone, and bill it as output.
    uncounted = max(0, (usage.total_tokens or 0) - input_tokens - output_tokens)
    return Usage(
        input_tokens=input_tokens,
        output_tokens=output_tokens + uncounted,
        cached_input_tokens=prompt.cached_tokens or 0,
        cache_write_input_tokens=prompt.cache_write_tokens or 0,
        reasoning_tokens=max(completion.reasoning_tokens or 0, uncounted),
    )


def _named_error(payload: bytes) -> AttemptFailed:
    error = error_in(payload)
    if error is None:
        return AttemptFailed(FailureKind.SERVER_ERROR, "the upstream reported an error")
    return failure_in_band(error)
