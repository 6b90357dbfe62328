"""Asking several upstreams that serve one model, of one revision: whom next, when, and what their answers may be.

A part of a call is asked of the first upstream that is in, in the order of
preference, and of the next where that one fails; never of another model. Only
the part that failed is asked again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Generic, TypeVar

from penstock_common.errors import DeadlineExceeded, Overloaded, PenstockError, UpstreamFailed
from penstock_common.telemetry.steps import end
from penstock_embedding.domain.account import Account
from penstock_embedding.domain.failure import Again, AttemptFailed
from penstock_embedding.domain.upstream import Clocks, FailoverObserver, FailoverPolicy, Upstream, Vectors
from penstock_embedding.domain.upstream_health import UpstreamHealth

AskedT = TypeVar("AskedT")

BACKOFF_SECONDS = 0.25
LONGEST_BACKOFF_SECONDS = 8.0
"""Full jitter: U(0, min(8 s, 0.25 s * 2^n)) before repetition n; see "Exponential Backoff And Jitter", AWS 2015."""
LONGEST_WAIT_SECONDS = 8.0
"""A caller is better served by an error than by a longer silence."""
_TICK_SECONDS = 0.02
_LEAST_SILENCE_SECONDS = 1.0
"""A shorter silence, which a caller in a hurry cuts, says nothing of the upstream."""
# Spreads those who were given the same time, so that they do not come back at once.
_SPREAD_SECONDS = 0.25


@dataclass(eq=False, slots=True)
class _Place(Generic[AskedT]):
    """An upstream and what is known of it."""

    upstream: Upstream[AskedT]
    health: UpstreamHealth = field(default_factory=UpstreamHealth)


@dataclass(eq=False, slots=True)
class _Part(Generic[AskedT]):
    """What is asked, for which call, and what came of it so far."""

    asked: AskedT
    tokens: int
    account: Account
    deadline: float | None
    attempts: int = 0
    began: float = 0.0
    made: dict[_Place[AskedT], int] = field(default_factory=dict["_Place[AskedT]", int])
    given_up: set[_Place[AskedT]] = field(default_factory=set["_Place[AskedT]"])
    later: set[_Place[AskedT]] = field(default_factory=set["_Place[AskedT]"])
    worst: AttemptFailed | None = None

    def note(self, place: _Place[AskedT], failure: AttemptFailed) -> None:
        """Keep what the caller is to hear where nobody answers: the first failure that is not our own key's."""
        if self.worst is None or self.worst.is_our_key:
            self.worst = failure
        if failure.again is Again.ELSEWHERE or place.health.out_since is not None:
            self.given_up.add(place)


