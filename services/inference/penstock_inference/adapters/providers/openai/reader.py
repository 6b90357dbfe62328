"""From the chunks of one answer, or from all of it, to events, whatever its server's dialect."""

from __future__ import annotations

from typing import Protocol

from penstock_common.llm.types import FinishReason, ReasoningDelta, TextDelta, Usage
from penstock_inference.adapters.providers.http.errors import (
    error_in,
    error_without_choices,
    failure_in_band,
    named_error,
)
from penstock_inference.adapters.providers.http.finish import BrokenOff, finish_reason_of, weightier
from penstock_inference.adapters.providers.http.halves import Halves, mended
from penstock_inference.adapters.providers.http.json_text import Unreadable, value_of
from penstock_inference.adapters.providers.openai import chunks as wire
from penstock_inference.adapters.providers.openai.extras import extra_json_of
from penstock_inference.adapters.providers.openai.loose import chunk_of
from penstock_inference.adapters.providers.openai.plain_text import UNREADABLE
from penstock_inference.adapters.providers.openai.tool_calls import ToolCalls
from penstock_inference.adapters.providers.openai.unread import unread_of
from penstock_inference.domain.failure import AttemptFailed, FailureKind
from penstock_inference.domain.upstream import Stopped, UpstreamEvent

# Some servers send the field always.
_NO_ERRORS = (b"", b"null", b"false", b'""', b"{}", b"[]", b"0")
# The words of nearly all; the others have a file of their own.
_USUAL_WORDS = {"stop": FinishReason.STOP, "length": FinishReason.LENGTH, "tool_calls": FinishReason.TOOL_CALLS}
_MOST_TIER_CHARACTERS = 64
_LEGACY_CALL = "function_call"
_TEXT, _REASONING, _REFUSAL = "text", "reasoning", "refusal"


class Reader(Protocol):
    """Reads one response, chunk by chunk; ``end`` after the last."""

    looks_at_all: bool
    """Whether every chunk is to be given to it, those of text alone as well."""
    said_anything: bool
    """Whether text, reasoning or a call has come."""

    @property
    def stopped(self) -> bool:
        """Whether the answer has come to its end."""
        ...

    def expect_halves(self) -> None:
        """Look at every piece of a text from now on."""
        ...

    def add(self, chunk: wire.Chunk, payload: bytes, events: list[UpstreamEvent], *, whole: bool = False) -> None:
        """Add the chunk's events, usage last; after a ``whole`` answer nothing more comes.

        Raises:
            AttemptFailed: for an error in band, or what is no answer.
        """
        ...

    def end(self, events: list[UpstreamEvent]) -> None:
        """Add what waited for more that did not come."""
        ...


class AnswerReader:
    """Reads an answer of one choice; see ``Reader``."""

    __slots__ = ("_calls", "_halves", "_reason", "_service_tier", "_stop", "_usage", "looks_at_all", "said_anything")

    def __init__(self) -> None:
        # Set once a piece of a text may hold a half of a pair; until then none needs a look.
        self._halves: Halves | None = None
        self.looks_at_all = False
        self._calls: ToolCalls | None = None
        self._usage: Usage | None = None
        self._reason: FinishReason | None = None
        self._stop = ""
        self._service_tier = ""
        self.said_anything = False

    def expect_halves(self) -> None:
        """Look at every piece of a text from now on."""
        if self._halves is None:
            self._halves = Halves()
            self.looks_at_all = True
            if self._calls is not None:
                self._calls.halves = self._halves

    @property
    def stopped(self) -> bool:
        """Whether a finish reason has come."""
        return self._reason is not None

    def add(self, chunk: wire.Chunk, payload: bytes, events: list[UpstreamEvent], *, whole: bool = False) -> None:
        """Add the chunk's events, usage last; after a ``whole`` answer nothing more comes.

        Raises:
            AttemptFailed: for an error in band, or a finish reason that says that the answer broke off.
        """
        if chunk.error and bytes(chunk.error) not in _NO_ERRORS:
            raise named_error(payload)
        if isinstance(chunk.service_tier, str):
            self._service_tier = chunk.service_tier[:_MOST_TIER_CHARACTERS]
        if chunk.choices is None and chunk.usage is None:
            error = error_without_choices(payload)
            if error is not None:
                raise failure_in_band(error)
        for place, choice in enumerate(chunk.choices or ()):
            if (place if choice.index is None else choice.index) == 0:
                self._add_choice(choice, events, whole)
        if chunk.usage is not None:
            self._add_usage(chunk.usage, events)
        elif chunk.x_groq is not None and chunk.x_groq.usage is not None:
            self._add_usage(chunk.x_groq.usage, events)
        if whole and (self._calls is not None or self._halves is not None):
            self.end(events)

    def end(self, events: list[UpstreamEvent]) -> None:
        """Add what waited for more that did not come."""
        if self._calls is not None:
            self._calls.end(events)
        if self._halves is not None:
            reasoning, text = self._halves.rest(_REASONING), self._halves.rest(_TEXT)
            if reasoning:
                events.append(ReasoningDelta(text=reasoning))
            if text:
                events.append(TextDelta(text=text))

    def _add_choice(self, choice: wire.Choice, events: list[UpstreamEvent], whole: bool) -> None:
        if choice.error and bytes(choice.error) not in _NO_ERRORS:
            raise named_error(b'{"error":%b}' % bytes(choice.error))
        word = choice.finish_reason
        delta, as_whole = choice.delta, whole
        if choice.message is not None and (whole or (word and not self.said_anything and _is_empty(delta))):
            # In a stream it repeats what came, unless nothing did.
            delta, as_whole = choice.message, True
        if delta is not None:
            self._add_delta(delta, events, as_whole)
        if choice.usage is not None:
            self._add_usage(choice.usage, events)
        if word:
            self._add_finish(word, choice.stop_reason, events)
        elif self._reason is not None:
            # What comes after the end of the answer is not waited with.
            self.end(events)

    def _add_delta(self, delta: wire.Delta, events: list[UpstreamEvent], whole: bool) -> None:
        reasoning = delta.reasoning_content or delta.reasoning or ""
        text, refusal = delta.content or "", delta.refusal or ""
        if self._halves is not None:
            reasoning = self._halves.joined(_REASONING, reasoning) if reasoning else ""
            text = self._halves.joined(_TEXT, text) if text else ""
            refusal = self._halves.joined(_REFUSAL, refusal) if refusal else ""
        extra_json = ""
        if delta.reasoning_details or delta.thinking_blocks or delta.extra_content:
            extra_json = _extra_json(delta)
        if reasoning or extra_json:
            events.append(ReasoningDelta(text=reasoning, extra_json=extra_json))
            self.said_anything = True
        if text:
            events.append(TextDelta(text=text))
            self.said_anything = True
        if refusal:
            events.append(TextDelta(text=refusal, is_refusal=True))
            self.said_anything = True
        if delta.tool_calls or delta.function_call is not None:
            self._add_calls(delta, events, whole)

    def _add_calls(self, delta: wire.Delta, events: list[UpstreamEvent], whole: bool) -> None:
        if self._calls is None:
            self._calls = ToolCalls(self._halves)
        add_call = self._calls.add_whole if whole else self._calls.add
        for piece in delta.tool_calls or ():
            add_call(piece, events)
        if delta.function_call is not None and not delta.tool_calls:
            add_call(wire.ToolCall(index=_LEGACY_CALL, function=delta.function_call), events)
        self.said_anything = True

    def _add_finish(self, word: str, stop_reason: str | int | None, events: list[UpstreamEvent]) -> None:
        try:
            reason = _USUAL_WORDS.get(word) or finish_reason_of(word)
        except BrokenOff:
            raise AttemptFailed(FailureKind.CUT, f"the upstream broke off with finish reason {word[:40]!r}") from None
        if reason is None:
            return
        if self._calls is not None or self._halves is not None:
            self.end(events)
        if reason is FinishReason.STOP and self._calls is not None:
            # What a client goes by who runs the tools.
            reason = FinishReason.TOOL_CALLS
        self._reason = reason if self._reason is None else weightier(self._reason, reason)
        self._stop = (stop_reason if isinstance(stop_reason, str) else "") or self._stop
        events.append(
            Stopped(self._reason, self._stop, mended(self._service_tier) if self._halves else self._service_tier)
        )

    def _add_usage(self, counts: wire.UsageCounts, events: list[UpstreamEvent]) -> None:
        self._usage = _usage_of(counts, self._usage)
        events.append(self._usage)


