"""Which texts run through the model together, and in whose turn: a queue without a clock or a loop.

Every text of a batch costs as much as the longest one, so texts of similar
length go together. Turns follow self-clocked fair queueing (Golestani,
INFOCOM 1994): a text's place is the virtual time of its call's arrival plus
the call's tokens up to its end, and the virtual time is the place of what
was taken last. So a caller with one text stands near the head of the queue
beside another's thousands, and every text reaches the head in time.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

# A run costs as much as this many tokens before its first one (MiniLM on a CPU: 0.75 ms, and 0.077 ms a token), so
# padding below that is cheaper than a run of its own.
_TOKENS_PER_RUN = 10
_BUCKETS_PER_OCTAVE = 8
_LEAST_GONE = 256


@dataclass(frozen=True, slots=True)
class BatchBounds:
    """Limits of one run: texts, tokens with padding, and the share of these that may be padding."""

    max_texts: int = 64
    max_padded_tokens: int = 512
    max_padding_ratio: float = 0.1

    def admit(self, texts: int, tokens: int, longest: int) -> bool:
        """Return whether so many texts, of ``tokens`` together and ``longest`` at the most, may run as one."""
        if texts == 1:
            return True
        padded = texts * longest
        return (
            texts <= self.max_texts
            and padded <= self.max_padded_tokens
            and padded - tokens <= max(_TOKENS_PER_RUN, self.max_padding_ratio * padded)
        )


class PreparedText(NamedTuple):
    """A text as the runtime takes it; ``truncated`` if only its head fits the model's window.

    ``tokens`` is what it costs and is billed for, at least 1.
    """

    content: Any
    tokens: int
    truncated: bool


@dataclass(eq=False, slots=True)
class QueuedCall:
    """One caller's texts; times are on the queue owner's clock, ``deadline`` None for none."""

    arrived: float
    deadline: float | None
    waiting_texts: int = 0
    waiting_tokens: int = 0
    has_begun: bool = False
    is_gone: bool = False


class QueuedText(NamedTuple):
    """A text in the queue, compared by ``place``, then by arrival; ``position`` is where it stands in its call."""

    place: int
    number: int
    position: int
    text: PreparedText
    call: QueuedCall


class Taken(NamedTuple):
    """What runs next, and the calls that were dropped because their deadline cannot be met."""

    batch: list[QueuedText]
    dropped: list[QueuedCall]


@dataclass(slots=True)
class TextQueue:
    """Texts of all callers, by length; ``texts`` and ``tokens`` wait, those that were taken or dropped not counted."""

    bounds: BatchBounds
    texts: int = 0
    tokens: int = 0
    _buckets: dict[int, list[QueuedText]] = field(default_factory=dict[int, list[QueuedText]])
    _calls: dict[QueuedCall, None] = field(default_factory=dict[QueuedCall, None])
    _virtual_time: int = 0
    _number: int = 0
    _gone: int = 0

    @property
    def oldest_arrival(self) -> float | None:
        """When the call that waits for longest arrived, None where nobody waits."""
        return next((call.arrived for call in self._calls), None)

    @property
    def fills_a_batch(self) -> bool:
        """Whether waiting for more texts could not make the next batch larger, as far as the sums tell."""
        return self.texts >= self.bounds.max_texts or self.tokens >= self.bounds.max_padded_tokens

    def put(self, call: QueuedCall, texts: Sequence[PreparedText]) -> None:
        """Add a call's texts, the shortest in front."""
        place = self._virtual_time
        for index in sorted(range(len(texts)), key=lambda index: texts[index].tokens):
            text = texts[index]
            place += text.tokens
            self._number += 1
            bucket = self._buckets.setdefault(_bucket_of(text.tokens), [])
            heapq.heappush(bucket, QueuedText(place, self._number, index, text, call))
        call.waiting_texts = len(texts)
        call.waiting_tokens = place - self._virtual_time
        self.texts += call.waiting_texts
        self.tokens += call.waiting_tokens
        self._calls[call] = None

    def drop(self, call: QueuedCall) -> None:
        """Take what is left of a call out of the queue; without effect where nothing is."""
        if call not in self._calls:
            return
        del self._calls[call]
        call.is_gone = True
        self.texts -= call.waiting_texts
        self.tokens -= call.waiting_tokens
        self._gone += call.waiting_texts
        if self._gone > max(self.texts, _LEAST_GONE):
            self._sweep()

    def take(self, now: float, seconds_per_token: float) -> Taken:
        """Return the next batch, empty only if nobody is left.

        A call whose deadline would pass even if the model ran for it alone
        from now on is dropped.
        """
        dropped: list[QueuedCall] = []
        anchor = self._anchor(dropped, now, seconds_per_token)
        if anchor is None:
            return Taken([], dropped)
        batch = [self._pop(anchor)]
        # Who stands in front comes first, then texts of nearly the same length.
        self._virtual_time = max(self._virtual_time, batch[0].place)
        tokens = longest = batch[0].text.tokens
        for bucket in sorted(self._buckets, key=lambda bucket: abs(bucket - anchor)):
            while (head := self._punctual_head(bucket, dropped, now, seconds_per_token)) is not None:
                size = head.text.tokens
                if not self.bounds.admit(len(batch) + 1, tokens + size, max(longest, size)):
                    break
                tokens, longest = tokens + size, max(longest, size)
                batch.append(self._pop(bucket))
        return Taken(batch, dropped)

    def _anchor(self, dropped: list[QueuedCall], now: float, seconds_per_token: float) -> int | None:
        """Return the bucket whose head stands in front of all others."""
        front: QueuedText | None = None
        anchor: int | None = None
        for bucket in list(self._buckets):
            head = self._punctual_head(bucket, dropped, now, seconds_per_token)
            if head is not None and (front is None or head < front):
                front, anchor = head, bucket
        # It may belong to a call that was dropped for a later bucket's sake.
        return self._anchor(dropped, now, seconds_per_token) if front and front.call.is_gone else anchor

    def _punctual_head(
        self, bucket: int, dropped: list[QueuedCall], now: float, seconds_per_token: float
    ) -> QueuedText | None:
        """Return the bucket's first text whose call can still be answered in time; drop the calls before it."""
        while (head := self._head(bucket)) is not None and _is_late(head.call, now, seconds_per_token):
            dropped.append(head.call)
            self.drop(head.call)
        return head

    def _head(self, bucket: int) -> QueuedText | None:
        """Return the bucket's first text of a call that is still there; an empty bucket goes."""
        waiting = self._buckets.get(bucket, [])
        while waiting and waiting[0].call.is_gone:
            heapq.heappop(waiting)
            self._gone -= 1
        if not waiting:
            self._buckets.pop(bucket, None)
            return None
        return waiting[0]

    def _pop(self, bucket: int) -> QueuedText:
        taken = heapq.heappop(self._buckets[bucket])
        call, tokens = taken.call, taken.text.tokens
        self.texts -= 1
        self.tokens -= tokens
        call.waiting_texts -= 1
        call.waiting_tokens -= tokens
        if not call.waiting_texts:
            del self._calls[call]
        return taken

    def _sweep(self) -> None:
        kept = {key: [text for text in bucket if not text.call.is_gone] for key, bucket in self._buckets.items()}
        self._buckets = {key: bucket for key, bucket in kept.items() if bucket}
        for bucket in self._buckets.values():
            heapq.heapify(bucket)
        self._gone = 0


def _bucket_of(tokens: int) -> int:
    return int(_BUCKETS_PER_OCTAVE * math.log2(tokens))


def _is_late(call: QueuedCall, now: float, seconds_per_token: float) -> bool:
    return call.deadline is not None and now + call.waiting_tokens * seconds_per_token >= call.deadline
