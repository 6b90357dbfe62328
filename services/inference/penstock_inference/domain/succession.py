"""Whom to ask next, and when: the plan's candidates in order, before anything was sent.

Pure: time and chance are handed in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import timedelta

from penstock_common import errors
from penstock_common.llm.types import GenerationInput, Plan, UnsupportedFields
from penstock_inference.domain.catalogue import Catalogue, Model
from penstock_inference.domain.failure import AttemptFailed, Next, Weight, error_before_content, weightier
from penstock_inference.domain.tiers import AskedTier

ATTEMPTS_PER_CANDIDATE = 2
BACKOFF_SECONDS = 0.25
BACKOFF_LIMIT_SECONDS = 8.0
"""Full jitter: U(0, min(8 s, 0.25 s * 2^n)) before retry n; see "Exponential Backoff And Jitter", AWS 2015."""
UNTOLD_WAIT_SECONDS = 1.0
"""Equal jitter around this where a 429 does not say when to come again."""
LONGEST_WAIT = timedelta(seconds=8)
"""A caller is better served by an error than by a longer silence."""
# Spreads those who were given the same time, so that they do not come back at once.
_SPREAD_SECONDS = 0.25


class Succession:
    """Walks a plan: ``current`` is the model to ask now, ``attempts`` counts those made at upstreams."""

    def __init__(
        self,
        models: Iterable[Model],
        seconds_left: Callable[[], float],
        chance: Callable[[], float],
        unsupported: UnsupportedFields = UnsupportedFields.REFUSE,
    ) -> None:
        """Begin with the first model; ``chance`` returns a number in [0, 1).

        ``unsupported`` is what becomes of fields that no model takes. Those that take all of them come first.
        """
        self.current, *rest = models
        self.unsupported = UnsupportedFields.REFUSE
        """What becomes of fields that ``current`` does not take."""
        self._rest = rest
        self._last_resort = unsupported
        # Those that do not take all fields, and may be asked without, or all the same, once nobody else is left.
        self._lacking: list[Model] = []
        self._seconds_left = seconds_left
        self._chance = chance
        self._attempts_here = 0
        self.attempts = 0
        self._worst: tuple[AttemptFailed, Model] | None = None

    @property
    def others_left(self) -> bool:
        """Whether somebody else could be asked after ``current``."""
        return bool(self._rest or self._lacking)

    def begin(self) -> None:
        """Count an attempt at ``current``."""
        self.attempts += 1
        self._attempts_here += 1

    @property
    def error(self) -> errors.PenstockError:
        """What a caller who was sent nothing sees, once ``after`` has said that nobody is left."""
        assert self._worst is not None, "an attempt has failed"
        failure, model = self._worst
        return error_before_content(failure, model.candidate)

    def after(self, failure: AttemptFailed) -> float | None:
        """Return the seconds to wait before ``current``, which may have moved on, is asked; None when nobody is left."""
        if failure.weight is Weight.OURS:
            self.attempts -= 1
        if failure.may_be_dropped and self._last_resort is not UnsupportedFields.REFUSE:
            self._lacking.append(self.current)
        if failure.next is Next.FINAL or weightier(self._worst and self._worst[0], failure):
            self._worst = (failure, self.current)
        if failure.next is Next.FINAL:
            return None
        if failure.next is Next.LARGER:
            self._keep_larger(failure)
        delay = self._delay_here(failure)
        if delay is not None:
            return delay
        return 0.0 if self._advance() else None

    def after_break(self, failure: AttemptFailed) -> float | None:
        """Return the same where ``current`` broke off within its answer: others come first, and it again where there are none."""
        if self._advance():
            return 0.0
        if failure.next is not Next.RETRY or self._attempts_here >= ATTEMPTS_PER_CANDIDATE:
            return None
        return self._backoff()

    def _delay_here(self, failure: AttemptFailed) -> float | None:
        """Return the pause before the same candidate is asked again, or None where it is not."""
        if failure.next not in (Next.RETRY, Next.WAIT) or self._attempts_here >= ATTEMPTS_PER_CANDIDATE:
            return None
        told_to_wait = failure.next is Next.WAIT or failure.retry_after is not None
        if told_to_wait and self.others_left:
            return None
        delay = self._told_wait(failure) if told_to_wait else self._backoff()
        return delay if delay is not None and delay < self._seconds_left() else None

    def _backoff(self) -> float:
        longest = min(BACKOFF_LIMIT_SECONDS, BACKOFF_SECONDS * 2 ** (self._attempts_here - 1))
        return self._chance() * longest

    def _told_wait(self, failure: AttemptFailed) -> float | None:
        if failure.retry_after is None:
            return UNTOLD_WAIT_SECONDS / 2 + self._chance() * UNTOLD_WAIT_SECONDS / 2
        if failure.retry_after > LONGEST_WAIT:
            return None
        return failure.retry_after.total_seconds() + self._chance() * _SPREAD_SECONDS

    def _keep_larger(self, failure: AttemptFailed) -> None:
        """Leave out whose window is no larger than the one that was too small: what the upstream states, or we believe.

        The smaller of the two: a model may be served with less than it has, and an error may quote what a caller wrote.
        """
        known = [size for size in (failure.max_input_tokens, self.current.context_window_tokens) if size > 0]
        too_small = min(known, default=0)
        self._rest, self._lacking = (
            [model for model in models if model.context_window_tokens == 0 or model.context_window_tokens > too_small]
            for models in (self._rest, self._lacking)
        )

    def _advance(self) -> bool:
        """Go on to the next model; return whether there is one."""
        if not self._rest:
            self._rest, self._lacking = self._lacking, []
            self.unsupported, self._last_resort = self._last_resort, UnsupportedFields.REFUSE
        if not self._rest:
            return False
        self.current = self._rest.pop(0)
        self._attempts_here = 0
        return True


def models_of(plan: Plan, catalogue: Catalogue, value: GenerationInput, tier: AskedTier | None = None) -> list[Model]:
    """Return the plan's models that this instance knows, in order, each once; at least one.

    Raises:
        InvalidRequest: if the plan is empty.
        NoHealthyUpstream: if this instance knows none of its candidates.
        UnsupportedParameter: if none of them has a price for the tier that is asked for.
    """
    if not plan.candidates:
        raise errors.InvalidRequest("A plan needs at least one candidate.", field="plan.candidates")
    known: list[Model] = []
    for candidate in plan.candidates:
        model = catalogue.find(candidate)
        if model is not None and model not in known:
            known.append(model)
    if not known:
        names = ", ".join(map(str, plan.candidates))
        raise errors.NoHealthyUpstream(f"This instance knows none of {names}.", model=value.model)
    return known if tier is None else _with_a_price_for(tier, known, value.model)


def _with_a_price_for(tier: AskedTier, models: list[Model], asked: str) -> list[Model]:
    priced = [model for model in models if tier.name in model.tier_prices]
    if not priced:
        choice = f"{tier.field}: {tier.name}" if tier.name else tier.field
        raise errors.UnsupportedParameter(
            f"'{choice}' changes what an answer costs, and no candidate of the model '{asked}' has a price for it "
            "('service_tiers' of the upstream's model). Leave it out.",
            parameter=tier.field,
        )
    return priced
