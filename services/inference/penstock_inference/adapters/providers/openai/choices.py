"""Answers with several choices, with the probabilities of their tokens, or to custom tools.

Each choice is read as an answer of its own, so that whatever its server's dialect is
understood of it, too. Few ask for them: what one choice costs is not what an answer costs.
"""

from __future__ import annotations

import msgspec
from msgspec.structs import replace

from penstock_common.llm.events import joined_arrays
from penstock_common.llm.types import (
    ChoiceFinished,
    GenerationInput,
    ReasoningDelta,
    TextDelta,
    ToolCallDelta,
    Usage,
)
from penstock_inference.adapters.providers.openai import chunks as wire
from penstock_inference.adapters.providers.openai.reader import AnswerReader
from penstock_inference.domain.failure import AttemptFailed, FailureKind
from penstock_inference.domain.upstream import Stopped, UpstreamEvent

_Events = list[UpstreamEvent]


class _Alternative(msgspec.Struct):
    token: str
    logprob: float
    bytes: list[int] | None = None


class _Token(_Alternative):
    top_logprobs: list[_Alternative] = []


class _Logprobs(msgspec.Struct):
    content: list[_Token] | None = None


_encode = msgspec.json.Encoder().encode
_LOGPROBS = msgspec.json.Decoder(_Logprobs | None)


def are_asked_for(value: GenerationInput) -> bool:
    """Return whether the answer is to be read here."""
    sampling = value.sampling
    if sampling.top_logprobs is not None or (sampling.choices is not None and sampling.choices > 1):
        return True
    return bool(value.tools) and any(tool.custom_json for tool in value.tools)


class ChoicesReader:
    """Reads the choices of one response; see ``Reader``. The first one's end comes once all have ended."""

    def __init__(self, asked: GenerationInput) -> None:
        count = asked.sampling.choices or 1
        self._readers = [AnswerReader() for _ in range(count)]
        # What belongs to no choice.
        self._common = AnswerReader()
        self._ends: dict[int, Stopped] = {}
        self._custom = frozenset([tool.name for tool in asked.tools if tool.custom_json])
        # Probabilities that came before their text.
        self._waiting: dict[int, str] = {}
        # What servers count that count each choice by itself.
        self._usage: dict[int, Usage] = {}
        self.looks_at_all = True
        self.said_anything = False

    @property
    def stopped(self) -> bool:
        """Whether all choices have come to their end."""
        return len(self._ends) == len(self._readers)

    def expect_halves(self) -> None:
        """Look at every piece of a text from now on."""
        for reader in self._readers:
            reader.expect_halves()

    def add(self, chunk: wire.Chunk, payload: bytes, events: _Events, *, whole: bool = False) -> None:
        """Add the chunk's events, usage last; after a ``whole`` answer nothing more comes.

        Raises:
            AttemptFailed: for an error in band, a choice that nobody asked for, or one that is missing at the end.
        """
        for place, choice in enumerate(chunk.choices or ()):
            number = self._number_of(choice, place)
            alone = wire.Chunk(choices=[replace(choice, index=0)], error=chunk.error, service_tier=chunk.service_tier)
            made: _Events = []
            self._readers[number].add(alone, payload, made, whole=whole)
            self._tell(number, made, events, _logprobs_in(choice))
        self._common.add(replace(chunk, choices=[] if chunk.choices else chunk.choices), payload, events)
        if whole:
            self._check_all_ended()

    def end(self, events: _Events) -> None:
        """Add what waited for more that did not come.

        Raises:
            AttemptFailed: if there are fewer choices than were asked for.
        """
        for number, reader in enumerate(self._readers):
            made: _Events = []
            reader.end(made)
            self._tell(number, made, events)
        self._check_all_ended()

    def _number_of(self, choice: wire.Choice, place: int) -> int:
        number = place if choice.index is None else choice.index
        if not 0 <= number < len(self._readers):
            raise AttemptFailed(FailureKind.MALFORMED, "the upstream gave a choice that nobody asked for")
        return number

    def _tell(self, number: int, made: _Events, events: _Events, logprobs_json: str = "") -> None:
        """Add one choice's events to those of all."""
        told = joined_arrays((self._waiting.pop(number, ""), logprobs_json))
        for event in made:
            if isinstance(event, Stopped):
                self._tell_end(number, event, events)
            elif isinstance(event, TextDelta):
                events.append(replace(event, choice=number, logprobs_json=told))
                told = ""
            elif isinstance(event, ToolCallDelta):
                is_custom = event.is_custom or event.name in self._custom
                events.append(replace(event, choice=number, is_custom=is_custom))
            elif isinstance(event, ReasoningDelta):
                events.append(replace(event, choice=number))
            elif isinstance(event, Usage):
                events.append(self._usage_with(number, event))
        if told:
            self._waiting[number] = told

    def _tell_end(self, number: int, stopped: Stopped, events: _Events) -> None:
        is_news = number not in self._ends
        # A choice after the first has its end told once, and the first when all have.
        if is_news or not number:
            self._ends[number] = stopped
        if is_news and number:
            events.append(ChoiceFinished(choice=number, reason=stopped.reason))
        if self.stopped and (is_news or not number):
            events.append(self._ends[0])

    def _usage_with(self, number: int, usage: Usage) -> Usage:
        """Return the usage of the choices that have one of their own: the prompt is the same to all."""
        self._usage[number] = usage
        counts = self._usage.values()
        return replace(
            usage,
            input_tokens=max(count.input_tokens for count in counts),
            output_tokens=sum(count.output_tokens for count in counts),
            reasoning_tokens=sum(count.reasoning_tokens for count in counts),
        )

    def _check_all_ended(self) -> None:
        if not self.stopped:
            asked = len(self._readers)
            raise AttemptFailed(
                FailureKind.MALFORMED, f"the upstream gave {len(self._ends)} of the {asked} choices asked for"
            )


def _logprobs_in(choice: wire.Choice) -> str:
    """Return the tokens with their probabilities, a JSON array written anew; '' where there are none to read."""
    if not choice.logprobs:
        return ""
    try:
        logprobs = _LOGPROBS.decode(choice.logprobs)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return ""
    return _encode(logprobs.content).decode() if logprobs is not None and logprobs.content else ""
