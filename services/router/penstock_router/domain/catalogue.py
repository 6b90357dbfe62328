"""What can be routed to: models at upstreams, and the public names in front of them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from penstock_common.contract.router import Policy
from penstock_common.llm.types import Candidate, UnitPrices, UnsupportedFields


@dataclass(frozen=True, slots=True)
class UpstreamModel:
    """One model at one upstream, and what it is billed at; ``region`` is empty where the operator names none.

    ``identity`` tells it from another that has its names: the provider, where it is, how it is asked.
    """

    candidate: Candidate
    region: str
    context_window_tokens: int
    capabilities: frozenset[str]
    prices: UnitPrices = UnitPrices()
    identity: tuple[str, ...] = ()
    provider: str = ""
    service_tiers: frozenset[str] = frozenset()
    price_steps: tuple[tuple[int, UnitPrices], ...] = ()
    """What requests cost whose input has more tokens than the number, the lowest first."""
    quality: Mapping[str, float] = field(default_factory=dict[str, float])
    """How good its answers are, in [0, 1], by task."""
    output_tokens: Mapping[str, float] = field(default_factory=dict[str, float])
    """What an answer of it usually has, reasoning included, by task."""

    def prices_of(self, input_tokens: int) -> UnitPrices:
        """Return what a request of that much input is billed at."""
        above = [prices for least, prices in self.price_steps if input_tokens > least]
        return above[-1] if above else self.prices

    def can_stand_in_for(self, other: UpstreamModel) -> bool:
        """Return whether whatever the other can be asked this one can be asked, too.

        What a request may say beside its capabilities is known of providers alone, and by inference.
        """
        return (
            self.provider == other.provider
            and self.capabilities >= other.capabilities
            and self.service_tiers >= other.service_tiers
            and self.context_window_tokens >= other.context_window_tokens
        )


@dataclass(frozen=True, slots=True)
class PublicModel:
    """A name that callers use, and its candidates in order of preference.

    ``weights`` share out the first place among the candidates they name. ``digest`` is another where any of that
    is, or another upstream stands behind a candidate's name. ``unsupported`` is what becomes of a request's
    fields that none of them takes.
    """

    name: str
    candidates: tuple[UpstreamModel, ...]
    weights: Mapping[Candidate, int] = field(default_factory=dict[Candidate, int])
    digest: bytes = b""
    unsupported: UnsupportedFields = UnsupportedFields.REFUSE
    policy: Policy | None = None
    """What says who comes first; None: the order, or the weights."""
    is_led_to: bool = False
    """Whether a model with routes leads to it, so that requests may come with a policy that is not its own."""

    @property
    def takes_policies(self) -> bool:
        """Whether any request for it may be answered by policy."""
        return self.policy is not None or self.is_led_to

    @property
    def capabilities(self) -> frozenset[str]:
        """Everything at least one candidate can do."""
        return frozenset[str]().union(*(model.capabilities for model in self.candidates))

    @property
    def context_window_tokens(self) -> int:
        """The largest window among the candidates."""
        return max(model.context_window_tokens for model in self.candidates)

    @property
    def prices(self) -> UnitPrices | None:
        """What the first candidate is billed at; None where nobody knows."""
        prices = self.candidates[0].prices
        return None if prices.is_unknown else prices


def digest_of(
    candidates: Sequence[UpstreamModel], weights: Mapping[Candidate, int], policy: Policy | None = None
) -> bytes:
    """Return what two routes have in common that lead to the same models in the same way.

    Prices, windows and capabilities are not part of it: they change who is asked, not what a candidate answers.
    """
    route: list[object] = [
        (str(entry.candidate), entry.region, entry.identity, weights.get(entry.candidate, 0)) for entry in candidates
    ]
    if policy is not None:
        route.append(policy.value)
    return hashlib.sha256(msgspec.msgpack.encode(route)).digest()


class Catalogue:
    """All public models, by name."""

    def __init__(self, models: Sequence[PublicModel]) -> None:
        self._by_name = {model.name: model for model in models}

    def find(self, name: str) -> PublicModel | None:
        """Return the public model of this name."""
        return self._by_name.get(name)

    def all(self) -> list[PublicModel]:
        """Return every public model, sorted by name."""
        return [self._by_name[name] for name in sorted(self._by_name)]
