"""What places are judged by, each alone: failures of late, quotas, retry budgets, latencies."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock_inference.domain.health.evidence import Evidence, Verdict
from penstock_inference.domain.health.latency import SLOW_SHARE, Latency, size_class
from penstock_inference.domain.health.quota import QuotaGroup
from penstock_inference.domain.health.retry_budget import RetryBudget
from penstock_inference.domain.health.rules import HealthRules

RULES = HealthRules()


def evidence(*events: str, every_seconds: float = 0.1) -> tuple[Evidence, float]:
    """Return the evidence of these events, and when the last was: ``ok``, or request and tenant of a failure."""
    made, now = Evidence(RULES), 0.0
    for event in events:
        now += every_seconds
        if event == "ok":
            made.answered(now)
        else:
            made.failed(now, *event.split())  # pyright: ignore[reportArgumentType] - two words
    return made, now


@pytest.mark.parametrize(
    ("events", "others_ask", "verdict"),
    [
        (["1 a", "2 a", "3 a", "4 a"], False, Verdict.WELL),
        (["1 a", "2 a", "3 a", "4 a", "5 a"], False, Verdict.FAILING),
        (["1 a", "2 a", "ok", "3 a", "4 a", "5 a"], False, Verdict.WELL),
        (["1 a"] * 5, False, Verdict.DOUBTFUL),
        (["1 a", "2 a", "3 a", "4 a", "5 a"], True, Verdict.DOUBTFUL),
        (["1 a", "2 a", "3 a", "4 a", "5 b"], True, Verdict.FAILING),
        (["1 a", "ok"] * 9, False, Verdict.WELL),
        ([f"{number} {'ab'[number % 2]}" if number % 2 else "ok" for number in range(20)], False, Verdict.FAILING),
        (["1 a", "ok"] * 20, False, Verdict.DOUBTFUL),
    ],
    ids=[
        "four", "five in a row", "an answer between", "one request", "one tenant of several", "two tenants",
        "half of eighteen", "half of twenty", "half of forty, all one request's",
    ],
)  # fmt: skip
def test_who_fails_and_who_is_in_doubt(events: list[str], others_ask: bool, verdict: Verdict) -> None:
    made, now = evidence(*events)
    assert made.verdict(now, others_ask) is verdict


def test_what_is_older_than_the_window_counts_no_more() -> None:
    made, now = evidence(*["1 a", "2 b", "3 a", "ok"] * 5)
    assert made.verdict(now, other_tenant_asks=True) is Verdict.FAILING
    later = now + RULES.window_seconds + RULES.window_seconds / 10
    assert made.verdict(later, other_tenant_asks=True) is Verdict.WELL


TOLD = st.one_of(st.none(), st.floats(-10, 10_000))


@settings(deadline=None)
@given(st.lists(st.tuples(st.floats(0, 100), TOLD), min_size=1))
def test_a_cool_down_only_lengthens_and_is_bounded(refusals: list[tuple[float, float | None]]) -> None:
    group, now = QuotaGroup("g", RULES), 0.0
    for seconds, told in refusals:
        now += seconds
        before = group.until
        group.refused(now, now, told)
        assert group.until >= before
        assert group.is_cooling(now)
        assert group.until <= now + RULES.longest_cool_down_seconds or group.until == before
        if told is not None and 0.001 <= told <= RULES.longest_cool_down_seconds:
            assert group.until >= now + told


def test_refusals_that_say_nothing_double_up_to_a_minute_and_one_storm_is_one() -> None:
    group, now, cooled = QuotaGroup("g", RULES), 0.0, list[float]()
    for _ in range(8):
        for _ in range(200):
            # All of them had been asked before the first was refused.
            group.refused(now + 0.01, now, None)
        cooled.append(round(group.until - now - 0.01, 3))
        now = group.until
    assert cooled == [1, 2, 4, 8, 16, 32, 60, 60]
    group.served(now + 1)
    group.refused(now + 2, now + 1.5, None)
    assert group.until == now + 3


def test_whoever_listens_hears_of_every_lengthening() -> None:
    group, heard = QuotaGroup("g", RULES), list[float]()

    class Listening:
        def troubled(self) -> None:
            heard.append(group.until)

    listening = Listening()
    group.listeners.add(listening)
    for seconds in (5, 3, 9):
        group.cool(0, seconds)
    assert heard == [5, 9]
    # Nobody is kept for it alone.
    del listening
    group.cool(0, 10)
    assert heard == [5, 9]


def test_the_tokens_end_retries_when_most_requests_fail_and_answers_bring_them_back() -> None:
    budget = RetryBudget(RULES)
    taken = 0
    for _ in range(20):
        budget.failed()
        taken += budget.take()
        budget.retries = 0
    assert (taken, budget.refused) == (4, 16)
    for _ in range(50):
        budget.answered()
    assert not budget.take()
    budget.answered()
    assert budget.take()


@pytest.mark.parametrize(("in_flight", "most"), [(0, 3), (30, 3), (200, 20)])
def test_so_many_retries_at_once(in_flight: int, most: int) -> None:
    budget = RetryBudget(RULES)
    budget.in_flight = in_flight
    assert [budget.take() for _ in range(most + 1)] == [True] * most + [False]
    budget.give_back()
    assert budget.take()


@settings(deadline=None)
@given(st.lists(st.sampled_from(["fail", "answer", "take", "back"])))
def test_a_budget_is_never_overdrawn(events: list[str]) -> None:
    budget = RetryBudget(RULES)
    for event in events:
        if event == "fail":
            budget.failed()
        elif event == "answer":
            budget.answered()
        elif event == "take":
            budget.take()
        elif budget.retries:
            budget.give_back()
        assert 0 <= budget.tokens <= budget.full
        assert 0 <= budget.retries <= RULES.retries_in_flight


def learned(seconds: float = 1.0, size: int = 3, samples: int = 100) -> Latency:
    """Return a latency that usually is so long, give or take a tenth."""
    latency = Latency(RULES)
    for number in range(samples):
        latency.observe(number, seconds * (1 + 0.1 * (number % 3 - 1)), size)
    return latency


def test_tenfold_is_slow_within_six_answers_and_a_tail_is_not() -> None:
    latency = learned()
    for number in range(5):
        latency.observe(101 + number, 10, 3)
        assert latency.slow_share <= SLOW_SHARE
    latency.observe(107, 10, 3)
    assert latency.slow_share > SLOW_SHARE
    tail = learned()
    for number in range(1000):
        tail.observe(101 + number, 20 if number % 20 == 0 else 1, 3)
        assert tail.slow_share <= SLOW_SHARE


def test_a_shift_to_longer_prompts_is_not_slowness() -> None:
    latency, long = learned(), size_class(50_000, 0, whole=False)
    for number in range(200):
        latency.observe(101 + number, 30, long)
        assert latency.slow_share == 0
    assert latency.slow_after(size_class(50_000, 0, whole=False), whole=False) > 30


@pytest.mark.parametrize("whole", [True, False], ids=["whole", "streamed"])
def test_of_a_class_that_is_not_known_nothing_is_late(whole: bool) -> None:
    latency = learned(samples=19)
    assert latency.slow_after(size_class(50, 0, whole=whole), whole=whole) == math.inf


def test_a_whole_answer_is_late_when_the_longest_of_its_prompts_would_be() -> None:
    latency = Latency(RULES)
    for number in range(40):
        latency.observe(number, 1, size_class(50, 10, whole=True))
        latency.observe(number, 20, size_class(50, 1000, whole=True))
    assert latency.slow_after(size_class(50, 0, whole=True), whole=True) == pytest.approx(60)


def test_nobody_is_slow_below_the_least() -> None:
    latency = learned(0.01)
    for number in range(20):
        latency.observe(101 + number, 0.19, 3)
    assert latency.slow_share == 0


def test_the_peak_rises_at_once_and_falls_with_time() -> None:
    latency = Latency(RULES)
    latency.observe(0, 1, 0)
    latency.observe(1, 5, 0)
    assert latency.peak == 5
    latency.observe(11, 1, 0)
    assert latency.peak == pytest.approx(3)
    assert latency.decayed_peak(21) == pytest.approx(1.5)


def test_a_long_answer_that_began_before_others_lets_nothing_be_forgotten_backwards() -> None:
    latency = learned(1.0)
    latency.observe(700, 2, 3)
    latency.observe(100, 1, 3)
    assert (latency.peak, latency.peak_at, latency.fine_at) == (2, 700, 700)
    # What is no less than the peak is one, whenever it was.
    latency.observe(100, 2.5, 3)
    assert (latency.peak, latency.peak_at) == (2.5, 700)


def test_a_probe_is_slow_by_what_the_shortest_take() -> None:
    assert not Latency(RULES).is_probe_slow(100)
    latency = learned(1.0, size=2)
    for number in range(100):
        latency.observe(number, 30, 8)
    assert latency.is_probe_slow(10)
    assert not latency.is_probe_slow(2)


def test_answers_that_were_under_way_when_it_got_slow_do_not_make_that_usual():
    latency = Latency(RULES)
    size = size_class(7, 0, whole=False)
    for number in range(100):
        latency.observe(number, 0.2, size)
    for number in range(200):
        latency.observe(100 + number, 2.0, size)
    assert latency.slow_share > SLOW_SHARE
    assert latency.is_probe_slow(2.0)
    assert not latency.is_probe_slow(0.2)
