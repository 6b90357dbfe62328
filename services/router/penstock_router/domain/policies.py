"""Whom a policy asks first among candidates that can all do the work, and by which figures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import msgspec

from penstock_common.contract.router import Policy, RouteRequest
from penstock_router.domain.catalogue import UpstreamModel
from penstock_router.domain.figures import Estimates, Figures, PolicyRules, Weights

_LEAST_SPREAD = 0.2
_MOST_TOLD = 8
NOT_KNOWN = 0.5
"""How useful one is in what is not known of it, of 1 for the best."""


class Order(NamedTuple):
    """Candidates, the first to be asked first. ``how`` says why in words, ``figure`` by how much of what the first is first."""

    entries: list[UpstreamModel]
    how: str
    figure: str = ""


class Policies:
    """Puts candidates in order by what an answer costs, by how good it is, or by all that is known.

    By latency the order is that of ``preference``, which has a memory: it is the same for every request.
    """

    def __init__(self, rules: PolicyRules) -> None:
        self.tenants = rules.tenants
        self.estimates = Estimates(rules)
        self._weights = rules.weights

    def wanted(self, request: RouteRequest) -> Policy | None:
        """Return what the request, else its tenant, wants; None for the model's own."""
        if request.policy is not None or request.tenant not in self.tenants:
            return request.policy
        return self.tenants[request.tenant].policy

    def as_wanted(self, request: RouteRequest) -> RouteRequest:
        """Return the request with what its tenant wants, where it says nothing itself."""
        wanted = self.wanted(request)
        return request if wanted is request.policy else msgspec.structs.replace(request, policy=wanted)

    def order(self, policy: Policy, entries: Sequence[UpstreamModel], request: RouteRequest, task: str) -> Order:
        """Return the ``entries`` as a policy other than latency wants them; equal ones stay as they stand."""
        figures = self.estimates.of(entries, request, task)
        if policy is Policy.BALANCED:
            return _balanced(figures, self._weights_of(request.tenant))
        if policy is Policy.COST:
            if all(known.nano_usd is None for _, known in figures):
                return Order(list(entries), "by order, as no price is known")
            figures.sort(key=_by_cost)
        else:
            figures.sort(key=_by_quality)
        told = [(entry, known.told(policy)) for entry, known in figures]
        return Order([entry for entry, _ in figures], in_words(policy, told), told[0][1])

    def _weights_of(self, tenant: str) -> Weights:
        wants = self.tenants.get(tenant)
        return self._weights if wants is None or wants.weights is None else wants.weights


def in_words(policy: Policy, told: Sequence[tuple[UpstreamModel, str]]) -> str:
    """Return what was compared, of each candidate in its order; of many the first ones."""
    words = [f"{entry.candidate} {figure}" for entry, figure in told[:_MOST_TOLD]]
    if len(told) > _MOST_TOLD:
        words.append(f"{len(told) - _MOST_TOLD} more")
    return f"by {policy.value} ({', '.join(words)})"


def _by_cost(known: tuple[UpstreamModel, Figures]) -> tuple[bool, float]:
    nano_usd = known[1].nano_usd
    return nano_usd is None, nano_usd or 0.0


def _by_quality(known: tuple[UpstreamModel, Figures]) -> float:
    return -known[1].quality


def _balanced(figures: Sequence[tuple[UpstreamModel, Figures]], weights: Weights) -> Order:
    costs = useful_by_little([known.nano_usd for _, known in figures], unknown=0.0)
    waits = useful_by_little([known.latency_seconds if known.is_well else None for _, known in figures])
    goods = useful_by_much([known.quality for _, known in figures])
    whole = sum(weights)
    utilities = [
        (weights.cost * cost + weights.latency * (wait if known.is_well else 0.0) + weights.quality * good) / whole
        for (_, known), cost, wait, good in zip(figures, costs, waits, goods, strict=True)
    ]
    ranked = sorted(zip(figures, utilities, strict=True), key=_by_utility)
    told = [(entry, _told(known, utility)) for (entry, known), utility in ranked]
    return Order([entry for entry, _ in told], in_words(Policy.BALANCED, told), f"utility {ranked[0][1]:.2f}")


def _by_utility(ranked: tuple[tuple[UpstreamModel, Figures], float]) -> float:
    # Sums of the same numbers in another order differ in their last digits.
    return -round(ranked[1], 9)


def _told(known: Figures, utility: float) -> str:
    parts = ", ".join(known.told(policy) for policy in (Policy.COST, Policy.LATENCY, Policy.QUALITY))
    return f"utility {utility:.2f}: {parts}"


def useful_by_little(values: Sequence[float | None], unknown: float = NOT_KNOWN) -> list[float]:
    """Return 1 for the least value, down to 0 for the greatest; what differs by less than a fifth differs by less."""
    return _scaled(values, lambda value, low, _, spread: 1 - (value - low) / spread, unknown)


def useful_by_much(values: Sequence[float | None], unknown: float = NOT_KNOWN) -> list[float]:
    """Return 1 for the greatest value, down to 0 for the least; what differs by less than a fifth differs by less."""
    return _scaled(values, lambda value, _, high, spread: 1 - (high - value) / spread, unknown)


def _scaled(
    values: Sequence[float | None], scale: Callable[[float, float, float, float], float], unknown: float
) -> list[float]:
    known = [value for value in values if value is not None]
    if not known:
        return [unknown] * len(values)
    low, high = min(known), max(known)
    spread = max(high - low, high * _LEAST_SPREAD)
    if spread <= 0:
        return [unknown if value is None else 1.0 for value in values]
    return [unknown if value is None else scale(value, low, high, spread) for value in values]
