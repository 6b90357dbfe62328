"""From a request to a plan: filter the candidates, order them, say why."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import NamedTuple

from penstock_common.contract.router import Policy, Requirements, RouteRequest
from penstock_common.errors import ContextLengthExceeded, ModelNotFound, ModelNotPermitted, UnsupportedParameter
from penstock_common.llm.types import Candidate, CandidateView, Decision, Plan
from penstock_common.upstreams.state import Condition, States, UpstreamState
from penstock_router.domain.catalogue import Catalogue, PublicModel, UpstreamModel, digest_of
from penstock_router.domain.figures import PolicyRules, Qualities
from penstock_router.domain.policies import Order, Policies, in_words
from penstock_router.domain.preference import Preference, PreferenceRules, preferred

# How the caller's request names what a capability serves.
_PARAMETER_OF_CAPABILITY = {
    "tools": "input.tools",
    "json_schema": "input.response_format",
    "vision": "input.messages",
    "chat": "input.model",
    "rerank": "model",
    "moderation": "model",
}


_MOST_PLANS = 1024


class _Known(NamedTuple):
    """A plan that holds for every request of the same needs with at most so many tokens."""

    plan: Plan
    smallest_window_tokens: int


class Router:
    """Decides; carries no tokens, and of earlier requests remembers but the plans that chance had no part in."""

    def __init__(
        self,
        catalogue: Catalogue,
        chance: random.Random,
        rules: PreferenceRules | None = None,
        policy_rules: PolicyRules | None = None,
    ) -> None:
        self._catalogue = catalogue
        self._chance = chance
        self._rules = rules or PreferenceRules()
        self._policies = Policies(policy_rules or PolicyRules())
        self._known: dict[tuple[str, Policy | None, frozenset[str], tuple[str, ...]], _Known] = {}
        self._digests: dict[tuple[str, Policy], bytes] = {}
        """Of models under a policy that is not their own."""
        self._troubled: dict[Candidate, UpstreamState] = {}
        """Who is out, or has no quota left."""
        self._states: States = {}
        self._preferences: dict[str, Preference] = {}
        """Of models that may be asked to be fast, by name."""
        self._unmeasured: dict[str, tuple[Candidate, ...]] = {}

    def hear(self, states: States) -> None:
        """Plan by this from now on; where nothing is known, by the configuration alone."""
        troubled = {
            name: state
            for name, state in states.items()
            if state.condition.is_out or state.condition is Condition.COOLING
        }
        preferences = self._preferred(states) if states else {}
        # Who is out has been so for longer than when it was last said.
        if troubled or self._troubled or preferences != self._preferences:
            self._known.clear()
        self._troubled, self._preferences, self._states = troubled, preferences, states
        self._policies.estimates.states = states
        self._unmeasured = {name: one.unmeasured for name, one in preferences.items() if one.unmeasured}

    def hear_quality(self, qualities: Qualities) -> None:
        """Go by these opinions of candidates from now on, beside what is configured."""
        self._policies.estimates.qualities = qualities

    def wanted(self, request: RouteRequest) -> Policy | None:
        """Return the policy that the request, else its tenant, wants; None for the model's own."""
        return self._policies.wanted(request)

    def _preferred(self, states: States) -> dict[str, Preference]:
        found: dict[str, Preference] = {}
        for model in self._catalogue.all():
            if model.takes_policies:
                configured = [entry.candidate for entry in model.candidates]
                before = self._preferences.get(model.name)
                first = before.order[0] if before else configured[0]
                found[model.name] = preferred(first, configured, states, self._rules)
        return found

    def plan(self, request: RouteRequest, task: str = "") -> Plan:
        """Return the candidates that can answer, best first, and what each is billed at.

        ``task`` is what the prompt was seen to be about, empty where nobody looked.

        Raises:
            ModelNotFound: no public model has this name.
            ModelNotPermitted: every candidate is outside the allowed regions.
            UnsupportedParameter: no candidate can do what the request asks for.
            ContextLengthExceeded: the conversation fits no candidate.
        """
        if request.tenant in self._policies.tenants:
            request = self._policies.as_wanted(request)
        needs, allowed_regions = request.requirements, request.allowed_regions
        tried = self._to_be_tried(request) if self._unmeasured else None
        known = self._known.get((request.model, request.policy, needs.capabilities, allowed_regions))
        if known is not None and tried is None and needs.min_input_tokens <= known.smallest_window_tokens:
            return known.plan
        model = self._catalogue.find(request.model)
        if model is None:
            # No name of another: which of them the key may use is not known here.
            text = f"The model '{request.model}' does not exist; the list of models has those that your key may use."
            raise ModelNotFound(text, model=request.model)
        fitting, left_out = _filter(model, needs, allowed_regions)
        if not fitting:
            raise _nobody_fits(model, needs, allowed_regions)
        last: list[UpstreamModel] = []
        if self._troubled:
            fitting, last = self._without_who_is_out(fitting, left_out)
        policy = request.policy or model.policy
        order = self._order(model, fitting, request, task)
        if tried is not None:
            order = _with_first(tried, order)
        if last:
            order = Order(
                [*order.entries, *last], f"{order.how}, last {', '.join(map(self._told, last))}", order.figure
            )
        plan = self._plan(model, policy, order, left_out)
        if tried is None and (policy is Policy.LATENCY or (policy is None and not model.weights)):
            self._remember(request, plan, min(entry.context_window_tokens for entry in model.candidates))
        return plan

    def _remember(self, request: RouteRequest, plan: Plan, smallest_window_tokens: int) -> None:
        needs = request.requirements
        if needs.min_input_tokens > smallest_window_tokens:
            return
        if len(self._known) >= _MOST_PLANS:
            self._known.clear()
        known = _Known(plan, smallest_window_tokens)
        self._known[request.model, request.policy, needs.capabilities, request.allowed_regions] = known

    def candidates(self, request: RouteRequest) -> list[CandidateView]:
        """Return what is known of each candidate of the request's model, with what speaks against it; none has a rank."""
        model = self._catalogue.find(request.model)
        return [] if model is None else [self._view(model.name, entry, request) for entry in model.candidates]

    def _view(self, model: str, entry: UpstreamModel, request: RouteRequest) -> CandidateView:
        state = self._states.get(entry.candidate)
        return CandidateView(
            model=model,
            candidate=entry.candidate,
            objection=_objection(entry, request.requirements, request.allowed_regions) or "",
            region=entry.region,
            context_window_tokens=entry.context_window_tokens,
            prices=entry.prices,
            condition="" if state is None else state.condition.value,
            latency_seconds=None if state is None else state.latency_seconds,
        )

    def first_able(self, request: RouteRequest) -> UpstreamModel | None:
        """Return the first candidate of the request's model, by its configured order, that nothing speaks against."""
        model = self._catalogue.find(request.model)
        if model is None:
            return None
        needs, allowed_regions = request.requirements, request.allowed_regions
        return next((entry for entry in model.candidates if _objection(entry, needs, allowed_regions) is None), None)

    def models(self) -> list[PublicModel]:
        """Return every public model, sorted by name."""
        return self._catalogue.all()

    def _to_be_tried(self, request: RouteRequest) -> Candidate | None:
        """Return whom this request is to find out about; mostly nobody."""
        unmeasured = self._unmeasured.get(request.model)
        if unmeasured is None or not self._is_to_be_fast(request):
            return None
        if self._chance.random() >= self._rules.explore_ratio:
            return None
        return self._chance.choice(unmeasured)

    def _without_who_is_out(
        self, fitting: list[UpstreamModel], left_out: list[str]
    ) -> tuple[list[UpstreamModel], list[UpstreamModel]]:
        """Return who is not out, and who is and yet comes last, as there is nobody as able; all where none can be asked.

        For without those a request that only they could answer would be told that nobody ever can.
        """
        ready = [entry for entry in fitting if entry.candidate not in self._troubled]
        if not ready:
            # The engine knows who is the least bad.
            return fitting, []
        left: list[UpstreamModel] = []
        last: list[UpstreamModel] = []
        for entry in fitting:
            state = self._troubled.get(entry.candidate)
            if state is None or not state.condition.is_out:
                left.append(entry)
            elif any(other.can_stand_in_for(entry) for other in ready):
                left_out.append(self._told(entry))
            else:
                last.append(entry)
        return left, last

    def _told(self, entry: UpstreamModel) -> str:
        """Return who is out, and why, in words."""
        state = self._troubled[entry.candidate]
        what = ": ".join(filter(None, (state.condition.value, state.reason)))
        since = "" if state.since_seconds is None else f", {state.since_seconds:.0f} s ago"
        return f"{entry.candidate} ({what}{since})"

    def _is_to_be_fast(self, request: RouteRequest) -> bool:
        if request.policy is not None:
            return request.policy is Policy.LATENCY
        model = self._catalogue.find(request.model)
        return model is not None and model.policy is Policy.LATENCY

    def _order(self, model: PublicModel, fitting: list[UpstreamModel], request: RouteRequest, task: str) -> Order:
        policy = request.policy or model.policy
        if policy is Policy.LATENCY:
            preference = self._preferences.get(model.name)
            return Order(fitting, "by order") if preference is None else _by_latency(fitting, preference)
        if policy is not None:
            return self._policies.order(policy, fitting, request, task)
        weights = [model.weights.get(entry.candidate, 0) for entry in fitting]
        if not any(weights):
            return Order(fitting, "by order")
        first = self._chance.choices(fitting, weights)[0]
        return Order([first, *(entry for entry in fitting if entry is not first)], "by weight")

    def _plan(self, model: PublicModel, policy: Policy | None, order: Order, left_out: Sequence[str]) -> Plan:
        ordered = order.entries
        reason = f"{model.name}: {ordered[0].candidate} first {order.how}"
        if left_out:
            reason += "; left out " + ", ".join(left_out)
        decision = None
        if policy is not None:
            decision = Decision(model.name, "policy", policy=policy.value, figure=order.figure)
        return Plan(
            candidates=tuple([entry.candidate for entry in ordered]),
            reason=reason,
            decision=decision,
            prices=tuple([entry.prices for entry in ordered]),
            unsupported=model.unsupported,
            route_digest=model.digest if policy is model.policy else self._digest_under(policy, model),
        )

    def _digest_under(self, policy: Policy | None, model: PublicModel) -> bytes:
        if policy is None:
            return model.digest
        digest = self._digests.get((model.name, policy))
        if digest is None:
            digest = self._digests[model.name, policy] = digest_of(model.candidates, model.weights, policy)
        return digest


