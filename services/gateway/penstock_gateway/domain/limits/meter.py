"""Counts what an answer costs while it is written, and asks for more of a budget before that is used up."""

from __future__ import annotations

from penstock_common.errors import PenstockError
from penstock_common.llm.types import (
    TOKENS_PER_PRICE_UNIT,
    Batch,
    OpaqueDelta,
    ReasoningDelta,
    Started,
    TextDelta,
    ToolCallDelta,
    UnitPrices,
)
from penstock_gateway.domain.limits.admission import Limiter, Reservation
from penstock_gateway.domain.limits.needs import LOOK_AHEAD_TOKENS, Asked, Needs, dearest

BYTES_PER_TOKEN = 3
"""Fewer than most texts have, so that more is counted than is billed; and no delta is less than a token."""

LEAST_AT_ONCE = 256
"""Tokens that are asked for at least, where they are there."""
_MOST_AT_ONCE = 4096
_FAR_MORE = 2


class OutOfMoney(PenstockError):
    """A budget has nothing left for more of an answer; no caller is told this."""


class Meter:
    """One answer's meter, in tokens of output and nano-dollars.

    ``prices`` are the dearest of those who may answer: pinned, whatever the configuration says later, until whoever
    answers tells higher ones. Of ``asked``, the input is an estimate, and what it may have at most is kept by whoever answers.
    """

    __slots__ = (
        "_asked",
        "_base",
        "_bytes",
        "_deltas",
        "_largest",
        "_limiter",
        "_most",
        "_needs",
        "_owed_before",
        "_prices",
        "_room",
        "ceiling",
        "reservation",
    )  # fmt: skip

    def __init__(
        self, limiter: Limiter, reservation: Reservation, needs: Needs, prices: UnitPrices, asked: Asked
    ) -> None:
        self._limiter = limiter
        self.reservation = reservation
        self.ceiling = reservation.ceiling or 0
        self._needs = needs
        self._bytes = self._deltas = self._largest = 0
        self._asked = asked
        self._owed_before = asked.owed_nano_usd
        self._most = None if asked.max_output_tokens is None else asked.max_output_tokens * asked.choices
        self.pin(prices)

    @property
    def tokens(self) -> int:
        """How many tokens the answer has taken so far, as counted here."""
        return max(self._deltas, -(-self._bytes // BYTES_PER_TOKEN))

    @property
    def affordable_tokens(self) -> int | None:
        """How many tokens of output the ceiling pays for, besides the input; None: they cost nothing."""
        price = self._prices.output_nano_usd
        return None if not price else max(0, (self.ceiling - self._base) * TOKENS_PER_PRICE_UNIT // price)

    @property
    def is_free(self) -> bool:
        """Whether nothing that may come costs anything."""
        return not (self._base > self._asked.owed_nano_usd or self._prices.output_nano_usd)

    def pin(self, prices: UnitPrices) -> None:
        """Count at these prices from now on."""
        self._prices = prices
        self._base = self._cost_with(0)
        self._room = self.affordable_tokens

    def owe(self, nano_usd: int) -> None:
        """Take in what is owed in all for attempts at this answer that came to no end."""
        owed = self._owed_before + nano_usd
        if owed != self._asked.owed_nano_usd:
            self._asked = self._asked._replace(owed_nano_usd=owed)
            self.pin(self._prices)

    async def cover(self, output_tokens: int) -> bool:
        """Have the ceiling pay for the input and so much output; return whether it does now."""
        missing = self._cost_with(output_tokens) - self.ceiling
        if missing > 0:
            self.ceiling += await self._limiter.extend(self.reservation, missing)
            self._room = self.affordable_tokens
        return self._cost_with(output_tokens) <= self.ceiling

    def is_near(self, batch: Batch) -> bool:
        """Take in what has come; return whether more must be asked for before anything else comes."""
        before = self.tokens
        for event in batch:
            self._take(event)
        tokens = self.tokens
        self._largest = max(self._largest, tokens - before)
        return self._room is not None and self._coming(tokens) > self._room

    async def goes_on(self) -> bool:
        """Ask for more; return whether the answer may go on."""
        tokens = self.tokens
        # A long answer asks seldom, and holds little that others could have.
        await self.cover(tokens + max(min(tokens, _MOST_AT_ONCE), self._ahead, LEAST_AT_ONCE))
        return self._room is None or self._coming(tokens) <= self._room

    def _cost_with(self, output_tokens: int) -> int:
        """Return what the request owes with so much output."""
        return self._asked.owed_nano_usd + self._needs.cost_of(self._prices, self._asked.input_tokens, output_tokens)

    @property
    def _ahead(self) -> int:
        """What may come before an upstream has heard that it is to end: it may send much at once."""
        return max(LOOK_AHEAD_TOKENS, 2 * self._largest)

    def _coming(self, tokens: int) -> int:
        """Return how long the answer may be by the time it could be ended."""
        coming, most = tokens + self._ahead, self._most
        # More is counted here than is billed; but whoever writes far more than it may, writes on.
        return coming if most is None or tokens > _FAR_MORE * most + LOOK_AHEAD_TOKENS else min(coming, most)

    def _take(self, event: object) -> None:
        if isinstance(event, TextDelta | ReasoningDelta):
            text = event.text
        elif isinstance(event, ToolCallDelta):
            text = event.arguments_json_fragment or event.name
        elif isinstance(event, OpaqueDelta):
            text = event.block.json
        else:
            if isinstance(event, Started):
                self._hear(event.unit_prices)
            return
        self._deltas += 1
        self._bytes += len(text) if text.isascii() else len(text.encode(errors="replace"))

    def _hear(self, prices: UnitPrices) -> None:
        """Take in at what whoever answers bills, such as a dearer tier for long requests."""
        higher = dearest((self._prices, prices))
        if higher is not None and higher != self._prices:
            self.pin(higher)
