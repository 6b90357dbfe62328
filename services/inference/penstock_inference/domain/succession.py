"""Whom to ask next, and when: the plan's candidates, those first that are well, before anything was sent.

Pure: time and chance are handed in.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from datetime import timedelta

from penstock_common import errors
from penstock_common.llm.types import UnsupportedFields
from penstock_inference.domain.availability import Availability, Pools
from penstock_inference.domain.catalogue import Model, WholeAnswers
from penstock_inference.domain.failure import AttemptFailed, FailureKind, Next, Weight, error_before_content, weightier
from penstock_inference.domain.health.registry import Trouble
from penstock_inference.domain.health.rules import State
from penstock_inference.domain.health.turn import Turn
from penstock_inference.domain.upstream import UpstreamCall

ATTEMPTS_PER_CANDIDATE = 2
BACKOFF_SECONDS = 0.25
BACKOFF_LIMIT_SECONDS = 8.0
"""Full jitter: U(0, min(8 s, 0.25 s * 2^n)) before retry n; see "Exponential Backoff And Jitter", AWS 2015."""
UNTOLD_WAIT_SECONDS = 1.0
"""Equal jitter around this where a 429 does not say when to come again, and nobody keeps count of those."""
LONGEST_WAIT = timedelta(seconds=8)
"""A caller is better served by an error than by a longer silence."""
# Spreads those who were given the same time, so that they do not come back at once.
_SPREAD_SECONDS = 0.5
# After these the same candidate may be asked again.
_AGAIN = frozenset({Next.RETRY, Next.WAIT})

# What another replica, or another key, of the same upstream may not fail with.
_OF_THE_ENDPOINT = frozenset(
    {FailureKind.CONNECT, FailureKind.CERTIFICATE, FailureKind.TIMEOUT, FailureKind.CREDENTIALS, FailureKind.QUOTA,
     FailureKind.RATE_LIMITED, FailureKind.MISCONFIGURED}
)  # fmt: skip


class Succession:
    """Walks a plan: ``current`` is the model to ask now, ``attempts`` counts those made at upstreams."""

    def __init__(
        self,
        models: Sequence[Model],
        seconds_left: Callable[[], float],
        chance: Callable[[], float],
        unsupported: UnsupportedFields = UnsupportedFields.REFUSE,
        pools: Pools | None = None,
    ) -> None:
        """Begin with the first model that is well; ``chance`` returns a number in [0, 1).

        ``unsupported`` is what becomes of fields that no model takes. Those that take all of them come first.
        """
        self.current, *rest = models
        self.unsupported = UnsupportedFields.REFUSE
        """What becomes of fields that ``current`` does not take."""
        self.delay: float | None = 0.0
        """The seconds to wait before the first attempt; None where nobody may be asked, and ``error`` says why."""
        self.retry_refused = False
        """Whether the last failure was not repeated because the upstream's retry budget is spent."""
        self._rest = rest
        self._last_resort = unsupported
        # Those that do not take all fields, and may be asked without, or all the same, once nobody else is left.
        self._lacking: list[Model] = []
        self._seconds_left = seconds_left
        self._chance = chance
        self._attempts_here = 0
        # Who was asked once, beside another, and may be once more.
        self._asked_once: Model | None = None
        # The attempt that is made beside that at ``current``: at whom, and the turn of ``current``.
        self._beside: tuple[Model, Turn | None] | None = None
        self.attempts = 0
        self._worst: tuple[AttemptFailed, Model] | None = None
        self._models = models
        self._pools = pools
        self.availability: Availability | None = None
        """The view of the pools; None while nobody needed one."""
        self._turn: Turn | None = None
        self.holds_retry = False
        """Whether a retry of the budget is taken, and not yet a turn's."""
        self._promised = -math.inf
        self._waited = 0.0
        self._is_same_again = False
        if pools is not None:
            for model in models:
                trouble = pools[model.candidate.upstream].health.trouble
                if trouble and (rest or trouble is Trouble.OUT):
                    self._begin_in_trouble(models)
                    break

    def _begin_in_trouble(self, models: Sequence[Model]) -> None:
        availability = self._available()
        assert availability is not None, "there are pools"
        self._rest = availability.order(models)
        self.delay = self._advance()

    def stay_with(self, model: Model) -> None:
        """Begin with a model that the conversation stays with, although it is slow; not if it is worse."""
        if self.availability is None or self.current is model or model not in self._rest:
            return
        if self.availability.look(model).state is State.SLOW:
            self._rest.remove(model)
            self._rest.insert(0, self.current)
            self.current, self.delay = model, 0.0
            self.availability.passed_over.pop(str(model.candidate), None)

    @property
    def others_left(self) -> bool:
        """Whether somebody else could be asked after ``current``."""
        return bool(self._rest or self._lacking)

    @property
    def others_could_answer(self) -> bool:
        """Whether one of those is well enough that time is to be left for it."""
        available = self.availability
        if available is None:
            return bool(self._rest or self._lacking)
        return any(available.could_answer(model) for model in (*self._rest, *self._lacking))

    @property
    def passed_over(self) -> str:
        """Who was not asked although the plan has it before, and why; empty where nobody was."""
        return "" if self.availability is None else self.availability.told

    def begin(self) -> None:
        """Count an attempt at ``current``."""
        self.retry_refused = False
        self.attempts += 1
        self._attempts_here += 1

    def well_beside(self, *, whole: bool) -> Model | None:
        """Return whom to ask beside ``current``: the next that is well, else it itself at another endpoint; None where none is.

        ``whole``: the caller does not stream; who is asked for an answer in one piece then has no first token.
        """
        available = self._available()
        assert available is not None, "there are pools"
        for model in self._rest:
            if available.look(model).state is State.OK and not (whole and model.whole_answers is WholeAnswers.ALWAYS):
                return model
        return self.current if self._has_another_endpoint() else None

    def may_ask_beside(self, model: Model) -> bool:
        """Return whether so few requests fail that one may be asked that need not be; at the same upstream it is a retry."""
        assert self._turn is not None, "an attempt runs"
        assert self._pools is not None, "there are pools"
        here, there = self._turn.place.budget, self._pools[model.candidate.upstream].health.budget
        if not (here.is_ample and there.is_ample):
            return False
        self.holds_retry = here is there and here.take()
        return self.holds_retry or here is not there

    def begin_beside(self, model: Model) -> None:
        """Count an attempt at another, beside that at ``current``."""
        self.attempts += 1
        if model is self.current:
            self._attempts_here += 1
        else:
            self._rest.remove(model)
        self._beside = model, self._turn

    def beside_won(self, failure: AttemptFailed | None) -> None:
        """Go on with whom was asked beside ``current``, which may be asked once more unless it ``failed`` for good."""
        (model, _), self._beside = self._taken_beside(), None
        late, self.current = self.current, model
        if failure is not None:
            self._note(failure, late)
        if model is not late and (failure is None or failure.next in _AGAIN):
            self._keep_for_once(late)

    def beside_lost(self) -> None:
        """Go on with ``current``; whom was asked beside it may be asked once more."""
        (model, self._turn), self._beside = self._taken_beside(), None
        if model is not self.current:
            self._keep_for_once(model)

    def beside_failed(self, failure: AttemptFailed) -> None:
        """Go on with ``current``, as whom was asked beside it has failed."""
        (model, self._turn), self._beside = self._taken_beside(), None
        self._note(failure, model)
        if model is not self.current and failure.next in _AGAIN:
            self._keep_for_once(model)

    def _taken_beside(self) -> tuple[Model, Turn | None]:
        assert self._beside is not None, "somebody was asked beside"
        return self._beside

    def _keep_for_once(self, model: Model) -> None:
        self._rest.insert(0, model)
        self._asked_once = model

    def ask_otherwise(self) -> float:
        """Have ``current`` asked at once, with the same account, as it is asked something else."""
        self._attempts_here -= 1
        self._is_same_again, self.retry_refused = True, False
        return 0.0

    def turn(self, call: UpstreamCall, beside: Model | None = None, account: str = "") -> Turn:
        """Return the attempt at ``current``, or at whom is asked ``beside`` it, at one of its endpoints.

        It is one of the ``account`` while any of those is well.
        """
        assert self._pools is not None, "there are pools"
        last = self._turn
        avoid = last.place if last is not None and self._attempts_here > 1 else None
        if self._is_same_again and last is not None:
            account, avoid, self._is_same_again = last.endpoint.account, None, False
        turn = self._turn = self._pools[(beside or self.current).candidate.upstream].turn(call, avoid, account)
        if self.holds_retry:
            turn.is_retry, self.holds_retry = True, False
        if self.availability is not None and turn.place.condition is State.EJECTED and not turn.place.is_probed:
            turn.holds_probe = turn.place.is_probed = True
        return turn

    def leave(self) -> None:
        """Hand back a retry that was taken, and is not made."""
        if self.holds_retry and self._turn is not None:
            self.holds_retry = False
            self._turn.place.budget.give_back()

    @property
    def error(self) -> errors.PenstockError:
        """What a caller who was sent nothing sees, once ``after`` has said that nobody is left."""
        if self._worst is None:
            assert self.availability is not None, "somebody was asked, or nobody is well"
            return self.availability.nobody_may_be_asked()
        failure, model = self._worst
        error = error_before_content(failure, model.candidate)
        if isinstance(error, errors.RateLimited) and (available := self._available()) is not None:
            soonest = available.soonest_of(self._models)
            if soonest:
                error.retry_after = timedelta(seconds=math.ceil(soonest))
        return error

    def after(self, failure: AttemptFailed) -> float | None:
        """Return the seconds to wait before ``current``, which may have moved on, is asked; None when nobody is left.

        After the wait, ``woken`` says whether it still is to be asked.
        """
        self._note(failure, self.current)
        if self._is_over:
            return None
        delay = self._delay_here(failure)
        return self._advance() if delay is None else self._to_wait(delay)

    def _note(self, failure: AttemptFailed, model: Model) -> None:
        """Take in a failure of a model that had sent nothing: it may be what the caller sees."""
        self._learn(failure, model)
        if not self._is_over and (failure.next is Next.FINAL or weightier(self._worst and self._worst[0], failure)):
            self._worst = (failure, model)

    @property
    def _is_over(self) -> bool:
        """Whether a failure was one after which nobody else is asked."""
        return self._worst is not None and self._worst[0].next is Next.FINAL

    def _learn(self, failure: AttemptFailed, model: Model) -> None:
        """Take in what a failure of a model says of whom to ask, and how."""
        self._discount(failure)
        if failure.may_be_dropped and self._last_resort is not UnsupportedFields.REFUSE:
            self._lacking.append(model)
        if failure.next is Next.LARGER:
            self._keep_larger(failure, model)

    def _discount(self, failure: AttemptFailed) -> None:
        if failure.weight is Weight.OURS:
            self.attempts -= 1

    def woken(self) -> float | None:
        """Return the seconds to wait on, as what holds of ``current`` may have changed meanwhile; else as ``after``."""
        available = self._available()
        if available is None:
            return 0.0
        look = available.look(self.current)
        if look.state is State.EJECTED and self.current is not available.least_bad and self.others_left:
            return self._advance()
        if self._ready_at() <= self._promised:
            return 0.0
        delay = available.delay_before(self.current, self.others_could_answer, self._seconds_left())
        if delay is None or self._waited + delay > LONGEST_WAIT.total_seconds():
            return self._advance()
        return self._to_wait(delay + self._chance() * _SPREAD_SECONDS) if delay else 0.0

    def _to_wait(self, delay: float) -> float:
        if delay and self._pools is not None:
            self._promised = self._ready_at()
            self._waited += delay
        return delay

    def _ready_at(self) -> float:
        assert self._pools is not None, "there are pools"
        candidate = self.current.candidate
        return self._pools[candidate.upstream].ready_at(candidate.model)

    def after_break(self, failure: AttemptFailed, *, another_way: bool = False) -> float | None:
        """Return the same where ``current`` broke off within its answer: others come first, and it again where there are none.

        Where there is ``another_way`` to ask it to make the answer whole, that comes before all.
        """
        if another_way:
            self._discount(failure)
            return 0.0
        self._learn(failure, self.current)
        delay = self._advance()
        if delay is not None:
            return delay
        delay = self._delay_here(failure)
        return None if delay is None else self._to_wait(delay)

    def _delay_here(self, failure: AttemptFailed) -> float | None:
        """Return the pause before the same candidate is asked again, or None where it is not."""
        if self._attempts_here >= ATTEMPTS_PER_CANDIDATE:
            return None
        if failure.kind in _OF_THE_ENDPOINT and self._has_another_endpoint():
            return 0.0
        if failure.next not in _AGAIN:
            return None
        turn = self._turn
        if turn is not None and turn.place.is_out and self.others_left:
            return None
        told_to_wait = failure.next is Next.WAIT or failure.retry_after is not None
        delay = self._told_wait(failure) if told_to_wait else self._backoff()
        if delay is None or delay >= self._seconds_left():
            return None
        return delay if told_to_wait or self._may_retry() else None

    def _has_another_endpoint(self) -> bool:
        turn = self._turn
        if turn is None or self._pools is None:
            return False
        return self._pools[self.current.candidate.upstream].has_another(self.current.candidate.model, turn.place)

    def _may_retry(self) -> bool:
        if self._turn is None:
            return True
        self.holds_retry = self._turn.place.budget.take()
        self.retry_refused = not self.holds_retry
        return self.holds_retry

    def _backoff(self) -> float:
        longest = min(BACKOFF_LIMIT_SECONDS, BACKOFF_SECONDS * 2 ** (self._attempts_here - 1))
        return self._chance() * longest

    def _told_wait(self, failure: AttemptFailed) -> float | None:
        """Return the wait that the upstream wants, or None where it is too long to be waited for."""
        longest = LONGEST_WAIT.total_seconds()
        if self.others_could_answer:
            if failure.retry_after is None or self._pools is None:
                return None
            longest = self._pools[self.current.candidate.upstream].wait_seconds
        cooled = 0.0 if self._turn is None else self._turn.cooled_seconds
        if failure.retry_after is None and not cooled:
            return UNTOLD_WAIT_SECONDS / 2 + self._chance() * UNTOLD_WAIT_SECONDS / 2
        told = 0.0 if failure.retry_after is None else failure.retry_after.total_seconds()
        wait = max(told, cooled)
        return None if wait > longest else wait + self._chance() * _SPREAD_SECONDS

    def _available(self) -> Availability | None:
        if self.availability is None and self._pools is not None:
            self.availability = Availability(self._pools, LONGEST_WAIT.total_seconds())
        return self.availability

    def _keep_larger(self, failure: AttemptFailed, model: Model) -> None:
        """Leave out whose window is no larger than the one that was too small: what the upstream states, or we believe.

        The smaller of the two: a model may be served with less than it has, and an error may quote what a caller wrote.
        """
        known = [size for size in (failure.max_input_tokens, model.context_window_tokens) if size > 0]
        too_small = min(known, default=0)
        self._rest, self._lacking = (
            [each for each in models if each.context_window_tokens == 0 or each.context_window_tokens > too_small]
            for models in (self._rest, self._lacking)
        )

    def _advance(self) -> float | None:
        """Go on to the next model that may be asked; return the seconds to wait before, None where there is none."""
        self.leave()
        available = self._available()
        while True:
            if not self._rest:
                self._rest, self._lacking = self._lacking, []
                self.unsupported, self._last_resort = self._last_resort, UnsupportedFields.REFUSE
            if not self._rest:
                return None
            model = self._rest.pop(0)
            delay = 0.0
            if available is not None:
                delay = available.delay_before(model, self.others_could_answer, self._seconds_left())
            if delay is not None:
                self.current = model
                self._attempts_here = int(model is self._asked_once)
                return self._to_wait(delay + self._chance() * _SPREAD_SECONDS if delay else 0.0)
