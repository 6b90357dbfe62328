"""The timers of one attempt, kept by one timer handle.

Nothing is scheduled per event: the handle is armed no later than any timer
could be due, and when it fires it looks at what happened meanwhile, and either
ends the attempt or arms itself again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from penstock_inference.domain.catalogue import TimerSeconds
from penstock_inference.domain.failure import AttemptFailed, FailureKind

DEADLINE_MARGIN_SECONDS = 0.02
"""How long before the caller's deadline an attempt ends, so that its error still arrives."""

DEADLINE = "deadline"
_BEFORE_CONTENT = frozenset({"headers", "first_token", "whole"})
# A loop may fire a timer this much early (asyncio by its clock's resolution, uvloop by a millisecond).
_EARLY_SECONDS = 0.001
# One that fires so much late has stalled, and hears its timers before its sockets: what has come is read before silence is
# believed.
_LATE_SECONDS = 0.01
_SECOND_LOOK_SECONDS = 0.02


class Handle(Protocol):
    """A scheduled call."""

    def cancel(self) -> None:
        """Unschedule it."""
        ...


class Clock(Protocol):
    """The part of an event loop that keeps time, in seconds."""

    def time(self) -> float:
        """Return the present."""
        ...

    def call_at(self, when: float, callback: Callable[[], None], /) -> Handle:
        """Schedule ``callback``."""
        ...


