"""What every request goes through, whatever it asks for: its time, its place among its tenant's, its bill."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import timedelta
from types import TracebackType
from typing import Generic, Protocol, Self

import msgspec
import structlog

from penstock_common.errors import DeadlineExceeded, ModelNotPermitted, PenstockError
from penstock_common.llm.types import Decision
from penstock_common.rpc.scope import CURRENT_SCOPE, NOBODY, RequestScope
from penstock_common.telemetry.steps import Step
from penstock_gateway.domain.guardrails.pipeline.told import Told
from penstock_gateway.domain.knowledge_use.signals import RetrievalSignals
from penstock_gateway.domain.life.admission import given_back, refusal
from penstock_gateway.domain.life.cancelling import cancelled_by_others
from penstock_gateway.domain.life.order import AnyOrder, Call, OrderT_co
from penstock_gateway.domain.life.outcome import Outcome, ledger_row
from penstock_gateway.domain.life.settlement import Ledger, LedgerRow
from penstock_gateway.domain.life.validation import validate_context
from penstock_gateway.domain.limits.admission import Demand, Limiter, Reservation, Standing, Used, Verdict
from penstock_gateway.domain.limits.book import LimitBook
from penstock_gateway.domain.limits.limit import Limit
from penstock_gateway.domain.limits.needs import ESTIMATED, NO_DEMAND, NOT_USED, Asked, Needs

_log = structlog.get_logger(__name__)

# A place among the concurrent requests outlives the request by this much, should its process die.
LEASE_MARGIN = timedelta(seconds=5)
# Whatever a request waits for, such as a caller who does not read, it ends this long after its deadline.
# Services end at the deadline itself, with an error of their own; so this is longer than any of those takes to arrive.
SENDING_GRACE = timedelta(seconds=2)
_SENDING_GRACE_SECONDS = SENDING_GRACE.total_seconds()


# Seen by the garbage collector: an error knows every frame that it has left.
class EndedExchange(msgspec.Struct, frozen=True):
    """Everything there is to say about a request that has ended.

    ``public_model`` is empty until the name that the caller chose is known to be a model's. ``decision`` is the router's,
    where it made one.
    """

    call: Call[AnyOrder]
    row: LedgerRow
    public_model: str
    steps: list[Step]
    ended_ns: int
    error: BaseException | None
    decision: Decision | None = None
    retrieval: RetrievalSignals | None = None
    guardrails: tuple[Told, ...] = ()


class Observer(Protocol):
    """Turns ended requests into metrics, spans and logs."""

    def ended(self, exchange: EndedExchange) -> None:
        """See one request end; never raises, returns at once."""
        ...

    def turned_away(self, surface: str, error: BaseException) -> None:
        """See a request refused before its caller was known."""
        ...


class VisitParts(msgspec.Struct, frozen=True, kw_only=True):
    """What requests go through and leave their traces in.

    ``book`` knows which limits bind a request, ``needs`` what it is expected to use of them, and ``limiter`` counts;
    ``note_verdict`` sees what was refused, and what shadows would have refused.
    """

    limiter: Limiter
    ledger: Ledger
    observer: Observer
    book: LimitBook = msgspec.field(default_factory=LimitBook)
    needs: Needs = msgspec.field(default_factory=Needs)
    note_verdict: Callable[[Verdict, Demand], None] | None = None


class Exchange(Generic[OrderT_co]):
    """One request's life; use it as an async context manager, in one task.

    Entering it begins the request, or raises whatever refuses it; leaving it
    settles, exactly once, whatever ended it; ``afterwards`` follows once the
    caller has the answer. What the headers say is readable at
    any time, after a refusal too. A kind of request says in ``_prepare``,
    ``_close``, ``_outcome`` and ``_afterwards`` what it has of its own.
    """

    __slots__ = (
        "_cancelling", "_expirations", "_is_admitted", "_is_estimated", "_reserved", "_steps", "_task", "_timer", "_visits",
        "_waited_ns", "_went_well", "call", "is_handed_over", "shadowed", "standings",
    )  # fmt: skip

    def __init__(self, call: Call[OrderT_co], visits: VisitParts) -> None:
        self.call = call
        self.standings: tuple[Standing, ...] = ()
        """Where the request's limits stand, once they were asked for a place."""
        self.shadowed: tuple[Standing, ...] = ()
        """Those that would have refused it, were they not shadows."""
        self._visits = visits
        self._steps = call.steps
        self._reserved: Reservation | None = None
        self._is_admitted = self._is_estimated = False
        self._timer: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[object] | None = None
        self._cancelling = 0
        self._expirations = 0
        self._went_well = False
        self.is_handed_over = False
        """Whether others answer it, later: then nobody hears of it now."""
        # Once it is settled.
        self._waited_ns: int | None = None

    @property
    def overhead_ms(self) -> float:
        """Milliseconds spent so far on anything but waiting for upstreams."""
        waited_ns = self._waiting_ns() if self._waited_ns is None else self._waited_ns
        return (time.time_ns() - self.call.started_ns - waited_ns) / 1e6

    async def __aenter__(self) -> Self:
        try:
            self._enter()
            await self._prepare()
        except BaseException as error:
            self._leave(error)
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            await self._close(error)
        except BaseException as failure:
            self._leave(error or failure)
            raise
        self._leave(error)
        self._went_well = error is None

    async def afterwards(self) -> None:
        """Do what nobody waits for; call it once the caller has the answer. What fails of it is logged."""
        if self._went_well:
            try:
                await self._afterwards()
            except Exception as error:  # noqa: BLE001 - the answer was given, and is settled
                _log.error("afterwards_failed", exc_info=error)

    async def _prepare(self) -> None:
        """Do what comes before the answer."""
        raise NotImplementedError

    async def _close(self, error: BaseException | None) -> None:
        """End whatever still works on the answer, which ``error`` has ended where it did not end well."""

    async def _afterwards(self) -> None:
        """Do what follows an answer that went well."""

    def _outcome(self) -> Outcome:
        """Return what there is to say at the end."""
        raise NotImplementedError

    def _waiting_ns(self) -> int:
        """Return the nanoseconds spent so far on waiting for upstreams."""
        raise NotImplementedError

    def _was_refused(self, error: PenstockError) -> bool:
        """Return whether ``error`` ended it before anybody was asked for its answer."""
        raise NotImplementedError

    def _enter(self) -> None:
        """Begin; what the request starts from here on is done in its scope, and ends with its time.

        Raises:
            TurnedAway: if the process cannot write bills.
        """
        order = self.call.order
        self._visits.ledger.check_room()
        seconds = order.timeout.total_seconds()
        loop = asyncio.get_running_loop()
        task = self._task = asyncio.current_task()
        self._cancelling = 0 if task is None else task.cancelling()
        self._timer = loop.call_later(seconds + _SENDING_GRACE_SECONDS, self._expire)
        CURRENT_SCOPE.set(
            RequestScope(
                request_id=order.request_id,
                tenant=order.tenant,
                traceparent=self.call.trace.traceparent,
                deadline=time.monotonic() + seconds,
                priority=order.priority,
            )
        )

    def _check(self) -> None:
        """Check what all requests have.

        Raises:
            InvalidRequest: if its context breaks a limit.
            ModelNotPermitted: if the key may not use the model.
        """
        order = self.call.order
        validate_context(order.context)
        model = order.input.model
        if not self.call.caller.may_use(model):
            raise ModelNotPermitted(f"Your API key may not use the model '{model}'.", model=model)

    async def _reserve(self) -> None:
        """Take what the request needs of all limits that bind it.

        Raises:
            RateLimited: if a limit is reached.
            QuotaExhausted: if a budget is spent.
            InvalidRequest: if it needs more than a limit ever lets through.
        """
        order = self.call.order
        limits = self._visits.book.limits_of(self.call.caller, order.input.model, order.context.feature)
        if limits:
            demand = NO_DEMAND
            for limit in limits:
                if limit.allowance.measure in ESTIMATED:
                    self._is_estimated, demand = True, await self._demand(limits)
                    break
            verdict = await self._visits.limiter.reserve(
                order.generation_id, order.tenant, limits, demand, order.timeout + LEASE_MARGIN
            )
            self._reserved, self.standings, self.shadowed = verdict.reservation, verdict.standings, verdict.shadowed
            if verdict.reservation is None or verdict.shadowed:
                await self._note_refusal(limits, demand, self._told_now(verdict))
            if self._is_estimated:
                self._hold()
        self._is_admitted = True

    async def _note_refusal(self, limits: tuple[Limit, ...], demand: Demand, verdict: Verdict) -> None:
        """Ask for what costs nothing, where money alone was refused, and tell of what was; raise what refuses the request."""
        visits, order = self._visits, self.call.order
        if visits.note_verdict is not None:
            visits.note_verdict(verdict, demand)
        if verdict.reservation is None and (freely := self._freely(verdict, demand)) is not None:
            lease = order.timeout + LEASE_MARGIN
            again = await visits.limiter.reserve(order.generation_id, order.tenant, limits, freely, lease)
            self.standings, self._reserved = again.standings, again.reservation
            verdict = again if again.reservation is not None else verdict
        if verdict.reservation is None:
            raise refusal(verdict, demand, discloses_amounts=visits.needs.terms.discloses_amounts)

    async def _demand(self, limits: tuple[Limit, ...]) -> Demand:
        """Return what the request is expected to use."""
        order = self.call.order
        return self._visits.needs.demand_of(order.tenant, order.input.model, limits, self._asked)

    def _told_now(self, verdict: Verdict) -> Verdict:
        """Return a verdict without the shadows of which it is not known yet whether they would refuse the request."""
        return verdict

    def _hold(self) -> None:
        """Take in that something of the request was estimated, and is reserved."""

    @property
    def _asked(self) -> Asked:
        """Return what its needs follow from; looked at where something must be estimated alone."""
        raise NotImplementedError

    def _freely(self, verdict: Verdict, demand: Demand) -> Demand | None:
        """Return what is asked of the limits in the place of what they refused, where the request may come to cost nothing."""
        return None

    def _expire(self) -> None:
        """End whatever the request waits for; again after a while, as what ends may wait for others to end."""
        if self._task is not None:
            self._expirations += 1
            self._task.cancel()
            self._timer = asyncio.get_running_loop().call_later(_SENDING_GRACE_SECONDS, self._expire)

    def _leave(self, error: BaseException | None) -> None:
        """Settle what ended by ``error``.

        Raises:
            DeadlineExceeded: in place of ``error``, where it was the request's time that ended it.
        """
        if self._timer is not None:
            self._timer.cancel()
        # What the task does from here on is not the request's, whose time may be over: it may serve others.
        CURRENT_SCOPE.set(NOBODY)
        task, self._task = self._task, None
        if not self._expirations or task is None or cancelled_by_others(task, self._expirations) > self._cancelling:
            self._settle(error)
            return
        overdue = DeadlineExceeded("The request's deadline passed.")
        self._settle(overdue)
        try:
            raise overdue from None
        finally:
            # It knows this frame, and would live on with the request and all that it holds.
            del overdue

    def _settle(self, error: BaseException | None) -> None:
        """Bill, leave and report, each exactly once, the bill in hand before the place is given back."""
        call, visits, steps = self.call, self._visits, self._steps
        if error is not None:
            steps.stop(type(error).__name__)
        began_ns = steps.next("settle").start_ns
        try:
            outcome = self._outcome()
            waited_ns = self._waited_ns = self._waiting_ns()
            row = ledger_row(call, outcome, error, began_ns, waited_ns)
            if (reserved := self._reserved) is not None and self._is_estimated:
                # In the ledger it is of the period in which its limits have counted it.
                at = reserved.admitted_at
                row = msgspec.structs.replace(row, reserved_nano_usd=reserved.demand.spend, created_at=at)
            if call.order.job:
                row = msgspec.structs.replace(row, job=call.order.job, attempt=call.order.attempt)
            if outcome.guardrails is not None:
                row = msgspec.structs.replace(row, guardrails=outcome.guardrails.json())
            if self._is_admitted:
                # Only admitted requests are billed: a flood of refused ones must not fill the ledger.
                visits.ledger.append(row)
        except BaseException:
            self._give_back(error, None)
            raise
        self._give_back(error, outcome)
        steps.stop()
        if self.is_handed_over:
            return
        ended_ns = steps.recorded[-1].end_ns
        said = () if outcome.guardrails is None else outcome.guardrails.all()
        told = outcome.decision, outcome.retrieval, said
        visits.observer.ended(EndedExchange(call, row, outcome.public_model, steps.recorded, ended_ns, error, *told))

    def _give_back(self, error: BaseException | None, outcome: Outcome | None) -> None:
        """Give the places back that the request has; one that was refused uses up nothing of its allowance."""
        place, was_refused = self.call.place, False
        if isinstance(error, PenstockError) and self._was_refused(error):
            was_refused = True
            place.note_refusal(error)
        place.leave()
        if self._reserved is not None:
            self._settle_limits(self._reserved, outcome, was_refused=was_refused)

    def _settle_limits(self, reserved: Reservation, outcome: Outcome | None, *, was_refused: bool) -> None:
        """Put what was used in the place of what was reserved, once; all of what was, where nobody knows what was used."""
        self._reserved, limiter, needs = None, self._visits.limiter, self._visits.needs
        if was_refused and (outcome is None or not outcome.bill.cost_nano_usd):
            limiter.cancel(reserved)
            self.standings = given_back(self.standings, reserved.demand)
        elif not self._is_estimated:
            limiter.settle(reserved, NOT_USED)
        elif outcome is None:
            limiter.settle(reserved, Used(reserved.demand.tokens, reserved.demand.spend))
        elif outcome.cache.status == "hit":
            # No model has read or written anything for it; who left a flight may owe for what was written before.
            limiter.settle(reserved, Used(0, outcome.bill.cost_nano_usd))
        else:
            limiter.settle(reserved, needs.used_of(outcome.bill.usage, outcome.bill.cost_nano_usd))
            self._note_use()

    def _note_use(self) -> None:
        """Learn from what was used; only where something was estimated."""
