"""One upstream's gate: how many requests are inside at once and in any minute, and who waits before it."""

from __future__ import annotations

import asyncio

import msgspec

from penstock_common.priority import RESERVED_SECONDS, SHARES, Priority
from penstock_inference.domain.load.adaptive_limit import AdaptiveLimit
from penstock_inference.domain.load.budgets import Budgets, GateParts
from penstock_inference.domain.load.fair_queue import FairQueue, Ticket
from penstock_inference.domain.load.shared_allowance import Clock, Handle


class GateLimits(msgspec.Struct, frozen=True, kw_only=True):
    """What an upstream takes of all processes; 0 is without limit. ``most_waiting`` requests wait before it in this one."""

    requests_per_minute: int = 0
    tokens_per_minute: int = 0
    concurrent_requests: int = 0
    most_waiting: int = 1000
    wait_seconds: float = 10.0


class Permit:
    """One request inside; it leaves exactly once, however often it is told to."""

    __slots__ = ("_is_inside", "_tokens", "gate", "has_waited")

    def __init__(self, gate: Gate, tokens: int, *, has_waited: bool = False) -> None:
        self.gate = gate
        self.has_waited = has_waited
        self._tokens = tokens
        self._is_inside = True

    def leave(self, used_tokens: int | None) -> None:
        """Come out; ``used_tokens`` is what it took, None where nobody knows."""
        if self._is_inside:
            self._is_inside = False
            self.gate.leave(self._tokens, used_tokens)


class Gate:
    """Lets requests in while they fit, else in the order of ``FairQueue``.

    Whoever came in leaves exactly once. Inside, nobody overtakes: a request that fits waits all the same where one of its class
    or a higher one does.
    """

    def __init__(
        self,
        limits: GateLimits,
        clock: Clock,
        adaptive: AdaptiveLimit | None = None,
        parts: GateParts | None = None,
    ) -> None:
        """``parts`` are what its limits are counted by; not said: by this process alone."""
        if parts is None:
            parts = Budgets(clock).parts("", limits.requests_per_minute, limits.tokens_per_minute, 1)
        self.in_flight = 0
        self.shed = 0
        """How many were turned away, or shed from the queue."""
        self.queue = FairQueue(limits.most_waiting)
        self._clock = clock
        self._limits = limits
        self._adaptive = adaptive
        self._requests, self._tokens, self._fellows = parts
        self._budgets = [each for each in parts[:2] if each is not None]
        for budget in self._budgets:
            budget.listen(self._let_in)
        self._reserved_until = clock.time()
        self._timer: Handle | None = None

    @property
    def counts_tokens(self) -> bool:
        """Whether it matters how many tokens a request may take."""
        return self._tokens is not None

    @property
    def wait_seconds(self) -> float:
        """How long a request waits at most where nobody else is left."""
        return self._limits.wait_seconds

    @property
    def most_inside(self) -> float:
        """How many may be inside at once now; infinite where nothing limits them."""
        places = self._limits.concurrent_requests
        most = float(self._fellows.part_of(places) if places else "inf")
        return most if self._adaptive is None else min(most, self._adaptive.value)

    def try_enter(self, priority: Priority, tokens: int) -> bool:
        """Go in at once where that is possible; ``tokens`` are what it may take at most, as far as is known."""
        now = self._clock.time()
        if priority is Priority.CRITICAL:
            self._reserved_until = now + RESERVED_SECONDS
        if len(self.queue) and self.queue.first(now) is not None:
            return False
        if self._seconds_until_fits(priority, tokens, now):
            return False
        self._go_in(tokens, now)
        return True

    async def try_enter_once_told(self, priority: Priority, tokens: int) -> bool:
        """Go in as soon as it is known what of a shared limit there is for this process; nobody waits here for anything else."""
        # What is on its way may have been asked for before this request came; the next is asked for it, too.
        for _ in range(2):
            asked = next((budget for budget in self._budgets if budget.is_asking), None)
            if asked is None or len(self.queue):
                return False
            await asked.answered()
            if self.try_enter(priority, tokens):
                return True
        return False

    async def enter(self, tenant: str, priority: Priority, tokens: int, wait_seconds: float) -> bool:
        """Wait until it is one's turn; return whether it came within ``wait_seconds``, and nobody took the place."""
        now, loop = self._clock.time(), asyncio.get_running_loop()
        turn: asyncio.Future[bool] = loop.create_future()

        def tell(comes: bool) -> bool:
            if turn.done():
                # Cancelled, or out of time, and not awake yet to leave the queue.
                return False
            turn.set_result(comes)
            return True

        def give_up() -> None:
            tell(False)

        ticket = Ticket(tenant, priority, now + wait_seconds, tokens, tell)
        if wait_seconds <= 0 or not self.queue.push(ticket):
            self.shed += 1
            return False
        patience = self._clock.call_at(ticket.due, give_up)
        self._let_in()
        try:
            comes = await turn
        except BaseException:
            if turn.done() and not turn.cancelled() and turn.result():
                self.leave(tokens, 0)
            raise
        finally:
            patience.cancel()
            self.queue.leave(ticket)
        self.shed += not comes
        return comes

    def leave(self, tokens: int, used_tokens: int | None) -> None:
        """Come out; ``tokens`` are those that were taken, and ``used_tokens`` what it took, None where nobody knows."""
        self.in_flight -= 1
        if self._tokens is not None and used_tokens is not None:
            self._tokens.correct(used_tokens - tokens, self._clock.time())
        if len(self.queue):
            self._let_in()

    def answered(self, first_token_seconds: float) -> None:
        """Take in how soon an answer began."""
        if self._adaptive is not None:
            self._adaptive.answered(first_token_seconds, self.in_flight)

    def refused(self) -> None:
        """Take in that the upstream said that it is too much, or said nothing."""
        if self._adaptive is not None:
            self._adaptive.refused()

    def close(self) -> None:
        """Let nobody wait any longer."""
        for budget in self._budgets:
            budget.forget(self._let_in)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while (ticket := self.queue.first(self._clock.time())) is not None:
            self.queue.pop(ticket)
            ticket.tell(False)

    def _go_in(self, tokens: int, now: float) -> None:
        self.in_flight += 1
        if self._requests is not None:
            self._requests.take(1, now)
        if self._tokens is not None:
            self._tokens.take(tokens, now)

    def _let_in(self) -> None:
        """Let in who is next, as long as there is room, and look again when there will be."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        now = self._clock.time()
        while (ticket := self.queue.first(now)) is not None:
            seconds = self._seconds_until_fits(ticket.priority, ticket.tokens, now)
            if seconds:
                if seconds != float("inf"):
                    self._timer = self._clock.call_at(now + seconds, self._look_again)
                return
            self.queue.pop(ticket)
            if ticket.tell(True):
                self._go_in(ticket.tokens, now)

    def _look_again(self) -> None:
        self._timer = None
        self._let_in()

    def _seconds_until_fits(self, priority: Priority, tokens: int, now: float) -> float:
        """Return 0 where a request fits now; infinite where somebody has to come out first."""
        most = self.most_inside
        if priority is not Priority.CRITICAL and now < self._reserved_until:
            most = max(1.0, most * SHARES[priority])
        if self.in_flight + 1 > most:
            return float("inf")
        wait = 0.0
        if self._requests is not None:
            wait = self._requests.wait_seconds(1, now)
        if self._tokens is not None:
            wait = max(wait, self._tokens.wait_seconds(tokens, now))
        return wait
