"""An answer's meter: it asks for more in time, seldom, and never lets more be written than is paid for."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from penstock_common.contract.inference import GenerateRequest
from penstock_common.llm.owed import Owed
from penstock_common.llm.types import (
    Candidate,
    GenerationInput,
    Plan,
    ReasoningDelta,
    Started,
    TextDelta,
    ToolCallDelta,
    UnitPrices,
    Usage,
)
from penstock_common.telemetry.steps import Step
from penstock_gateway.adapters.counting.in_memory import InMemoryLimiter
from penstock_gateway.domain.life.sources import Generation
from penstock_gateway.domain.limits.admission import Demand, Reservation
from penstock_gateway.domain.limits.limit import TENANT, Allowance, Limit, Measure
from penstock_gateway.domain.limits.meter import BYTES_PER_TOKEN, Meter, OutOfMoney
from penstock_gateway.domain.limits.needs import LOOK_AHEAD_TOKENS, Asked, Needs, NeedTerms
from penstock_gateway.domain.limits.windows import TOTAL

PRICE = UnitPrices(output_nano_usd=1_000_000)
"""A nano-dollar for a token, so that both are one number."""
LEASE = timedelta(minutes=1)


class Counting(InMemoryLimiter):
    """Counts how often more was asked for, too."""

    asked = 0

    async def extend(self, reservation, more):
        self.asked += 1
        return await super().extend(reservation, more)


async def metered(amount, *, spend=100, most=100, prices=PRICE, asked=None):
    limiter = Counting(now=lambda: datetime(2026, 11, 30, tzinfo=UTC))
    limits = (Limit("t", TENANT, Allowance(Measure.SPEND, TOTAL, amount), "sum"),)
    verdict = await limiter.reserve("r", "t", limits, Demand(spend=spend, most=most), LEASE)
    needs = Needs(NeedTerms(first_output_tokens=100))
    return limiter, Meter(limiter, verdict.reservation, needs, prices, asked or Asked(0))


def words(count):
    return [TextDelta(text="abc")] * count


async def written(meter, size=10, most=10_000):
    """How many tokens are written before the meter ends it, in batches of so many."""
    tokens = 0
    while tokens < most:
        tokens += size
        if meter.is_near(words(size)) and not await meter.goes_on():
            break
    return tokens


@pytest.mark.parametrize("size", [1, 7, 32])
async def test_no_more_is_written_than_is_paid_for_and_little_is_left(size):
    _, meter = await metered(5_000)
    tokens = await written(meter, size)
    assert 5_000 - 2 * max(LOOK_AHEAD_TOKENS, 2 * size) <= tokens <= 5_000
    assert meter.ceiling <= 5_000


class Attempts:
    """Implements ``ports.Generator`` over what attempts would give; a number is what the attempt has cost that came to nothing."""

    def __init__(self, *given):
        self.given, self.told = given, 0

    def generate(self, request, steps, timeout=None):
        return self._batches(steps)

    async def _batches(self, steps):
        steps.append(Step("attempt", 1))
        for one in self.given:
            if isinstance(one, int):
                owed = Owed(Usage(output_tokens=one), PRICE)
                steps[-1].attributes = owed.told()
                steps.append(Step("attempt", 2))
            else:
                self.told += len(one)
                yield one


@pytest.mark.parametrize(("lost", "owed_before"), [((), 0), ((600,), 0), ((600, 900), 0), ((600,), 900)])
async def test_what_attempts_in_vain_have_cost_is_paid_for_beside_the_answer(lost, owed_before):
    _, meter = await metered(5_000, asked=Asked(0, owed_nano_usd=owed_before))
    pieces = [words(10)] * 10
    given = Attempts(*[one for cost in lost for one in (*pieces, cost)], *[words(10)] * 1_000)
    request = GenerateRequest(input=GenerationInput(model="m", messages=()), plan=Plan(candidates=()))
    with pytest.raises(OutOfMoney):
        async for _ in Generation(given, request, None, meter).open([]):
            pass
    left = 5_000 - sum(lost) - owed_before - given.told
    assert 0 <= left <= 2 * LOOK_AHEAD_TOKENS


async def test_a_long_answer_asks_seldom():
    limiter, meter = await metered(10**9)
    assert await written(meter, most=64_000) == 64_000
    assert limiter.asked <= 24
    assert meter.ceiling <= 64_000 + 2 * 4_096


async def test_what_others_hold_is_not_taken():
    limiter, meter = await metered(1_000)
    limits = meter.reservation.limits
    await limiter.reserve("other", "t", limits, Demand(spend=500, most=500), LEASE)
    assert await written(meter) <= 500


async def test_an_answer_within_what_it_may_have_at_most_is_not_ended_for_what_may_come():
    limiter, meter = await metered(100, asked=Asked(0, max_output_tokens=100))
    assert not meter.is_near(words(90))
    assert not meter.is_near(words(10))
    assert limiter.asked == 0


async def test_one_that_does_not_keep_to_that_is_ended():
    _, meter = await metered(100, asked=Asked(0, max_output_tokens=100))
    assert await written(meter) <= 300


async def test_input_is_paid_for_first():
    prices = UnitPrices(input_nano_usd=1_000_000, output_nano_usd=1_000_000)
    _, meter = await metered(1_000, prices=prices, asked=Asked(400))
    assert meter.affordable_tokens == 0
    assert await meter.cover(100)
    assert meter.ceiling == 400 * 1.25 + 100
    assert await written(meter) <= 500
    assert not await meter.cover(600)


async def test_whoever_answers_at_higher_prices_is_counted_at_those():
    _, meter = await metered(1_000, spend=500, most=500)
    dearer = UnitPrices(output_nano_usd=2_000_000)
    meter.is_near((Started(generation_id="", answered_by=Candidate("u", "m"), unit_prices=dearer),))
    assert meter.affordable_tokens == 250
    meter.is_near((Started(generation_id="", answered_by=Candidate("u", "m"), unit_prices=PRICE),))
    assert meter.affordable_tokens == 250


@pytest.mark.parametrize(
    "delta",
    [TextDelta(text="é" * 30), ReasoningDelta(text="x" * 60), ToolCallDelta(index=0, arguments_json_fragment="x" * 60)],
)
async def test_whatever_is_written_counts(delta):
    _, meter = await metered(1_000)
    meter.is_near((delta,))
    assert meter.tokens == 60 // BYTES_PER_TOKEN


async def test_each_delta_is_a_token_at_least():
    _, meter = await metered(1_000)
    meter.is_near([TextDelta(text="a")] * 9)
    assert meter.tokens == 9


async def test_what_costs_nothing_is_never_near():
    limiter, meter = await metered(1_000, prices=UnitPrices())
    assert meter.is_free
    assert not meter.is_near(words(10_000))
    assert limiter.asked == 0


def test_a_reservation_without_a_ceiling_holds_nothing():
    reservation = Reservation("r", "t", (), Demand(), datetime.now(UTC))
    assert Meter(InMemoryLimiter(), reservation, Needs(), PRICE, Asked(0)).ceiling == 0
