"""What a model costs, as the configuration and the datasheet say it."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Self

from pydantic import Field, model_validator

from penstock_common.configuration import MAX_INT32, Section
from penstock_common.faults import refuse
from penstock_common.llm.types import NANO_USD_PER_USD, UnitPrices

Usd = Annotated[Decimal, Field(ge=0, le=1_000_000)]
_ROW = ("input", "cached_input", "cache_write", "cache_write_1h", "output")


class PriceStep(Section):
    """What a whole request costs whose input is longer; what is not said is as for a short one."""

    above_input_tokens: Annotated[int, Field(gt=0, le=MAX_INT32)]
    """It costs this once it has more tokens of input than this."""
    counts_cached: bool = True
    """Whether input that the provider remembers counts for ``above_input_tokens``."""
    input: Usd | None = None
    """As `input` of a short request; not said: as there."""
    cached_input: Usd | None = None
    """As `cached_input` of a short request; not said: as there."""
    cache_write: Usd | None = None
    """As `cache_write` of a short request; not said: as there."""
    cache_write_1h: Usd | None = None
    """As `cache_write_1h` of a short request; not said: as there."""
    output: Usd | None = None
    """As `output` of a short request; not said: as there."""


class Price(Section):
    """What a model costs, in USD per million tokens; what is not said is free, cached input costs as much as fresh."""

    input: Usd = Decimal(0)
    """For what is asked."""
    cached_input: Usd | None = None
    """For what the provider remembers of an earlier request; not said: as `input`."""
    cache_write: Usd | None = None
    """For what the provider is to remember; not said: as `input`."""
    cache_write_1h: Usd | None = None
    """For what it is to remember for an hour; not said: as `cache_write`."""
    output: Usd = Decimal(0)
    """For what is answered."""
    steps: list[PriceStep] = []
    """What requests cost whose input is long: the whole of it, by the highest step that it is above."""

    @model_validator(mode="after")
    def _sayable(self) -> Self:
        rows = [((), self.input, self), *((("steps", at), step.input, step) for at, step in enumerate(self.steps))]
        refuse(
            ((*where, name), "nothing is no price for it where input has one: leave it out, and it costs as input does")
            for where, fresh, row in rows
            for name in ("cache_write", "cache_write_1h")
            if getattr(row, name) == 0 and (self.input if fresh is None else fresh) > 0
        )
        bounds = [step.above_input_tokens for step in self.steps]
        refuse(
            (("steps", at), "steps are written from the lowest to the highest")
            for at in range(1, len(bounds))
            if bounds[at] <= bounds[at - 1]
        )
        return self

    def unit_prices(self) -> UnitPrices:
        """Return the prices in nano-dollars per million tokens, rounded to whole ones."""
        return UnitPrices(
            input_nano_usd=_nano_usd(self.input),
            cached_input_nano_usd=_nano_usd(_first(self.cached_input, self.input)),
            output_nano_usd=_nano_usd(self.output),
            cache_write_nano_usd=_nano_usd(_first(self.cache_write)),
            cache_write_1h_nano_usd=_nano_usd(_first(self.cache_write_1h)),
        )

    def unit_prices_above(self) -> list[tuple[PriceStep, UnitPrices]]:
        """Return the steps with the prices of the requests that are above them, the lowest first."""
        return [(step, self.model_copy(update=_said(step)).unit_prices()) for step in self.steps]


UNKNOWN_PRICES = UnitPrices(is_unknown=True)


def unit_prices_of(price: Price | None) -> UnitPrices:
    """Return the prices in nano-dollars per million tokens, unknown ones where none is said."""
    return UNKNOWN_PRICES if price is None else price.unit_prices()


def _said(step: PriceStep) -> dict[str, Decimal]:
    return {name: usd for name in _ROW if (usd := getattr(step, name)) is not None}


def _first(*said: Decimal | None) -> Decimal:
    return next((usd for usd in said if usd is not None), Decimal(0))


def _nano_usd(usd: Decimal) -> int:
    return int((usd * NANO_USD_PER_USD).to_integral_value())
