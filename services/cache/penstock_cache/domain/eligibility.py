"""What may be looked up, and what may be stored: every refusal is one sentence.

Requests with tools in flight (a tool's result, or a call, among the turns) are
not cached at all: call ids are new in every conversation, so an exact hit
cannot come, and results of tools are often about a person or a moment.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from penstock_common.contract.cache import Probe
from penstock_common.llm.events import StreamInvariantError, StreamInvariants
from penstock_common.llm.types import (
    Finished,
    FinishReason,
    GenerationEvent,
    Started,
    TextDelta,
    ToolCallDelta,
    Usage,
)

# A text in canonical form; whatever else there is goes through the contract's rules, event by event.
_PLAIN = frozenset({(Started, TextDelta, Usage, Finished), (Started, TextDelta, Finished)})


class Bypass(NamedTuple):
    """Why a request is not cached: a word for the caller's header, and a sentence."""

    word: str
    sentence: str


NO_BYPASS = Bypass("", "")
_UNSET_TEMPERATURE = Bypass("temperature", "The temperature is not set, and the model's own may be any.")
_TOOLS = Bypass("tools", "Tools are in flight, and answers built on their results are not cached.")
_WEB = Bypass("web", "An image is given by its URL, and what lies there may change.")


class Eligibility:
    """The policy of the exact tiers."""

    def __init__(self, max_temperature: float, *, caches_unset_temperature: bool = True) -> None:
        self._max_temperature = max_temperature
        self._caches_unset_temperature = caches_unset_temperature

    def bypass(self, probe: Probe) -> Bypass:
        """Return why the request may not be cached at all; ``NO_BYPASS`` if it may."""
        temperature = probe.temperature
        if temperature is None:
            if not self._caches_unset_temperature:
                return _UNSET_TEMPERATURE
        elif not temperature <= self._max_temperature:
            return Bypass("temperature", f"The temperature is above the cache's limit of {self._max_temperature:g}.")
        if probe.has_tools_in_flight:
            return _TOOLS
        if probe.refers_to_the_web:
            return _WEB
        return NO_BYPASS

    def refusal_reason(self, probe: Probe, events: Sequence[GenerationEvent]) -> str:
        """Return why the answer, in canonical form, may not be stored; empty if it is complete and clean."""
        kinds = tuple(map(type, events))
        try:
            if kinds not in _PLAIN or not events[1].text:  # type: ignore[union-attr]  # a TextDelta
                _check_invariants(events)
        except StreamInvariantError as error:
            return f"The answer is not a complete stream: {error}."
        finished = events[-1]
        if not isinstance(finished, Finished) or finished.reason is not FinishReason.STOP:
            return "The answer did not finish with stop."
        if ToolCallDelta in kinds:
            return "The answer calls tools."
        if not "".join([event.text for event in events if type(event) is TextDelta]).strip():
            return "The answer has no text."
        if _may_be_truncated(probe, events):
            return "The answer fills its token limit by an estimate, so it may be cut."
        return ""


def _check_invariants(events: Sequence[GenerationEvent]) -> None:
    invariants = StreamInvariants()
    for event in events:
        invariants.observe(event)
    invariants.end()


def _may_be_truncated(probe: Probe, events: Sequence[GenerationEvent]) -> bool:
    """Return whether an upstream that counts no tokens may have said stop for length."""
    limit = probe.max_output_tokens
    return limit is not None and any(
        isinstance(event, Usage) and event.estimated and event.output_tokens >= limit for event in events
    )
