"""Estimates: what machines a load takes, what-ifs, ranges, and figures of the bench."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from penstock_suite.domain.estimate.capacity import LEAST_PODS, Case, Table, capacity, carried
from penstock_suite.domain.estimate.costs import CPU_OF_A_HIT, CPU_OF_A_MISS, Cpu, Sizes, UnitCosts, cpu_of_bench
from penstock_suite.domain.estimate.observed import Day, Observed, assumed
from penstock_suite.domain.estimate.projection import DRAWS, Load, Machines, estimate
from penstock_suite.domain.estimate.what_if import AS_IT_WAS, Prices, WhatIf, applied, read_what_if
from penstock_suite.domain.times import moment_of, month_before, month_of, zone_named
from penstock_suite.estimate_settings import EstimateSettings

BENCH = Path(__file__).parents[3] / "bench" / "results" / "overhead_other_shapes.json"


def observed(*days, peak=2.0, length=None):
    return Observed(days=days, length_days=len(days) if length is None else length, peak=peak)


def day(requests=10_000, cost=10e9, **more):
    return Day(requests=requests, cost=cost, **more)


def items(found):
    return {item.name: item for item in found.items}


def test_gpus_are_whole_and_sized_for_the_busiest_hour():
    seen = observed(day(own_seconds=20_000.0), peak=3.0)
    machines = Machines(sizes=Sizes(gpu_streams=10, gpu_utilisation=0.5), costs=UnitCosts(gpu_hour=2))
    found = items(estimate(seen, Load(requests_per_day=864_000, days=1), machines))
    # 10 a second, 3 times as many in the busiest hour, 2 s each: 60 at once, 5 of them to a GPU.
    assert found["GPUs"].amount.value == 12
    assert found["GPUs"].usd.value == 12 * 24 * 2
    found = items(estimate(seen, Load(requests_per_day=864_001, days=1), machines))
    assert found["GPUs"].amount.value == 13


def test_hits_take_less_of_a_machine():
    machines = Machines(cpu=Cpu({"all": 0.1}, {"all": 0.01}), sizes=Sizes(cpu_utilisation=1.0))
    load = Load(requests_per_day=864_000, days=1)
    cold = estimate(observed(day(), peak=1.0), load, machines)
    warm = estimate(observed(day(hits=5_000), peak=1.0), load, machines)
    assert (items(cold)["vCPUs"].amount.value, items(warm)["vCPUs"].amount.value) == (1, 1)
    load = Load(requests_per_day=86_400_000, days=1)
    cold = estimate(observed(day(), peak=1.0), load, machines)
    warm = estimate(observed(day(hits=5_000), peak=1.0), load, machines)
    assert (items(cold)["vCPUs"].amount.value, items(warm)["vCPUs"].amount.value) == (100, 55)


def test_ranges_come_of_how_days_differ_and_are_the_same_each_time():
    even = observed(*[day() for _ in range(20)])
    found = estimate(even, Load(requests_per_day=1000), Machines())
    assert found.total_usd.p10 == pytest.approx(found.total_usd.value) == pytest.approx(found.total_usd.p90)
    mixed = observed(*[day(cost=1e9 if at % 2 else 19e9) for at in range(20)])
    found = estimate(mixed, Load(requests_per_day=1000), Machines())
    models = items(found)["models"].usd
    assert models.value == pytest.approx(30.0)
    assert models.p10 < 0.9 * models.value < 1.1 * models.value < models.p90
    assert found == estimate(mixed, Load(requests_per_day=1000), Machines())
    assert found.draws == DRAWS


@pytest.mark.parametrize("seen", [observed(day(requests=999), day(requests=0)), observed(day(), length=0.5)])
def test_what_is_too_little_is_said_and_has_a_wide_range(seen):
    found = estimate(seen, Load(requests_per_day=1000), Machines())
    assert "too few to tell" in found.warnings[0]
    models = items(found)["models"].usd
    assert models.p10 <= models.value * 0.7
    assert models.p90 >= models.value * 1.3


def test_nothing_is_not_projected():
    with pytest.raises(ValueError, match="no request"):
        estimate(observed(day(requests=0)), Load(requests_per_day=1), Machines())


def test_what_has_no_price_is_told():
    found = estimate(observed(day(unpriced=5), day()), Load(requests_per_day=1), Machines())
    assert found.warnings == ("5 requests have no price, and count as 0",)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ({}, AS_IT_WAS),
        ({"price": "+20%"}, WhatIf(price_factor=1.2)),
        ({"price": "-100%"}, WhatIf(price_factor=0.0)),
        ({"price": "2.5/10", "hit_rate": "0.4"}, WhatIf(prices=Prices(2.5, 10.0), hit_rate=0.4)),
        ({"model": "mini"}, WhatIf(model="mini")),
    ],
)
def test_what_if_is_read(words, expected):
    assert read_what_if(words) == expected


@pytest.mark.parametrize(
    "words",
    [
        {"price": "20%"},
        {"price": "+x%"},
        {"price": "-101%"},
        {"price": "1/-1"},
        {"price": "1e999/1"},
        {"hit_rate": "1.1"},
        {"hit_rate": "nan"},
        {"x": "1"},
    ],
)
def test_what_if_that_means_nothing_is_refused(words):
    with pytest.raises(ValueError, match=r"price|hit_rate|there is no"):
        read_what_if(words)


def test_a_higher_hit_rate_scales_what_misses_cost():
    seen = observed(day(requests=1000, hits=500, cost=5e9, input_tokens=100, own_seconds=50))
    half = applied(WhatIf(hit_rate=0.75), seen).total
    assert (half.hits, half.cost, half.input_tokens, half.own_seconds) == (750, 2.5e9, 50, 25)
    assert half.saved == pytest.approx(7.5e9)
    all_hits = observed(day(requests=10, hits=10, cost=0))
    with pytest.raises(ValueError, match="every request was a hit"):
        applied(WhatIf(hit_rate=0.5), all_hits)
    assert applied(WhatIf(hit_rate=1.0), all_hits).total == all_hits.total


def test_what_is_assumed_costs_what_its_tokens_do():
    seen = assumed(tokens_in=1000, tokens_out=100, hit_rate=0.5, price_in=2, price_out=10, seconds=1, peak=2)
    found = estimate(seen, Load(requests_per_day=1000, days=1), Machines())
    assert items(found)["models"].usd.value == pytest.approx(1000 * 0.5 * 0.003)
    assert (found.is_assumed, found.warnings, found.hit_rate) == (True, (), 0.5)


def test_what_a_request_takes_is_what_the_bench_has_found():
    measured = cpu_of_bench(json.loads(BENCH.read_text()))
    for known, found in ((CPU_OF_A_MISS, measured.miss), (CPU_OF_A_HIT, measured.hit)):
        assert set(known) <= set(found)
        # Runs differ; who doubles the cost of a request changes the constants, too.
        assert sum(known.values()) / 2 < sum(found.values()) < sum(known.values()) * 2
    with pytest.raises(ValueError, match="no 'stream of 100 tokens'"):
        cpu_of_bench({"shapes": []})


def test_the_configuration_says_what_the_command_knows_by_itself():
    said = EstimateSettings()
    for known in (UnitCosts(), Sizes()):
        for name in known.__struct_fields__:
            assert getattr(said, name) == getattr(known, name), name
    assert set(EstimateSettings.model_fields) == {*UnitCosts.__struct_fields__, *Sizes.__struct_fields__}


def test_times_are_those_of_the_zone():
    berlin, now = zone_named("Europe/Berlin"), moment_of("2026-10-31T12:00Z", zone_named("UTC"), None)
    begin, end = month_of("2026-10", berlin)
    assert (begin.isoformat(), end.isoformat()) == ("2026-09-30T22:00:00+00:00", "2026-10-31T23:00:00+00:00")
    assert moment_of("2026-10-31", berlin, now).isoformat() == "2026-10-30T23:00:00+00:00"
    assert (now - moment_of("30d", berlin, now)).days == 30
    assert (month_before("2026-10"), month_before("2026-01")) == ("2026-09", "2025-12")
    for text in ("2026-00", "0000-01", "9999-12", "2026-1"):
        with pytest.raises(ValueError, match="a month such as"):
            month_of(text, berlin)


TABLE = Table(
    machine="m", python="3.11", commit="c", measured_at="2026-12-01", interpreter_ms=30.0, load_average=0.0,
    cases={
        "unary": Case(busy={"gateway": 0.002, "redis": 0.001}, alone={"gateway": 0.003, "redis": 0.001}),
        "stream": Case(busy={"gateway": 0.004, "router": 0.001, "redis": 0.001}, alone={"gateway": 0.008, "router": 0.001}),
        "hit": Case(busy={"gateway": 0.001}, alone={"gateway": 0.002}),
        "embedding": Case(busy={"embedding": 1.0}, alone={"embedding": 1.0}),
    },
    memory_mb={"gateway": 100.0, "router": 50.0},
)  # fmt: skip


def test_pods_follow_from_the_busiest_hour_the_hits_and_the_cpu_of_each_role():
    seen = observed(day(hits=5_000), peak=2.0)
    found = capacity(seen, Load(requests_per_day=86_400_000), Sizes(cpu_utilisation=0.5), TABLE)
    # 1,000 a second, twice as many in the busiest hour, half of them hits, and a core is to be half busy.
    assert (found.per_second, found.hit_rate) == (2000, 0.5)
    gateway, router = found.roles
    assert (gateway.role, router.role) == ("gateway", "router")
    assert (gateway.pods.p10, gateway.pods.value, gateway.pods.p90) == (6, 10, 20)
    assert (gateway.memory_mb.p10, gateway.memory_mb.value, gateway.memory_mb.p90) == (600, 1000, 2000)
    # Where whole answers have none of a role, it has as many as one may go from.
    assert (router.pods.p10, router.pods.value, router.pods.p90) == (2, 2, 2)


def test_hits_that_differ_by_day_widen_the_range():
    days = [day(hits=9_000 if at % 2 else 1_000) for at in range(20)]
    load = Load(requests_per_day=864_000_000)
    even = capacity(observed(*[day(hits=5_000) for _ in range(20)]), load, Sizes(), TABLE).roles[0].pods
    mixed = capacity(observed(*days), load, Sizes(), TABLE).roles[0].pods
    assert even.value == mixed.value
    assert mixed.p10 < even.p10 < even.value < even.p90 < mixed.p90


def test_a_small_load_has_the_least_pods_and_none_is_nothing():
    found = capacity(observed(day()), Load(requests_per_day=10), Sizes(), TABLE)
    assert {each.pods.p90 for each in found.roles} == {LEAST_PODS}
    with pytest.raises(ValueError, match="no request"):
        capacity(observed(day(requests=0)), Load(requests_per_day=1), Sizes(), TABLE)


def test_the_table_that_is_carried_was_measured_of_every_role():
    table = carried()
    assert set(table.cases) == {"unary", "stream", "hit", "embedding"}
    assert {"edge", "gateway", "router", "cache", "inference"} <= set(table.cases["stream"].busy)
    assert table.cases["embedding"].busy["embedding"] > 0
    for case in table.cases.values():
        assert sum(case.busy.values()) < sum(case.alone.values())
    assert sum(table.cases["hit"].busy.values()) < sum(table.cases["stream"].busy.values())
    assert set(table.cases["stream"].busy) <= set(table.memory_mb)
