"""One attempt at one place, from choosing it to its end: what the place learns by it."""

from __future__ import annotations

from penstock_common.llm.estimate import estimated_input_tokens
from penstock_common.llm.types import Usage
from penstock_inference.domain.endpoint import Endpoint
from penstock_inference.domain.failure import AttemptFailed
from penstock_inference.domain.health.latency import OUTPUT_BITS, SLOW_SHARE, WHOLE_CLASSES, size_class
from penstock_inference.domain.health.place import FORGOTTEN, Place
from penstock_inference.domain.health.registry import Health
from penstock_inference.domain.health.rules import State
from penstock_inference.domain.upstream import NoAnswer, UpstreamAnswer, UpstreamCall


class Turn:
    """One attempt. Exactly one of ``answered``, ``failed``, ``outrun`` and ``left`` ends it; what comes after that is nothing."""

    __slots__ = (
        "_health", "_is_open", "_spoke_at", "began", "call", "cooled_seconds", "endpoint", "holds_probe", "is_retry", "place",
        "shows_thoughts", "tenant",
    )  # fmt: skip

    def __init__(self, health: Health, place: Place, endpoint: Endpoint, call: UpstreamCall) -> None:
        self._health = health
        self._is_open = True
        self._spoke_at = -1.0
        self.place = place
        self.endpoint = endpoint
        self.call = call
        self.is_retry = False
        """Whether it spends the retry budget."""
        self.holds_probe = False
        """Whether it stands in the place of a probe, of which there is one at a time."""
        self.shows_thoughts = False
        """Whether its first content may be the model's reasoning."""
        self.cooled_seconds = 0.0
        """For how long its end has made the quota cool."""
        now = self.began = health.clock()
        tenant = self.tenant = health.whose().tenant
        if tenant != place.tenant:
            place.note_tenant(tenant, now)
        place.tenant_at = now
        place.in_flight += 1
        place.budget.in_flight += 1
        place.waiting[self] = None

    def answer(self) -> UpstreamAnswer:
        """Return the answer, not asked for yet; an adapter that fails here does so where it is read."""
        try:
            return self.endpoint.upstream.ask(self.call)
        except Exception as error:  # noqa: BLE001 - read() raises it
            return NoAnswer(error)

    @property
    def seconds(self) -> float:
        """How long its first content took; so far, while none has come."""
        return (self._health.clock() if self._spoke_at < 0 else self._spoke_at) - self.began

    def content_came(self) -> None:
        """Note the first content."""
        if self._spoke_at < 0:
            self._spoke_at = self.place.spoke_at = self._health.clock()
            del self.place.waiting[self]
            if self.holds_probe:
                # An answer that begins is a good probe; its end may be minutes away.
                self.holds_probe = self.place.is_probed = False

    def answered(self, usage: Usage | None) -> None:
        """Note a whole answer, and what the upstream counted."""
        if not self._is_open:
            return
        if self._spoke_at < 0:
            self.content_came()
        place, now = self.place, self._spoke_at
        # As ``_end``, whose call is spared.
        self._is_open = False
        place.in_flight -= 1
        budget = place.budget
        budget.in_flight -= 1
        if self.is_retry or self.holds_probe:
            self._hand_back()
        if budget.tokens < budget.full:
            budget.answered()
        # As ``Evidence.answered``.
        evidence = place.evidence
        evidence.in_a_row = 0
        if now >= evidence.bucket_ends:
            evidence.begin_bucket(now)
        evidence.answers += 1
        # As ``size_class``, whose call is spared.
        if usage is None:
            size = size_class(estimated_input_tokens(self.call.input), 0, whole=self.call.whole)
        else:
            place.input_tokens += usage.input_tokens
            place.cached_input_tokens += usage.cached_input_tokens
            place.recent_input_tokens = place.recent_input_tokens * FORGOTTEN + usage.input_tokens
            place.recent_cached_tokens = place.recent_cached_tokens * FORGOTTEN + usage.cached_input_tokens
            size = usage.input_tokens.bit_length() >> 1
            whole = self.call.whole
            unseen = 0 if self.shows_thoughts else usage.reasoning_tokens
            place.pace.observe(usage.output_tokens, None if whole else self._health.clock() - now, unseen)
            if whole:
                size = WHOLE_CLASSES + (size << OUTPUT_BITS) + (usage.output_tokens.bit_length() >> 1)
        latency = place.latency
        latency.observe(now, now - self.began, size)
        if latency.slow_share > SLOW_SHARE and place.condition is State.OK:
            place.slow_down(now)
        if place.failing or place.group.untold or place.condition is State.EJECTED:
            place.recovered(now, self.began)

    def failed(self, failure: AttemptFailed) -> None:
        """Note how it failed."""
        if not self._is_open:
            return
        self._end()
        scope = self._health.whose()
        request = scope.request_id or self._health.nameless_request()
        self.cooled_seconds = self.place.failed(failure, self._health.clock(), self.began, (request, scope.tenant))

    def left(self) -> None:
        """Note that nobody waits any longer: nothing was learnt."""
        if self._is_open:
            self._end()

    def outrun(self) -> None:
        """Note that another attempt had content sooner: to have been slow by then is evidence, and nothing else is."""
        if not self._is_open:
            return
        place, waited = self.place, self.seconds
        size = size_class(estimated_input_tokens(self.call.input), 0, whole=False)
        if self._spoke_at < 0 and waited > place.latency.slow_after(size, whole=False):
            now = self.began + waited
            place.latency.observe(now, waited, size)
            if place.latency.slow_share > SLOW_SHARE and place.condition is State.OK:
                place.slow_down(now)
        self._end()

    def _end(self) -> None:
        self._is_open = False
        place = self.place
        place.in_flight -= 1
        place.budget.in_flight -= 1
        if self._spoke_at < 0:
            del place.waiting[self]
        if self.is_retry or self.holds_probe:
            self._hand_back()

    def _hand_back(self) -> None:
        if self.is_retry:
            self.place.budget.give_back()
        if self.holds_probe:
            self.place.is_probed = False