class Failover(Generic[AskedT]):
    """Answers each part from the first upstream that can; ``standing`` tells what is known of them."""

    def __init__(
        self,
        upstreams: Sequence[Upstream[AskedT]],
        policy: FailoverPolicy,
        observer: FailoverObserver,
        clocks: Clocks | None = None,
    ) -> None:
        """Take the upstreams in the order of preference."""
        self._places = [_Place(upstream) for upstream in upstreams]
        self._policy = policy
        self._observer = observer
        self._clocks = clocks or Clocks()
        self._dimensions = policy.dimensions

    def standing(self) -> dict[str, bool]:
        """Return of each upstream whether it is left alone now."""
        now = self._clocks.monotonic()
        return {place.upstream.name: place.health.is_left_alone(now) for place in self._places}

    async def ask(self, asked: AskedT, tokens: int, account: Account, deadline: float | None) -> Vectors:
        """Return the vectors of one part; ``tokens`` is what it is taken for until an upstream has counted it.

        Whoever calls bounds it by the deadline, which is on the clock of ``monotonic``.

        Raises:
            PenstockError: why there are none, as the first upstream that failed said.
            DeadlineExceeded: if the deadline has passed.
        """
        part = _Part(asked, tokens, account, deadline)
        place = await self._next(part)
        while True:
            if self._seconds_left(part) <= 0:
                raise _too_late()
            try:
                return await self._attempt(place, part)
            except AttemptFailed as failure:
                self._learn(place, part, failure)
                if failure.again is Again.NOWHERE:
                    raise failure.error from None
                part.note(place, failure)
                if not await self._may_repeat(place, part, failure):
                    part.later.add(place)
                    place = await self._next(part)

    async def _attempt(self, place: _Place[AskedT], part: _Part[AskedT]) -> Vectors:
        upstream, account = place.upstream, part.account
        was_sent, others_left = False, self._others_left(place, part)
        # Half of what the caller has left is kept for who comes next.
        seconds = self._seconds_left(part) / (2 if others_left else 1)

        def sent() -> None:
            nonlocal was_sent
            if not was_sent:
                was_sent = True
                account.note_sent(upstream.name, part.tokens)

        with self._recorded(place, part):
            try:
                answer = await upstream.ask(part.asked, seconds, others_left=others_left, sent=sent)
                self._check_size(answer, upstream.name)
            except asyncio.CancelledError:
                # Who leaves owes what is being worked on.
                was_sent = False
                raise
            finally:
                if was_sent:
                    account.note_failed(upstream.name, part.tokens)
        account.note_answered(upstream.name, answer.tokens or part.tokens)
        if place.health.succeeded(self._clocks.monotonic()):
            self._observer.taken_back(upstream.name)
        return answer

    @contextmanager
    def _recorded(self, place: _Place[AskedT], part: _Part[AskedT]) -> Generator[None]:
        """Count and record one attempt, whatever ends it."""
        name, health, account = place.upstream.name, place.health, part.account
        is_retry, is_probe = place in part.made, health.out_since is not None
        part.made[place] = part.made.get(place, 0) + 1
        part.attempts += 1
        part.began = self._clocks.monotonic()
        account.note_attempts(part.attempts)
        step = account.steps.begin("attempt", upstream=name)
        if is_probe:
            step.attributes["probe"] = True
            health.begin_probe(part.began, self._clocks.chance())
        health.budget.begin(is_retry=is_retry)
        outcome, error = "cancelled", "cancelled"
        try:
            yield
            outcome, error = "answered", ""
        except AttemptFailed as failure:
            outcome = error = failure.cause
            raise
        finally:
            health.budget.end(is_retry=is_retry)
            if is_probe:
                health.is_probed = False
            step.attributes["outcome"] = outcome
            end(step, error)
            self._observer.attempted(name, outcome)

    def _check_size(self, answer: Vectors, upstream: str) -> None:
        size = len(answer.vectors[0])
        if not self._dimensions:
            self._dimensions = size
        if size != self._dimensions:
            # Another model behind the same name, whatever it says of itself: its vectors must reach nobody.
            error = UpstreamFailed(f"'{upstream}' gave vectors of another length.", upstream=upstream)
            raise AttemptFailed(error, Again.ELSEWHERE, "dimensions")

    def _learn(self, place: _Place[AskedT], part: _Part[AskedT], failure: AttemptFailed) -> None:
        """Take in what a failure says of the upstream. What the texts are at fault for says nothing."""
        if failure.again is Again.NOWHERE:
            return
        now, chance, health = self._clocks.monotonic(), self._clocks.chance(), place.health
        if failure.cause == "timeout" and now - part.began < _LEAST_SILENCE_SECONDS:
            return
        told = failure.retry_after
        if told is not None or failure.is_rate_limit:
            health.told_to_wait(now, chance, None if told is None else told.total_seconds())
        if failure.is_rate_limit and health.out_since is None:
            return
        goes = health.failed(now, chance, part.account) or (failure.is_our_key and health.out_since is None)
        if goes and self._may_put_out():
            health.put_out(now, chance)
            self._observer.put_out(place.upstream.name, failure.cause)

    def _may_put_out(self) -> bool:
        """Return whether one more may go: at most half of them, so never the last."""
        out = sum(place.health.out_since is not None for place in self._places)
        return out + 1 <= len(self._places) // 2

    async def _may_repeat(self, place: _Place[AskedT], part: _Part[AskedT], failure: AttemptFailed) -> bool:
        """Return whether the same upstream is asked once more, after a pause."""
        if failure.again is not Again.HERE or failure.retry_after is not None or not self._is_eligible(place, part):
            return False
        # Others may have found out during the pause that it is down.
        return await self._pause(place, part) and place.health.is_in(self._clocks.monotonic())

    async def _pause(self, place: _Place[AskedT], part: _Part[AskedT]) -> bool:
        """Wait before an upstream is asked again for what it failed at; return False where there is no time for that."""
        longest = min(LONGEST_BACKOFF_SECONDS, BACKOFF_SECONDS * 2 ** (part.made[place] - 1))
        pause = self._clocks.chance() * longest
        if pause >= self._seconds_left(part):
            return False
        await self._clocks.sleep(pause)
        return True

    async def _next(self, part: _Part[AskedT]) -> _Place[AskedT]:
        """Return whom to ask now, after a wait where all are to be left alone for a short time.

        Raises:
            PenstockError: if nobody is left.
        """
        has_waited = False
        while (place := self._chosen(part)) is None:
            now = self._clocks.monotonic()
            soonest = min(
                (place.health.cooling_until for place in self._eligible(part) if place.health.cooling_until > now),
                default=None,
            )
            if soonest is None:
                raise self._error_of(part) from None
            pause = soonest - now + self._clocks.chance() * _SPREAD_SECONDS
            if soonest - now > LONGEST_WAIT_SECONDS or pause >= self._seconds_left(part):
                raise _busy(part, soonest - now) from None
            await self._clocks.sleep(pause)
            has_waited = True
        if place not in part.later or has_waited:
            return place
        if not await self._pause(place, part):
            raise self._error_of(part) from None
        # Others may have found out during the pause that it is down, or others are well again.
        return place if place.health.is_in(self._clocks.monotonic()) else await self._next(part)

    def _error_of(self, part: _Part[AskedT]) -> PenstockError:
        failure = part.worst
        if failure is None:
            # Only where every upstream is out, and each is being tried by somebody else.
            return UpstreamFailed("No upstream of the embedding model is well. Try again.")
        # An attempt's time-out that was the caller's own may end a moment before that.
        if failure.cause == "timeout" and self._seconds_left(part) <= _TICK_SECONDS:
            return _too_late()
        return failure.error

    def _chosen(self, part: _Part[AskedT]) -> _Place[AskedT] | None:
        """Return the first that is in, or wants a probe; then those that gave no proper answer; then the least hopeless."""
        now = self._clocks.monotonic()
        eligible = list(self._eligible(part))
        fresh = [place for place in eligible if place not in part.later]
        for places in (fresh, eligible):
            for place in places:
                if place.health.is_in(now) or place.health.wants_probe(now):
                    return place
        return next((place for place in eligible if place.health.may_be_probed(now)), None)

    def _eligible(self, part: _Part[AskedT]) -> Iterator[_Place[AskedT]]:
        return (place for place in self._places if self._is_eligible(place, part))

    def _is_eligible(self, place: _Place[AskedT], part: _Part[AskedT]) -> bool:
        made = part.made.get(place, 0)
        if place in part.given_up or made >= self._policy.attempts:
            return False
        return not made or place.health.budget.has_room

    def _others_left(self, place: _Place[AskedT], part: _Part[AskedT]) -> bool:
        now = self._clocks.monotonic()
        return any(other is not place and other.health.is_in(now) for other in self._eligible(part))

    def _seconds_left(self, part: _Part[AskedT]) -> float:
        return float("inf") if part.deadline is None else part.deadline - self._clocks.monotonic()


def _too_late() -> DeadlineExceeded:
    return DeadlineExceeded("The texts were not embedded before the request's deadline.")


def _busy(part: _Part[AskedT], seconds: float) -> PenstockError:
    """Return what a caller hears where upstreams asked for more time than is left."""
    if part.worst is not None and not part.worst.is_rate_limit:
        return part.worst.error
    return Overloaded(
        "Every upstream of the embedding model is busy. Try again.", retry_after=timedelta(seconds=max(0.001, seconds))
    )