class Watchdog:
    """Ends an attempt whose upstream is silent, by cancelling the task that waits for it.

    Time that the reader takes between events is not the upstream's: only
    ``total`` and the deadline run on meanwhile, and take effect when the reader
    comes back.
    """

    __slots__ = (
        "_came_at",
        "_cancelling",
        "_clock",
        "_content_came",
        "_deadline",
        "_doubted_due",
        "_end_seconds",
        "_first_token_due",
        "_handle",
        "_headers_came",
        "_headers_due",
        "_hurried",
        "_idle_seconds",
        "_stopped_at",
        "_task",
        "_total_due",
        "_waiting_since",
        "_whole",
        "_whole_due",
        "_whole_hurried",
        "expired",
        "longest_reading",
        "longest_silence",
    )

    def __init__(
        self, seconds: TimerSeconds, deadline: float | None, clock: Clock, *, expects_whole: bool = False
    ) -> None:
        """Begin; ``expects_whole``: the answer is to come in one piece."""
        now = clock.time()
        self._clock = clock
        self._whole = False
        self._headers_due = now + seconds.headers
        self._first_token_due = now + seconds.first_token
        self._whole_due = now + seconds.whole
        self._hurried = seconds.hurried
        self._whole_hurried = seconds.whole_hurried
        if expects_whole:
            self.whole_expected()
        self._idle_seconds = seconds.idle
        self._end_seconds = seconds.end
        # When the answer came to its end, and the last of what belongs to it; below 0 while it has not.
        self._stopped_at = -1.0
        self._total_due = now + seconds.total
        self._deadline = None if deadline is None else deadline - DEADLINE_MARGIN_SECONDS
        self._doubted_due = 0.0
        self._headers_came = False
        self._content_came = False
        self._waiting_since = self._came_at = now
        self.longest_silence = self.longest_reading = 0.0
        """The longest times in seconds, after the first content, that the upstream, and the reader, were waited for."""
        self._task: asyncio.Task[object] | None = None
        self._cancelling = 0
        self.expired = ""
        """The stage whose timer ended the attempt; empty while none has."""
        self._handle: Handle | None = clock.call_at(min(self._due()[0], now + self._idle_seconds), self._fire)

    def wait(self) -> None:
        """Note that the current task waits for the upstream from now on."""
        now = self._waiting_since = self._clock.time()
        if self._content_came and now - self._came_at > self.longest_reading:
            self.longest_reading = now - self._came_at
        task = self._task = asyncio.current_task()
        self._cancelling = 0 if task is None else task.cancelling()

    def pause(self) -> None:
        """Note that content came and the reader has it now."""
        now = self._came_at = self._clock.time()
        if self._content_came and now - self._waiting_since > self.longest_silence:
            self.longest_silence = now - self._waiting_since
        self._content_came = True
        self._task = None

    @property
    def seconds_since_content(self) -> float:
        """How long ago the last content came."""
        return self._clock.time() - self._came_at

    def headers_received(self) -> None:
        """Note that the response has begun."""
        self._headers_came = True

    def whole_expected(self) -> None:
        """Note that the answer will come in one piece, perhaps although a stream was wanted."""
        self._whole = True
        self._hurried = self._whole_hurried
        self._first_token_due = self._headers_due = self._whole_due

    @property
    def expects_whole(self) -> bool:
        """Whether the answer is to come in one piece."""
        return self._whole

    def answer_ended(self) -> None:
        """Note that the answer is whole, and only the end of the response is waited for."""
        now = self._stopped_at = self._clock.time()
        # It is armed for later.
        if self._handle is not None:
            self._handle.cancel()
        self._handle = self._clock.call_at(min(self._due()[0], now + self._end_seconds), self._fire)

    def stop(self) -> None:
        """Let the attempt be."""
        self._task = None
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def ended_the_wait(self) -> bool:
        """Return whether a timer, and nobody else besides, cancelled the task that waited."""
        if not self.expired or self._task is None:
            return False
        return self._task.uncancel() <= self._cancelling

    def failure(self) -> AttemptFailed:
        """Return what the timer that expired means."""
        if self.expired == DEADLINE:
            return AttemptFailed(FailureKind.DEADLINE, "no answer within the caller's deadline", stage=DEADLINE)
        return silence(self.expired, hurried=self._hurried and self.expired in _BEFORE_CONTENT)

    def _due(self) -> tuple[float, str]:
        """Return the timer that is due first, and when; the earlier stage wins a tie."""
        due, stage = self._total_due, "total"
        if self._stopped_at >= 0:
            # The reader's time is its own, here as between events.
            ends = max(self._stopped_at, self._waiting_since) + self._end_seconds
            if self._task is not None and ends < due:
                due, stage = ends, "end"
        elif self._content_came:
            if self._task is not None and self._waiting_since + self._idle_seconds < due:
                due, stage = self._waiting_since + self._idle_seconds, "idle"
        else:
            if self._first_token_due <= due:
                due, stage = self._first_token_due, "whole" if self._whole else "first_token"
            if not self._whole and not self._headers_came and self._headers_due <= due:
                due, stage = self._headers_due, "headers"
        if self._deadline is not None and self._deadline <= due:
            due, stage = self._deadline, DEADLINE
        return due, stage

    def _fire(self) -> None:
        now = self._clock.time()
        due, stage = self._due()
        if due > now + _EARLY_SECONDS:
            # A stage that begins right now could be due by idle, or by end, from now on, and no sooner.
            soonest = self._idle_seconds if self._stopped_at < 0 else self._end_seconds
            self._handle = self._clock.call_at(min(due, now + soonest), self._fire)
            return
        if now > due + _LATE_SECONDS and stage not in (DEADLINE, "total") and self._doubted_due != due:
            self._doubted_due = due
            self._handle = self._clock.call_at(now + _SECOND_LOOK_SECONDS, self._fire)
            return
        self._handle = None
        self.expired = stage
        if self._task is not None:
            self._task.cancel()


def silence(stage: str, *, hurried: bool = False) -> AttemptFailed:
    """Return the failure of an upstream that was silent too long in ``stage``; ``hurried``: for a caller in a hurry."""
    what = {
        "connect": "no connection in time",
        "headers": "no response in time",
        "first_token": "no first token in time",
        "whole": "no whole answer in time",
        "idle": "the upstream stalled",
        "end": "the response did not end",
        "total": "the answer took too long",
    }[stage]
    return AttemptFailed(FailureKind.TIMEOUT, what, stage=stage, hurried=hurried)
