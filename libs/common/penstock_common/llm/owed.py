"""What is owed for an attempt that came to no end: noted by inference in the attempt's step, read there by the gateway."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from penstock_common.llm.types import UnitPrices, Usage, cost_nano_usd
from penstock_common.telemetry.steps import AttributeValue

_TOKENS = (
    "input_tokens",
    "cached_input_tokens",
    "cache_write_input_tokens",
    "cache_write_1h_input_tokens",
    "output_tokens",
)
_PRICES = (
    "input_nano_usd",
    "cached_input_nano_usd",
    "cache_write_nano_usd",
    "cache_write_1h_nano_usd",
    "output_nano_usd",
)
_UNKNOWN = "price_is_unknown"


class Owed(msgspec.Struct, frozen=True):
    """Tokens, estimated as far as the upstream has not counted them, and what they are billed at."""

    usage: Usage
    unit_prices: UnitPrices

    @property
    def cost_nano_usd(self) -> int:
        """What that makes."""
        return cost_nano_usd(self.usage, self.unit_prices)

    def told(self) -> dict[str, AttributeValue]:
        """Return it as a step's attributes."""
        usage, prices = self.usage, self.unit_prices
        told: dict[str, AttributeValue] = {f"owed_{name}": getattr(usage, name) for name in _TOKENS}
        told |= {name: getattr(prices, name) for name in _PRICES}
        if prices.is_unknown:
            told[_UNKNOWN] = True
        return told


def is_owing(told: Mapping[str, AttributeValue]) -> bool:
    """Return whether a step's attributes say that something is owed."""
    return "owed_input_tokens" in told


def owed_in(told: Mapping[str, AttributeValue]) -> Owed:
    """Return what the attributes of such a step say."""
    usage = {name: int(told.get(f"owed_{name}", 0)) for name in _TOKENS}
    prices = {name: int(told.get(name, 0)) for name in _PRICES}
    return Owed(Usage(**usage, estimated=True), UnitPrices(**prices, is_unknown=bool(told.get(_UNKNOWN, False))))
