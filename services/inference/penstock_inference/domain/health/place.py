"""One model at one endpoint: what speaks for it, what against it, and whether it is asked."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from itertools import islice
from typing import NamedTuple, Protocol

from penstock_common.llm.estimate import estimated_input_tokens
from penstock_inference.domain.failure import AttemptFailed, FailureKind
from penstock_inference.domain.health.evidence import Evidence, Verdict
from penstock_inference.domain.health.latency import Latency, size_class
from penstock_inference.domain.health.pace import Pace
from penstock_inference.domain.health.quota import QuotaGroup
from penstock_inference.domain.health.retry_budget import RetryBudget
from penstock_inference.domain.health.rules import (
    GOOD_PROBES,
    LONG_OUTAGE_SECONDS,
    PROBE_SPREAD_RATIO,
    WITNESSES,
    HealthRules,
    State,
)
from penstock_inference.domain.upstream import UpstreamCall

_KEY_IS_REFUSED = frozenset({FailureKind.CREDENTIALS, FailureKind.QUOTA})
_SAYS_NOTHING = frozenset(
    {FailureKind.ADAPTER, FailureKind.UNSUPPORTED, FailureKind.RATE_LIMITED, FailureKind.DIVERGED}
)
_SILENT_REQUESTS = 5
"""So many requests that wait for long, and nobody has heard anything meanwhile: it is silent, or slow."""
_SILENT_RATIO = 3
"""How many times longer than what is slow they must have waited, and a second at least, to be silence."""
_DOUBT_SECONDS = 2.0
"""No sooner after a probe is another made of a place that is in use."""
FORGOTTEN = 31 / 32
"""What an answer's tokens count beside those of the next."""
TIME_IS_OVER = "the time that was set is over"
PROBE = "(probe)"
"""Who asks where the service itself does."""
HURRIED = "(hurried)"
"""The one witness that all requests are that would not wait: they put nobody out without a probe."""


class PlaceName(NamedTuple):
    """What tells a place from all others, in every process; no secret."""

    upstream: str
    endpoint: str
    model: str

    def __str__(self) -> str:
        return f"{self.upstream}/{self.model}" + (f" at {self.endpoint}" if self.endpoint else "")


class OperatorsWord(NamedTuple):
    """What the operator has said of a place, and when: out for so many seconds, or back where they are 0."""

    given_at: float
    seconds: float
    reason: str

    @property
    def until(self) -> float:
        """Return when it is over."""
        return self.given_at + self.seconds


class Waiting(Protocol):
    """A turn that has heard no content yet."""

    began: float
    tenant: str
    call: UpstreamCall