def _is_empty(delta: wire.Delta | None) -> bool:
    return delta is None or not (delta.content or delta.tool_calls or delta.reasoning_content or delta.reasoning)


def _extra_json(delta: wire.Delta) -> str:
    """Return what else came that the next turn may need, '' where nothing did."""
    return extra_json_of(
        (
            ("reasoning_details", delta.reasoning_details),
            ("thinking_blocks", delta.thinking_blocks),
            ("extra_content", delta.extra_content),
        )
    )


def _usage_of(counts: wire.UsageCounts, before: Usage | None) -> Usage:
    """Return the usage; a figure that a later count leaves out stays what an earlier one (``before``) said."""
    prompt = counts.prompt_tokens_details or wire.PromptDetails()
    completion = counts.completion_tokens_details or wire.CompletionDetails()
    input_tokens, output_tokens = counts.prompt_tokens or 0, counts.completion_tokens or 0
    # Gemini and xAI count reasoning in the total alone, and bill it as output.
    uncounted = max(0, (counts.total_tokens or 0) - input_tokens - output_tokens)
    if counts.prompt_tokens is None or counts.completion_tokens is None:
        uncounted = 0
    earlier = before or Usage()
    return Usage(
        input_tokens=input_tokens or earlier.input_tokens,
        output_tokens=output_tokens + uncounted or earlier.output_tokens,
        cached_input_tokens=prompt.cached_tokens
        or counts.cached_tokens
        or counts.prompt_cache_hit_tokens
        or earlier.cached_input_tokens,
        cache_write_input_tokens=prompt.cache_write_tokens or earlier.cache_write_input_tokens,
        reasoning_tokens=max(completion.reasoning_tokens or 0, uncounted) or earlier.reasoning_tokens,
    )


def whole_answer(body: bytes, reader: Reader | None = None) -> list[UpstreamEvent]:
    """Return the events of an answer that came in one piece, in their order; ``reader`` is one that reads more than an answer of one choice.

    Raises:
        AttemptFailed: if it is none, or an error in its place.
    """
    reader = reader or AnswerReader()
    try:
        chunk = wire.CHUNK.decode(body)
    except UNREADABLE:
        chunk = _loose(body)
        reader.expect_halves()
    if not chunk.choices and not chunk.error:
        error = error_in(body)
        if error is not None:
            raise failure_in_band(error)
    if chunk.choices is None and not chunk.error:
        raise _no_completion()
    events: list[UpstreamEvent] = []
    reader.add(chunk, body, events, whole=True)
    if (unread := unread_of(body)) is not None:
        events.append(unread)
    return events


def _loose(body: bytes) -> wire.Chunk:
    try:
        value = value_of(body.removeprefix(b"\xef\xbb\xbf"))
    except Unreadable:
        raise _no_completion() from None
    return chunk_of(value)


def _no_completion() -> AttemptFailed:
    return AttemptFailed(FailureKind.MALFORMED, "the upstream did not answer with a completion")
