"""What a request is expected to use of its limits, before anybody has been asked; and what it did use, weighed."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import msgspec

from penstock_common.contract.knowledge import SearchResult
from penstock_common.errors import InvalidRequest
from penstock_common.llm.types import TOKENS_PER_PRICE_UNIT, UnitPrices, Usage, cost_nano_usd
from penstock_gateway.domain.limits.admission import Demand, Used
from penstock_gateway.domain.limits.lengths import Lengths
from penstock_gateway.domain.limits.limit import Limit, Measure

INPUT_MARGIN = 1.25
"""Input that is only estimated is taken to be so much longer where money is reserved for it."""
LOOK_AHEAD_TOKENS = 64
"""What an answer may at least go on for after more was asked for, or after its upstream was told to end."""
FIRST_HOLD = 2
"""A request may hold so many times what it is expected to cost before it asks for more: others have their part of a budget."""
ESTIMATED = frozenset({Measure.TOKENS, Measure.SPEND})
"""Measures of which nobody knows before an answer how much it takes."""
NO_DEMAND, NOT_USED = Demand(), Used()


class Weights(msgspec.Struct, frozen=True, gc=False):
    """What tokens count for."""

    input: float = 1.0
    cached_input: float = 1.0
    output: float = 1.0

    def of(self, usage: Usage) -> int:
        """Return the weighed tokens, rounded up."""
        anew = max(0, usage.input_tokens - usage.cached_input_tokens)
        weighed = anew * self.input + usage.cached_input_tokens * self.cached_input + usage.output_tokens * self.output
        # What floating point leaves over is no token.
        return math.ceil(round(weighed, 6))


class NeedTerms(msgspec.Struct, frozen=True, kw_only=True):
    """How needs are estimated, as the configuration says it; see its section ``admission``."""

    weights: Weights = Weights()
    output_quantile: float = 0.95
    first_output_tokens: int = 1024
    most_output_tokens: int = 32_768
    allows_unknown_prices: bool = False
    discloses_amounts: bool = False


class Asked(NamedTuple):
    """What of a request its needs follow from. ``has_answer``: it has output that nobody can count before.

    ``owed_nano_usd`` is what it has cost before it is asked.
    """

    input_tokens: int
    max_output_tokens: int | None = None
    choices: int = 1
    has_answer: bool = True
    owed_nano_usd: int = 0


class Binding(NamedTuple):
    """Which measures limit a request that are not known before it is answered; shadows with them."""

    tokens: bool
    spend: bool


def binding_of(limits: Sequence[Limit]) -> Binding:
    """Return what of a request must be estimated for these."""
    tokens = spend = False
    for limit in limits:
        measure = limit.allowance.measure
        if measure is Measure.TOKENS:
            tokens = True
        elif measure is Measure.SPEND:
            spend = True
    return Binding(tokens, spend)


class Needs:
    """Knows what answers and models were like before. One for a process; what it knows is lost with it."""

    def __init__(self, terms: NeedTerms | None = None) -> None:
        self.terms = terms = NeedTerms() if terms is None else terms
        self.lengths = Lengths(terms.output_quantile, terms.first_output_tokens)
        self._prices: dict[str, UnitPrices] = {}
        self._hiding: set[str] = set()
        self._searches: dict[tuple[str, str], UnitPrices] = {}

    def demand_of(self, tenant: str, model: str, limits: Sequence[Limit], asked: Asked) -> Demand:
        """Return what a request for a public model is expected to use.

        Spend is 0 as long as nobody was routed to the model: its prices are not known then.

        Raises:
            InvalidRequest: if what is asked alone has more tokens than a limit of tokens ever lets through.
        """
        tokens, spend = binding_of(limits)
        if not tokens and not spend:
            return NO_DEMAND
        expected, most = self.outputs_of(tenant, model, asked)
        weighed = self._tokens(limits, asked.input_tokens, expected) if tokens else 0
        prices = self._prices.get(model)
        if not spend or prices is None:
            return Demand(weighed)
        cost, hold = self.cost_of(prices, asked.input_tokens, expected), min(most, FIRST_HOLD * expected)
        return Demand(weighed, cost, max(cost, self.cost_of(prices, asked.input_tokens, hold)))

    def outputs_of(self, tenant: str, model: str, asked: Asked) -> tuple[int, int]:
        """Return how many tokens of output are expected, and how many there may be at most."""
        if not asked.has_answer:
            return 0, 0
        most = self.terms.most_output_tokens if asked.max_output_tokens is None else asked.max_output_tokens
        each = min(most, self.lengths.expected(tenant, model) + LOOK_AHEAD_TOKENS)
        return each * asked.choices, most * asked.choices

    def cost_of(self, prices: UnitPrices, input_tokens: int, output_tokens: int) -> int:
        """Return nano-dollars for tokens of which the input is an estimate."""
        return cost_nano_usd(Usage(math.ceil(input_tokens * INPUT_MARGIN), output_tokens), prices)

    def used_of(self, usage: Usage, cost_nano_usd: int) -> Used:
        """Return what a bill makes, as limits count it."""
        return Used(self.terms.weights.of(usage), cost_nano_usd)

    def note_prices(self, model: str, prices: UnitPrices) -> None:
        """Remember what a public model costs at most, by the plan that was last made for it."""
        self._prices[model] = prices

    def note_search(self, tenant: str, found: SearchResult) -> None:
        """Remember what a token of a question costs in knowledge bases, by the search that was last made in each."""
        if found.query_tokens:
            price = -(-found.query_cost_nano_usd * TOKENS_PER_PRICE_UNIT // found.query_tokens)
            for index in found.searched:
                self._searches[tenant, index.knowledge_base] = UnitPrices(input_nano_usd=price)

    def search_cost_of(self, tenant: str, bases: Iterable[str], tokens: int) -> int:
        """Return nano-dollars for the search of a question; 0 where nobody has searched any of the bases."""
        prices = dearest([self._searches[tenant, base] for base in bases if (tenant, base) in self._searches])
        return 0 if prices is None else self.cost_of(prices, tokens, 0)

    def note_answer(self, tenant: str, model: str, tokens: int, seen: int | None = None) -> None:
        """Remember how long an answer was, and, where it was metered, how much of that was ``seen`` while it was written."""
        self.lengths.note(tenant, model, tokens if seen is None else max(tokens, seen))
        if seen is not None and tokens > 2 * seen + LOOK_AHEAD_TOKENS:
            self._hiding.add(model)

    def hides_output(self, model: str) -> bool:
        """Return whether a public model was seen to bill for much that it did not tell, such as its reasoning."""
        return model in self._hiding

    def _tokens(self, limits: Sequence[Limit], input_tokens: int, output_tokens: int) -> int:
        weights = self.terms.weights
        least = weights.of(Usage(input_tokens))
        wanted = weights.of(Usage(input_tokens, output_tokens))
        for limit in limits:
            allowance = limit.allowance
            if allowance.measure is not Measure.TOKENS or limit.shadow:
                continue
            if least > allowance.capacity:
                raise InvalidRequest(
                    f"The request alone has about {least} tokens, and {limit.scope} may use {limit}"
                    f"{f', {allowance.capacity} at once' if allowance.burst else ''}: shorten it.",
                    field="input.messages",
                )
            # An answer that is only expected to be long must not keep a request out for good.
            wanted = min(wanted, allowance.capacity)
        return wanted


def dearest(prices: Iterable[UnitPrices]) -> UnitPrices | None:
    """Return what tokens cost at most at any of these; None where somebody's price is not known, or nobody's.

    Input costs what it costs to write a provider's prompt cache with it, where that is more: nobody knows before.
    """
    each = list(prices)
    if not each or any(price.is_unknown for price in each):
        return None
    return UnitPrices(
        input_nano_usd=max(
            max(price.input_nano_usd, price.cache_write_nano_usd, price.cache_write_1h_nano_usd) for price in each
        ),
        output_nano_usd=max(price.output_nano_usd for price in each),
    )
