"""What is known of a candidate that policies compare: what an answer is likely to cost, how soon it comes, how good it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from penstock_common.contract.router import Policy, RouteRequest
from penstock_common.llm.types import GENERAL_TASK, NANO_USD_PER_USD, TOKENS_PER_PRICE_UNIT, Candidate
from penstock_common.upstreams.state import Condition, States
from penstock_router.domain.catalogue import UpstreamModel
from penstock_router.domain.preference import waits

OTHER_TASKS = "default"
"""The task of a number that holds for all tasks that have none of their own."""
Qualities = Mapping[tuple[Candidate, str], tuple[float, float]]
"""By candidate and task: how good answers were found to be, in [0, 1], and of how many judgements that is worth."""


class Weights(NamedTuple):
    """How much each of the three counts under ``balanced``, beside the others."""

    cost: float = 1.0
    latency: float = 1.0
    quality: float = 1.0


class Wants(NamedTuple):
    """What a tenant prefers; None as everybody else."""

    policy: Policy | None = None
    weights: Weights | None = None


@dataclass(frozen=True, slots=True)
class PolicyRules:
    """What is assumed where nothing is known. ``output_tokens``: of an answer, by task. ``answer_tokens``: as in ``waits``."""

    quality: float = 0.5
    quality_weight: float = 20.0
    """Of how many judgements a configured or assumed quality is worth, beside those that were heard."""
    output_tokens: Mapping[str, float] = field(default_factory=lambda: {OTHER_TASKS: 400.0})
    weights: Weights = Weights()
    tenants: Mapping[str, Wants] = field(default_factory=dict[str, Wants])
    answer_tokens: int = 100


class Figures(NamedTuple):
    """A candidate's."""

    nano_usd: float | None
    """What an answer is likely to cost; None where nobody knows the price."""
    latency_seconds: float | None
    """The usual time of an answer of ``PolicyRules.answer_tokens``, or to its first; None where too few answers came."""
    latency_of: str
    """Which of the two it is, in words."""
    quality: float
    """In [0, 1]."""
    is_assumed: bool
    """Whether nobody has said or found anything of its quality."""
    is_well: bool
    """Whether it is neither slow nor without quota nor out."""

    def told(self, policy: Policy) -> str:
        """Return what the policy compares, in words."""
        if policy is Policy.COST:
            return "price unknown" if self.nano_usd is None else f"{usd(self.nano_usd)} USD"
        if policy is Policy.LATENCY:
            return (
                "latency unknown" if self.latency_seconds is None else f"{self.latency_seconds:.2g} s{self.latency_of}"
            )
        return f"quality {self.quality:.2f}{' assumed' if self.is_assumed else ''}"


def usd(nano_usd: float) -> str:
    """Return dollars with two digits that count, never in exponent form."""
    dollars = float(f"{nano_usd / NANO_USD_PER_USD:.2g}")
    return f"{dollars:.9f}".rstrip("0").rstrip(".")


class Estimates:
    """Makes figures of what is configured, and of what was heard since."""

    def __init__(self, rules: PolicyRules) -> None:
        self._rules = rules
        self.states: States = {}
        """How upstreams are."""
        self.qualities: Qualities = {}
        """How good answers were found to be."""

    def of(
        self, entries: Sequence[UpstreamModel], request: RouteRequest, task: str
    ) -> list[tuple[UpstreamModel, Figures]]:
        """Return the figures of candidates for a request; an empty ``task`` is one that nobody saw."""
        seconds, latency_of = waits([entry.candidate for entry in entries], self.states, self._rules.answer_tokens)
        return [
            (entry, self._of(entry, request, task, (seconds.get(entry.candidate), latency_of))) for entry in entries
        ]

    def _of(self, entry: UpstreamModel, request: RouteRequest, task: str, latency: tuple[float | None, str]) -> Figures:
        state = self.states.get(entry.candidate)
        quality, is_assumed = self._quality(entry, task)
        return Figures(
            nano_usd=self._nano_usd(entry, request, task),
            latency_seconds=latency[0],
            latency_of=latency[1],
            quality=quality,
            is_assumed=is_assumed,
            is_well=state is None or state.condition is Condition.OK,
        )

    def _nano_usd(self, entry: UpstreamModel, request: RouteRequest, task: str) -> float | None:
        """Return what an answer is likely to cost; of the input as much is cached as was of late."""
        input_tokens = max(1, request.requirements.likely_input_tokens)
        prices = entry.prices_of(input_tokens)
        if prices.is_unknown:
            return None
        state = self.states.get(entry.candidate)
        output_tokens = (
            of_task(entry.output_tokens, task)
            or (state and state.output_tokens)
            or of_task(self._rules.output_tokens, task)
            or 0.0
        )
        if request.output_tokens:
            output_tokens = min(output_tokens, request.output_tokens)
        cached_share = (state and state.cached_share) or 0.0
        input_nano_usd = prices.input_nano_usd + cached_share * (prices.cached_input_nano_usd - prices.input_nano_usd)
        total = input_tokens * input_nano_usd + output_tokens * prices.output_nano_usd
        return total / TOKENS_PER_PRICE_UNIT

    def _quality(self, entry: UpstreamModel, task: str) -> tuple[float, bool]:
        """Return the mean of what was said before and what was heard since, each by its weight."""
        said = of_task(entry.quality, task)
        before = self._rules.quality if said is None else said
        score, weight = self.qualities.get((entry.candidate, task or GENERAL_TASK), (0.0, 0.0))
        if weight <= 0:
            return before, said is None
        known = self._rules.quality_weight
        return (before * known + score * weight) / (known + weight), False


def of_task(numbers: Mapping[str, float], task: str) -> float | None:
    """Return the number for a task, empty where nobody saw one, else that for other tasks; None where nothing is said."""
    found = numbers.get(task or GENERAL_TASK)
    return numbers.get(OTHER_TASKS) if found is None else found
