"""From the blocks and the end of one answer to events."""

from __future__ import annotations

import msgspec

from penstock_common.llm.types import FinishReason, ReasoningDelta, StopDetails
from penstock_inference.adapters.providers.anthropic import chunks as wire
from penstock_inference.adapters.providers.anthropic.block_readers import (
    BlockReader,
    CallReader,
    OpaqueReader,
    TextReader,
    ThinkingReader,
)
from penstock_inference.adapters.providers.anthropic.counts import Counts
from penstock_inference.adapters.providers.http.finish import BrokenOff, finish_reason_of
from penstock_inference.domain.failure import AttemptFailed, FailureKind
from penstock_inference.domain.upstream import Stopped, UpstreamEvent

_REASONS = {
    "end_turn": FinishReason.STOP,
    "stop_sequence": FinishReason.STOP,
    "max_tokens": FinishReason.LENGTH,
    "model_context_window_exceeded": FinishReason.LENGTH,
    "tool_use": FinishReason.TOOL_CALLS,
    "pause_turn": FinishReason.LENGTH,
    "refusal": FinishReason.CONTENT_FILTER,
}
# What our reasons say as well as the format's words do.
_SAID_BY_REASON = frozenset({"end_turn", "stop_sequence", "max_tokens", "tool_use"})
_READ_HERE = frozenset({"text", "thinking", "redacted_thinking", "tool_use"})
_Events = list[UpstreamEvent]


class MessageReader:
    """Reads one answer; ``custom`` are the names of tools whose input is free text."""

    def __init__(self, custom: frozenset[str]) -> None:
        self._custom = custom
        self._blocks: dict[int, BlockReader] = {}
        self._calls = 0
        # Of the block before, if that was text.
        self._text: TextReader | None = None
        self.counts = Counts()

    def begin_block(self, index: int, raw: msgspec.Raw, events: _Events) -> None:
        """Add what a block says as it begins."""
        before, self._text = self._text, None
        kind = wire.TYPE.decode(raw).type
        if kind not in _READ_HERE:
            self._blocks[index] = OpaqueReader(raw)
            return
        if kind == "tool_use":
            self._blocks[index] = CallReader(raw, self._calls, self._custom, events)
            self._calls += 1
            return
        block = wire.BLOCK.decode(raw)
        if kind == "text":
            if before is not None:
                before.part(events)
            self._blocks[index] = self._text = TextReader(block, events)
        elif kind == "thinking":
            self._blocks[index] = ThinkingReader(block, events)
        elif block.data:
            events.append(ReasoningDelta(hidden=block.data.encode()))

    def add_to_block(self, index: int, raw: msgspec.Raw, events: _Events) -> None:
        """Add what a piece of a block says.

        Raises:
            AttemptFailed: MALFORMED for a piece of none.
        """
        block = self._blocks.get(index)
        if block is None:
            raise AttemptFailed(FailureKind.MALFORMED, "the upstream sent a piece of a block that it had not begun")
        block.add(raw, events)

    def end_block(self, index: int, events: _Events) -> None:
        """Add what a block tells at its end."""
        block = self._blocks.pop(index, None)
        if block is not None:
            block.end(events)

    def end_blocks(self, events: _Events) -> None:
        """End those that are open."""
        for index in sorted(self._blocks):
            self.end_block(index, events)

    def add_usage(self, raw: msgspec.Raw, events: _Events) -> None:
        """Add what has been counted so far."""
        self.counts.add(bytes(raw))
        if self.counts.is_known:
            events.append(self.counts.usage)

    def add_end(self, end: wire.Message, events: _Events) -> None:
        """Add how the answer ended, if it has.

        Raises:
            AttemptFailed: CUT, where the word for it says that it broke off.
        """
        word = end.stop_reason
        if not word:
            return
        self.end_blocks(events)
        try:
            reason = _REASONS.get(word) or finish_reason_of(word)
        except BrokenOff:
            raise AttemptFailed(FailureKind.CUT, f"the upstream broke off with stop reason {word[:40]!r}") from None
        if reason is None:
            return
        if reason is FinishReason.STOP and self._calls:
            # What a client goes by who runs the tools.
            reason = FinishReason.TOOL_CALLS
        matched = end.stop_sequence or "" if word == "stop_sequence" else ""
        events.append(Stopped(reason, matched, self.counts.service_tier, _details(word, end.stop_details)))


def _details(word: str, said: wire.Details | None) -> StopDetails | None:
    """Return what is said of an end beyond the reason."""
    said = said or wire.Details()
    if word in _SAID_BY_REASON and not (said.category or said.explanation):
        return None
    return StopDetails(word=word, category=said.category or "", explanation=said.explanation or "")