def _by_latency(fitting: list[UpstreamModel], preference: Preference) -> Order:
    ordered = sorted(fitting, key=lambda entry: preference.order.index(entry.candidate))
    if not preference.latencies:
        return Order(ordered, "by order")
    told = [(entry, preference.latencies.get(entry.candidate, "latency unknown")) for entry in ordered]
    return Order(ordered, in_words(Policy.LATENCY, told), told[0][1])


def _with_first(tried: Candidate, order: Order) -> Order:
    """Return the order with whom a request is to find out about first, where it is among them."""
    first = next((entry for entry in order.entries if entry.candidate == tried), None)
    if first is None:
        return order
    return Order([first, *(entry for entry in order.entries if entry is not first)], "to learn its latency")


def _filter(
    model: PublicModel, needs: Requirements, allowed_regions: Sequence[str]
) -> tuple[list[UpstreamModel], list[str]]:
    fitting: list[UpstreamModel] = []
    left_out: list[str] = []
    for entry in model.candidates:
        objection = _objection(entry, needs, allowed_regions)
        if objection is None:
            fitting.append(entry)
        else:
            left_out.append(f"{entry.candidate} ({objection})")
    return fitting, left_out


def _objection(entry: UpstreamModel, needs: Requirements, allowed_regions: Sequence[str]) -> str | None:
    missing = needs.capabilities - entry.capabilities
    if missing:
        return f"lacks {', '.join(sorted(missing))}"
    if allowed_regions and entry.region not in allowed_regions:
        return f"is in {entry.region or 'no named region'}"
    if needs.min_input_tokens > entry.context_window_tokens:
        return f"takes {entry.context_window_tokens} tokens"
    return None


def _nobody_fits(
    model: PublicModel, needs: Requirements, allowed_regions: Sequence[str]
) -> ModelNotPermitted | UnsupportedParameter | ContextLengthExceeded:
    """Return the error of the first filter that nobody passes."""
    capable = [entry for entry in model.candidates if not needs.capabilities - entry.capabilities]
    if not capable:
        missing = sorted(needs.capabilities - model.capabilities) or sorted(needs.capabilities)
        return UnsupportedParameter(
            f"No candidate of the model '{model.name}' supports {', '.join(missing)}.",
            parameter=_PARAMETER_OF_CAPABILITY.get(missing[0], "input"),
        )
    if allowed_regions and all(entry.region not in allowed_regions for entry in capable):
        return ModelNotPermitted(
            f"No candidate of the model '{model.name}' is in a region your key allows ({', '.join(allowed_regions)}).",
            model=model.name,
        )
    window = max(entry.context_window_tokens for entry in capable)
    return ContextLengthExceeded(
        f"The conversation has at least {needs.min_input_tokens} tokens; the model '{model.name}' takes {window}.",
        input_tokens=needs.min_input_tokens,
        max_input_tokens=window,
    )
