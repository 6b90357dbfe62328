"""What would be otherwise: another model, hit rate or price."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from penstock_suite.domain.estimate.observed import Day, Observed

_MICRO = 1000
"""Nano-dollars for a token at a dollar for a million tokens."""


class Prices(msgspec.Struct, frozen=True):
    """In dollars, for a million tokens of input and of output."""

    input: float
    output: float


class WhatIf(msgspec.Struct, frozen=True, kw_only=True):
    """None and 1 stand for what is as it was. ``model`` is what has the ``prices``."""

    hit_rate: float | None = None
    price_factor: float = 1.0
    prices: Prices | None = None
    model: str = ""


AS_IT_WAS = WhatIf()


def read_what_if(given: Mapping[str, str]) -> WhatIf:
    """Return what words say: ``model=NAME``, ``hit_rate=0.4``, ``price=+20%``, ``price=2.5/10``.

    Raises:
        ValueError: if one means nothing.
    """
    unknown = sorted(set(given) - {"model", "hit_rate", "price"})
    if unknown:
        raise ValueError(f"there is no '{unknown[0]}'; there are model, hit_rate and price")
    price = given.get("price", "")
    return WhatIf(
        model=given.get("model", ""),
        hit_rate=share(given["hit_rate"], "hit_rate") if "hit_rate" in given else None,
        prices=prices(price) if "/" in price else None,
        price_factor=1.0 if not price or "/" in price else _factor(price),
    )


def share(text: str, name: str) -> float:
    """Return a share from 0 to 1.

    Raises:
        ValueError: if it is none.
    """
    value = number(text, name)
    if value > 1:
        raise ValueError(f"{name} must be from 0 to 1, not {text}")
    return value


def number(text: str, name: str) -> float:
    """Return a number that is not below 0.

    Raises:
        ValueError: if it is none.
    """
    try:
        value = float(text)
    except ValueError:
        raise ValueError(f"{name}: a number is expected, not '{text}'") from None
    if not 0 <= value < float("inf"):
        raise ValueError(f"{name}: a number that is not below 0 is expected, not '{text}'")
    return value


def prices(text: str) -> Prices:
    """Return the prices of ``2.5/10``.

    Raises:
        ValueError: if it means nothing.
    """
    input_text, slash, output_text = text.partition("/")
    if not slash:
        raise ValueError(
            f"price: dollars for a million tokens of input and output are expected, such as 2.5/10, not '{text}'"
        )
    return Prices(number(input_text, "price"), number(output_text, "price"))


def _factor(text: str) -> float:
    try:
        factor = 1 + float(text.removesuffix("%")) / 100 if text.endswith("%") and text[0] in "+-" else -1.0
    except ValueError:
        factor = -1.0
    if not 0 <= factor < float("inf"):
        raise ValueError(f"price: such as +20%, -10% or 2.5/10 is expected, not '{text}'")
    return factor


def applied(what_if: WhatIf, observed: Observed) -> Observed:
    """Return the days as they would have been.

    Of another model what its upstream's cache would save is not known, and counted as nothing.

    Raises:
        ValueError: if nothing is known of what would be asked then.
    """
    days = observed.days
    if what_if.prices is not None:
        days = tuple(_priced(day, what_if.prices) for day in days)
    days = tuple(_scaled(day, what_if.price_factor) for day in days)
    if what_if.hit_rate is not None:
        days = _with_hits(days, observed.total, what_if.hit_rate)
    return msgspec.structs.replace(observed, days=days)


def _priced(day: Day, price: Prices) -> Day:
    cost = (day.input_tokens * price.input + day.output_tokens * price.output) * _MICRO
    misses = day.requests - day.hits
    saved = cost * day.hits / misses if misses else 0.0
    return msgspec.structs.replace(day, cost=cost, saved=saved, unpriced=0)


def _scaled(day: Day, factor: float) -> Day:
    return msgspec.structs.replace(day, cost=day.cost * factor, saved=day.saved * factor)


def _with_hits(days: tuple[Day, ...], total: Day, hit_rate: float) -> tuple[Day, ...]:
    misses = total.requests - total.hits
    if not misses:
        if hit_rate < 1 and total.requests:
            raise ValueError("hit_rate: every request was a hit, so that nothing is known of what a miss costs")
        return days
    factor = (1 - hit_rate) * total.requests / misses
    saved_by_a_hit = total.cost / misses if factor else 0.0
    return tuple(
        msgspec.structs.replace(
            day,
            hits=day.requests * hit_rate,
            attempts=day.attempts * factor,
            input_tokens=day.input_tokens * factor,
            output_tokens=day.output_tokens * factor,
            cost=day.cost * factor,
            saved=day.requests * hit_rate * saved_by_a_hit,
            own_seconds=day.own_seconds * factor,
        )
        for day in days
    )
