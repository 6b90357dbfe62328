"""The life of one request for vectors: validate, admit, embed, settle. What a chat has besides does not apply.

::

    exchange = life.begin(call)
    async with exchange:                      # raises whatever refuses the request
        embedded = await exchange.embed()
    # settled, exactly once, whatever ended it
"""

from __future__ import annotations

import asyncio
import time
from typing import NamedTuple

from penstock_common.contract.embedding import EmbedResponse
from penstock_common.errors import DeadlineExceeded, ModelNotFound, PenstockError
from penstock_common.llm.estimate import estimated_tokens
from penstock_common.llm.types import Candidate, UnitPrices, Usage, cost_nano_usd
from penstock_common.rpc.client import is_time_left
from penstock_common.telemetry.steps import Step
from penstock_gateway.domain.life.exchange import Exchange, VisitParts
from penstock_gateway.domain.life.order import Call, EmbeddingOrder
from penstock_gateway.domain.life.outcome import Outcome
from penstock_gateway.domain.life.ports import TextEmbedder
from penstock_gateway.domain.life.progress import NOTHING_OWED, Bill
from penstock_gateway.domain.life.spending import unknown_price
from penstock_gateway.domain.life.validation import validate_embedding_input
from penstock_gateway.domain.limits.admission import Demand
from penstock_gateway.domain.limits.limit import Limit, Measure
from penstock_gateway.domain.limits.needs import Asked, binding_of

_OFFER_SECONDS = 60.0


class Tariff(NamedTuple):
    """Who is asked for a model's vectors, and what they cost there."""

    upstream: str
    unit_prices: UnitPrices


class Tariffs:
    """What the last answers of each model said: the service alone knows prices, and who leaves does not hear them."""

    def __init__(self) -> None:
        self._known: dict[str, Tariff] = {}
        self._offered: dict[str, UnitPrices | None] = {}
        self._offered_until = 0.0

    async def dearest(self, model: str, embedder: TextEmbedder) -> UnitPrices | None:
        """Return what a model costs at most, an empty name for the service's own; None where nobody knows.

        What the service says holds for a minute. A model that it has not is left to it to refuse.
        """
        if time.monotonic() >= self._offered_until or model not in self._offered:
            offered = await embedder.models()
            self._offered = {each.name: each.prices for each in offered}
            self._offered_until = time.monotonic() + _OFFER_SECONDS
            self._offered[""] = offered[0].prices if offered else UnitPrices()
        return self._offered.get(model, UnitPrices())

    def note(self, embedded: EmbedResponse) -> None:
        """Take in an answer."""
        self._known[embedded.model] = Tariff(embedded.upstream, embedded.unit_prices)

    def of(self, model: str) -> Tariff | None:
        """Return what is known of a model; None before its first answer."""
        return self._known.get(model)


class EmbeddingLife:
    """Begins exchanges."""

    def __init__(self, visits: VisitParts, embedder: TextEmbedder) -> None:
        self._visits = visits
        self._embedder = embedder
        self._tariffs = Tariffs()

    def begin(self, call: Call[EmbeddingOrder]) -> EmbeddingExchange:
        """Return the exchange of an authenticated request; nothing happens before it is entered."""
        return EmbeddingExchange(call, self._visits, self._embedder, self._tariffs)


