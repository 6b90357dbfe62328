"""From the pieces of a generateContent answer to events."""

from __future__ import annotations

import msgspec

from penstock_common.llm.types import (
    ChoiceFinished,
    FinishReason,
    GenerationInput,
    Opaque,
    OpaqueDelta,
    ReasoningDelta,
    StopDetails,
    TextDelta,
    ToolCallDelta,
    Usage,
)
from penstock_inference.adapters.providers.gemini import wire
from penstock_inference.adapters.providers.gemini.call_ids import CallIds
from penstock_inference.adapters.providers.gemini.errors import failure_in_band
from penstock_inference.adapters.providers.gemini.finish import details_of_block, end_of, refusal_of
from penstock_inference.adapters.providers.gemini.logprobs import logprobs_json_of
from penstock_inference.adapters.providers.gemini.signatures import extra_of_call
from penstock_inference.domain.failure import AttemptFailed, FailureKind
from penstock_inference.domain.upstream import Stopped, UpstreamEvent

FORMAT = "gemini"
"""What opaque blocks of this format are called."""
_NO_ARGUMENTS = "{}"
_NOTHING = (b"", b"null", b"{}")
_TIERS = {"TRAFFIC_TYPE_UNSPECIFIED": "", "SERVICE_TIER_UNSPECIFIED": ""}

_Events = list[UpstreamEvent]


class AnswerReader:
    """Reads the choices of one response; the first one's end comes once all have ended."""

    def __init__(self, asked: GenerationInput) -> None:
        ids = CallIds(asked.messages)
        self._choices = [_Choice(number, ids) for number in range(asked.sampling.choices or 1)]
        self._tier = ""
        self._end: tuple[FinishReason, StopDetails | None] | None = None
        self._running = len(self._choices)
        self._said_anything = False

    @property
    def stopped(self) -> bool:
        """Whether all choices have come to their end."""
        return not self._running

    def add(self, chunk: wire.Chunk, events: _Events) -> None:
        """Add a chunk's events, usage last but for the end.

        Raises:
            AttemptFailed: for an error in band, a prompt that was blocked, or an answer that broke off or cannot be read.
        """
        if bytes(chunk.error) not in _NOTHING:
            raise failure_in_band(b'{"error":%b}' % bytes(chunk.error))
        usage = _usage_in(chunk.usage_metadata)
        if usage is not None:
            self._tier = _tier_of(usage) or self._tier
        before = len(events)
        ends: _Events = []
        for candidate in chunk.candidates or ():
            self._add_candidate(candidate, events, ends)
        self._said_anything = self._said_anything or len(events) > before
        feedback = chunk.prompt_feedback
        if feedback is not None and feedback.block_reason and not chunk.candidates:
            self._add_block(details_of_block(feedback), ends)
        if usage is not None:
            events.append(_usage_of(usage))
        events += ends

    def _add_candidate(self, candidate: wire.Candidate, events: _Events, ends: _Events) -> None:
        number = candidate.index or 0
        if not 0 <= number < len(self._choices):
            raise AttemptFailed(FailureKind.MALFORMED, "the upstream gave a candidate that nobody asked for")
        choice = self._choices[number]
        choice.add(candidate, events)
        end = end_of(candidate, has_calls=bool(choice.calls))
        if end is None or choice.ended:
            return
        choice.end(events)
        self._running -= 1
        if number:
            events.append(ChoiceFinished(choice=number, reason=end[0]))
        else:
            self._end = end
        if self.stopped and self._end is not None:
            reason, details = self._end
            ends.append(Stopped(reason, service_tier=self._tier, details=details))

    def _add_block(self, details: StopDetails, ends: _Events) -> None:
        if not self._said_anything:
            raise refusal_of(details)
        if not self.stopped:
            self._running = 0
            ends.append(Stopped(FinishReason.CONTENT_FILTER, service_tier=self._tier, details=details))


class _Choice:
    """One candidate, from its pieces."""

    __slots__ = ("_grounding", "_ids", "_number", "calls", "ended")

    def __init__(self, number: int, ids: CallIds) -> None:
        self._number = number
        self._ids = ids
        # What was found for it: each piece that has any has all of it so far.
        self._grounding = b""
        self.calls = 0
        self.ended = False

    def add(self, candidate: wire.Candidate, events: _Events) -> None:
        """Add the events of a piece."""
        if candidate.grounding_metadata and bytes(candidate.grounding_metadata) not in _NOTHING:
            self._grounding = bytes(candidate.grounding_metadata)
        logprobs_json = logprobs_json_of(candidate.logprobs_result) if candidate.logprobs_result else ""
        for raw in (candidate.content and candidate.content.parts) or ():
            logprobs_json = self._add_part(raw, logprobs_json, events)

    def end(self, events: _Events) -> None:
        """Add what is told at the end: what the text refers to."""
        self.ended = True
        if self._grounding:
            told = f"[{self._grounding.decode('utf-8', 'replace')}]"
            events.append(TextDelta(text="", choice=self._number, citations_json=told))

    def _add_part(self, raw: msgspec.Raw, logprobs_json: str, events: _Events) -> str:
        """Add a part's events; return the probabilities that wait for a part with text."""
        part = wire.PART.decode(raw)
        signature = (part.thought_signature or "").encode()
        if part.function_call is not None:
            self._add_call(part.function_call, part.thought_signature or "", events)
        elif part.text is None:
            block = Opaque(format=FORMAT, json=bytes(raw).decode())
            events.append(OpaqueDelta(block=block, choice=self._number))
        elif part.thought:
            if part.text or signature:
                events.append(ReasoningDelta(text=part.text, signature=signature, choice=self._number))
        elif part.text:
            events.append(TextDelta(text=part.text, choice=self._number, logprobs_json=logprobs_json))
            logprobs_json = ""
            if signature:
                events.append(ReasoningDelta(signature=signature, choice=self._number))
        elif signature:
            events.append(ReasoningDelta(hidden=signature, choice=self._number))
        return logprobs_json

    def _add_call(self, call: wire.FunctionCall, signature: str, events: _Events) -> None:
        if not call.name or call.partial_args:
            raise AttemptFailed(FailureKind.MALFORMED, "the upstream sent a call that is not whole")
        arguments = bytes(call.args).decode()
        events.append(
            ToolCallDelta(
                index=self.calls,
                id=self._ids.of(call.id or "", signature),
                name=call.name,
                arguments_json_fragment=_NO_ARGUMENTS if arguments in ("", "null") else arguments,
                extra_json=extra_of_call(signature) if signature else "",
                choice=self._number,
            )
        )
        self.calls += 1


def _usage_in(raw: msgspec.Raw) -> wire.UsageMetadata | None:
    """Return what was counted; None where nothing was, or what cannot be read, which takes nothing from the answer."""
    if bytes(raw) in (b"", b"null"):
        return None
    try:
        return wire.USAGE.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def _usage_of(usage: wire.UsageMetadata) -> Usage:
    thoughts = usage.thoughts_token_count or 0
    return Usage(
        input_tokens=(usage.prompt_token_count or 0) + (usage.tool_use_prompt_token_count or 0),
        output_tokens=(usage.candidates_token_count or 0) + thoughts,
        cached_input_tokens=usage.cached_content_token_count or 0,
        reasoning_tokens=thoughts,
    )


def _tier_of(usage: wire.UsageMetadata) -> str:
    """Return the tier in the word that is asked for: ``priority`` of ``ON_DEMAND_PRIORITY``."""
    word = usage.service_tier or usage.traffic_type or ""
    return _TIERS.get(word, word.removeprefix("ON_DEMAND_").lower())