class Place:
    """Learns from its turns; goes out, slows down and comes back, and tells ``changed`` of each change, with the condition that it had before.

    At most half of its ``peers``, itself among them, are put out one by one; once none of the others is well, all are.
    """

    def __init__(
        self,
        name: PlaceName,
        group: QuotaGroup,
        budget: RetryBudget,
        rules: HealthRules,
        changed: Callable[[Place, State], None],
    ) -> None:
        self.name = name
        self.group = group
        self.budget = budget
        self.rules = rules
        self.peers: list[Place] = [self]
        self.evidence = Evidence(rules)
        self.latency = Latency(rules)
        self.pace = Pace()
        self.waiting: dict[Waiting, None] = {}
        """The oldest first."""
        self.in_flight = 0
        self.input_tokens = self.cached_input_tokens = 0
        """Of all answers, as the upstream counted."""
        self.recent_input_tokens = self.recent_cached_tokens = 0.0
        """Of the last answers: each earlier one counts ``FORGOTTEN`` times as much as the next."""
        self.spoke_at = 0.0
        self.tenant = self.other_tenant = ""
        self.tenant_at = self.other_tenant_at = -math.inf
        self.condition = State.OK
        """Ok, slow, ejected or by hand; what else it is follows from its quota and its probes."""
        self.reason = ""
        self.changed_at = -math.inf
        self.until = math.inf
        """When the operator's word ends."""
        self.word: OperatorsWord | None = None
        """The operator's last, also once it is over."""
        self.failing = False
        """Whether it would be out if that were not more than half."""
        self.key_refused = False
        self.probe_due = math.inf
        self.probed_at = self.probe_failed_at = -math.inf
        self.is_probed = False
        """Whether a probe is open."""
        self.good_probes = 0
        self.probe_outcome = ""
        """How the last one went: answered, or the kind of failure."""
        self._changed = changed

    @property
    def is_out(self) -> bool:
        """Whether it is asked only where nobody else could be."""
        return self.condition is State.EJECTED or self.condition is State.BY_HAND

    def state(self, now: float) -> State:
        """Return what it is good for now."""
        if self.condition is State.EJECTED and (self.is_probed or self.good_probes):
            return State.PROBING
        if not self.is_out and self.group.is_cooling(now):
            return State.COOLING
        return self.condition

    @property
    def badness(self) -> tuple[bool, int, float]:
        """Sort by it: the least bad of those that are out comes first."""
        return self.key_refused, -self.good_probes, self.changed_at

    def note_tenant(self, tenant: str, now: float) -> None:
        """Note whose requests come, where it is another's than the last."""
        self.other_tenant, self.other_tenant_at = self.tenant, self.tenant_at
        self.tenant = tenant

    def cached_share(self) -> float | None:
        """Return which part of its input the upstream had cached of late; None where too few answers came."""
        if self.pace.usual_output_tokens() is None or not self.recent_input_tokens:
            return None
        return min(1.0, max(0.0, self.recent_cached_tokens / self.recent_input_tokens))

    # What turns tell.

    def recovered(self, now: float, began: float) -> None:
        """Note an answer while something speaks against it."""
        self.failing = False
        if self.group.untold:
            self.group.served(began)
        if self.condition is State.EJECTED and began >= self.changed_at:
            self._good(now)

    def failed(self, failure: AttemptFailed, now: float, began: float, who: tuple[str, str]) -> float:
        """Note a failure of the request and tenant ``who``; return for how many seconds its quota cools, 0 where it does not."""
        if failure.is_of_the_request:
            if failure.kind is not FailureKind.DEADLINE:
                self.spoke_at = now
            return 0.0
        cools = self._cooled_by(failure, now, began)
        if failure.kind in _KEY_IS_REFUSED:
            self.spoke_at = now
            self._note_refused_key(now, failure.kind.value, is_probe=who[0] == PROBE)
        elif failure.kind not in _SAYS_NOTHING and not failure.may_be_the_readers:
            self.budget.failed()
            request, tenant = who
            self.evidence.failed(now, HURRIED if failure.hurried else request, tenant)
            self._judge(now, failure.kind.value)
        return cools

    def _note_refused_key(self, now: float, reason: str, *, is_probe: bool) -> None:
        """Put it out, unless it has answered of late: then a probe says whether it was the key, or what was asked.

        Servers refuse single requests in the same words: a moderation, a firewall that reads prompts.
        """
        if self.condition is State.BY_HAND or (self.condition is State.EJECTED and self.key_refused):
            return
        if not is_probe and self.evidence.has_answers(now):
            self._doubt(now)
            return
        self.key_refused = True
        self.eject(now, reason)
        if not is_probe:
            self.probe_due = now

    def _doubt(self, now: float) -> None:
        """Have it probed soon, while it is in use."""
        self.have_probed(min(self.probe_due, max(now, self.probed_at + _DOUBT_SECONDS)))

    def _cooled_by(self, failure: AttemptFailed, now: float, began: float) -> float:
        told = failure.retry_after
        if failure.kind is FailureKind.RATE_LIMITED:
            self.spoke_at = now
            self.group.refused(now, began, None if told is None else told.total_seconds())
        elif told is not None and told.total_seconds() > 0:
            self.group.cool(now, told.total_seconds())
        else:
            return 0.0
        return max(0.0, self.group.until - now)

    def _judge(self, now: float, reason: str) -> None:
        if self.condition is State.EJECTED:
            self.good_probes = 0
            return
        if self.condition is State.BY_HAND:
            return
        verdict = self.evidence.verdict(now, self._other_tenant_asks(now))
        if verdict is Verdict.DOUBTFUL:
            self._doubt(now)
        elif verdict is Verdict.FAILING:
            self._put_out(now, reason)

    def _other_tenant_asks(self, now: float) -> bool:
        return min(self.tenant_at, self.other_tenant_at) > now - self.rules.window_seconds

    def _put_out(self, now: float, reason: str) -> None:
        self.failing = True
        self.reason = reason
        peers = self.peers
        out = sum(peer.is_out for peer in peers)
        if out + 1 <= max(1, len(peers) // 2):
            self.eject(now, reason)
        elif all(peer.is_out or peer.failing for peer in peers):
            for peer in peers:
                if not peer.is_out:
                    peer.eject(now, peer.reason)

    # What the clock tells.

    def look_at_waiting(self, now: float) -> None:
        """See whether those who wait have waited for too long, while nothing was heard."""
        if self.is_out or len(self.waiting) < _SILENT_REQUESTS:
            return
        oldest = tuple(islice(self.waiting, _SILENT_REQUESTS))
        late = max(self._late_after(turn) for turn in oldest)
        silent = max(1.0, _SILENT_RATIO * late)
        waited = now - oldest[-1].began
        if waited > silent and now - self.spoke_at > silent:
            if self.probe_failed_at < self.spoke_at and self._are_one_tenants(late, now):
                self._doubt(now)
            else:
                self._put_out(now, "silent")
        elif waited > late and self._is_fine_no_more(late, now) and not self._are_one_tenants(late, now):
            self.slow_down(now)

    def _is_fine_no_more(self, late: float, now: float) -> bool:
        return self.condition is State.OK and now - self.latency.fine_at > late

    def _are_one_tenants(self, late: float, now: float) -> bool:
        """Return whether all that are late are one tenant's, while others ask too: what it asks may take so long."""
        tenants = {turn.tenant for turn in self.waiting if now - turn.began > late}
        return len(tenants) < WITNESSES and self._other_tenant_asks(now)

    def _late_after(self, turn: Waiting) -> float:
        whole = turn.call.whole
        return self.latency.slow_after(size_class(estimated_input_tokens(turn.call.input), 0, whole=whole), whole=whole)

    def let_time_pass(self, now: float) -> None:
        """End what lasts for a time only: the operator's word, and what was usual before it got slow for good."""
        if self.condition is State.BY_HAND and now >= self.until:
            # Every replica's at the same moment, whenever each looks.
            self.restore(self.until, TIME_IS_OVER)
        elif self.condition is State.SLOW and now >= self.changed_at + self.rules.slow_forgotten_seconds:
            self.latency.forget()
            self.restore(now, "slow for so long that it is usual")

    # Probes.

    def have_probed(self, when: float) -> None:
        """Have it probed then, whatever it is."""
        self.probe_due = when
        self._changed(self, self.condition)

    def schedule_probe(self, now: float, chance: float) -> None:
        """Set when the next probe is due; ``chance`` in [0, 1) spreads them."""
        rules = self.rules
        if self.key_refused:
            seconds = rules.rejected_key_probe_seconds
        elif self.condition is State.EJECTED and now - self.changed_at >= LONG_OUTAGE_SECONDS:
            seconds = rules.long_outage_probe_seconds
        else:
            seconds = rules.probe_seconds
        self.probe_due = now + seconds * (1 - PROBE_SPREAD_RATIO + 2 * PROBE_SPREAD_RATIO * chance)

    def probe_ended(self, now: float, seconds: float, failure: AttemptFailed | None) -> None:
        """Note how a probe went that took so long; the next is to be scheduled, unless this one made it due at once."""
        self.is_probed = False
        self.probed_at = now
        self.probe_due = math.inf
        if failure is None or failure.is_of_the_request:
            # A refusal of so odd a request is a sign of life.
            self.spoke_at = now
            self.budget.answered()
            self.evidence.answered(now)
            if self.condition is not State.SLOW or not self.latency.is_probe_slow(seconds):
                self._good(now)
            else:
                self.good_probes = 0
            return
        self.good_probes = 0
        self.probe_failed_at = now
        self.failed(failure, now, now, (PROBE, PROBE))

    def _good(self, now: float) -> None:
        if self.condition is State.EJECTED or self.condition is State.SLOW:
            self.good_probes += 1
            self.probe_due = now
            if self.good_probes >= GOOD_PROBES:
                self.restore(now, "")

    # What it becomes.

    def eject(self, now: float, reason: str) -> None:
        """Put it out until probes succeed."""
        self._become(State.EJECTED, reason, now)

    def heed(self, word: OperatorsWord, now: float) -> None:
        """Do as the operator says: out for so long, whatever probes say, or back unless it has failed since."""
        self.word = word
        if now < word.until:
            self.until = word.until
            self._become(State.BY_HAND, word.reason, word.given_at)
        elif self.condition is State.BY_HAND or (not word.seconds and self.changed_at <= word.given_at):
            self.restore(word.until, TIME_IS_OVER if word.seconds else word.reason)

    def slow_down(self, now: float) -> None:
        """Have it asked after those that are not slow."""
        self._become(State.SLOW, "latency", now)

    def restore(self, now: float, reason: str) -> None:
        """Take it back; what spoke against it is forgotten."""
        self.until = math.inf
        self.key_refused = self.failing = False
        self.evidence.forget()
        self.latency.slow_share = 0.0
        self._become(State.OK, reason, now)

    def adopt(self, condition: State, reason: str, changed_at: float) -> None:
        """Become what another replica has found out since."""
        if condition is State.OK:
            self.restore(changed_at, reason)
        else:
            self.key_refused = reason in {kind.value for kind in _KEY_IS_REFUSED}
            self._become(condition, reason, changed_at)

    def _become(self, condition: State, reason: str, now: float) -> None:
        before, self.condition = self.condition, condition
        self.reason = reason
        self.changed_at = now
        self.good_probes = 0
        self.probe_due = math.inf
        self._changed(self, before)


def least_bad(places: Iterable[Place]) -> Place:
    """Return whom to ask of those that are out."""
    return min(places, key=lambda place: place.badness)