class EmbeddingExchange(Exchange[EmbeddingOrder]):
    """One request's life."""

    def __init__(
        self, call: Call[EmbeddingOrder], visits: VisitParts, embedder: TextEmbedder, tariffs: Tariffs
    ) -> None:
        super().__init__(call, visits)
        self._tariffs = tariffs
        self.embedded: EmbedResponse | None = None
        self._embedder = embedder
        self._embed: Step | None = None
        self._owed = NOTHING_OWED
        self._answered_by: Candidate | None = None

    @property
    def bill(self) -> Bill:
        """What is owed so far."""
        embedded = self.embedded
        if embedded is None:
            return self._owed
        usage, prices = Usage(input_tokens=embedded.input_tokens), embedded.unit_prices
        cost = embedded.cost_nano_usd if embedded.attempts else cost_nano_usd(usage, prices)
        return Bill(usage, prices, cost)

    async def embed(self) -> EmbedResponse:
        """Return the vectors; asked once.

        Raises:
            PenstockError: whatever fails the request.
        """
        request = self.call.order.input
        with self._steps.step("embed", inputs=len(request.texts)) as step:
            self._embed = step
            is_asked = is_time_left()
            try:
                embedded = self.embedded = await self._embedder.embed(request, step.children)
            except (asyncio.CancelledError, DeadlineExceeded):
                if is_asked:
                    self._note_left(step)
                raise
        self._answered_by = Candidate(upstream=embedded.upstream, model=embedded.model)
        self._tariffs.note(embedded)
        return embedded

    async def _prepare(self) -> None:
        self._steps.next("validate")
        validate_embedding_input(self.call.order.input)
        self._check()
        self._steps.next("admit")
        await self._reserve()
        self._steps.stop()

    @property
    def _asked(self) -> Asked:
        return Asked(sum(map(estimated_tokens, self.call.order.input.texts)), has_answer=False)

    async def _demand(self, limits: tuple[Limit, ...]) -> Demand:
        """Return what the request is expected to use, which is all that it can: there is no answer to run on.

        Raises:
            ModelNotPermitted: if nobody knows what the model costs, a budget binds the request, and that is not allowed.
        """
        demand, needs, model = await super()._demand(limits), self._visits.needs, self.call.order.input.model
        if not binding_of(limits).spend:
            return demand
        prices = await self._tariffs.dearest(model, self._embedder)
        if prices is None:
            if needs.terms.allows_unknown_prices or all(
                each.shadow for each in limits if each.allowance.measure is Measure.SPEND
            ):
                return demand
            raise unknown_price(model)
        cost = needs.cost_of(prices, self._asked.input_tokens, 0)
        return Demand(demand.tokens, cost, cost)

    def _note_left(self, step: Step) -> None:
        """Take in what is owed for texts that somebody works on, or worked on, while nobody waits for their vectors.

        The service says what that makes: nothing where nobody had been sent them yet.
        """
        request = self.call.order.input
        if step.children:
            told = step.children[-1].attributes
            if "owed_input_tokens" not in told:
                return
            usage = Usage(input_tokens=int(told["owed_input_tokens"]), estimated=True)
            prices = UnitPrices(input_nano_usd=int(told["input_nano_usd"]))
            self._owed = Bill(usage, prices, int(told["owed_cost_nano_usd"]))
            self._answered_by = Candidate(upstream=str(told["upstream"]), model=request.model)
        elif (tariff := self._tariffs.of(request.model)) is not None:
            # Who hangs up a call to another process hears no more of it: it is taken that the first was sent all.
            usage = Usage(input_tokens=sum(map(estimated_tokens, request.texts)), estimated=True)
            self._owed = Bill(usage, tariff.unit_prices, cost_nano_usd(usage, tariff.unit_prices))
            self._answered_by = Candidate(upstream=tariff.upstream, model=request.model)

    def _outcome(self) -> Outcome:
        return Outcome(
            operation="embeddings",
            bill=self.bill,
            # Callers choose names; only one that was answered is known to be a model's.
            public_model=self.call.order.input.model if self._answered_by is not None else "",
            answered_by=self._answered_by,
            attempts=self._attempts_made(),
        )

    def _attempts_made(self) -> int:
        if self.embedded is not None:
            return self.embedded.attempts or 1
        if self._embed is None:
            return 0
        told = [step.attributes["attempts"] for step in self._embed.children if "attempts" in step.attributes]
        return int(told[-1]) if told else 1

    def _was_refused(self, error: PenstockError) -> bool:
        # Which models there are, the service says that is asked for the vectors.
        return self._embed is None or isinstance(error, ModelNotFound)

    def _waiting_ns(self) -> int:
        step = self._embed
        return (step.end_ns or time.time_ns()) - step.start_ns if step is not None else 0
