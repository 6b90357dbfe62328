"""What the router makes of what it hears: who is left out, why, and that every plan is of the latest word."""

import random

import pytest

from penstock_common.contract.router import Policy, Requirements, RouteRequest
from penstock_common.llm.types import Candidate
from penstock_common.upstreams.state import Condition, UpstreamState
from penstock_router.domain.catalogue import Catalogue, PublicModel, UpstreamModel
from penstock_router.domain.preference import PreferenceRules
from penstock_router.domain.routing import Router

A, B, C = (Candidate(upstream=name, model="m") for name in "abc")
OUT = [Condition.EJECTED, Condition.BY_HAND]


def upstream_model(name, window=100, capabilities=("chat",), provider="openai", tiers=()):
    region = "eu" if name == A else "us"
    return UpstreamModel(
        name, region, window, frozenset(capabilities), provider=provider, service_tiers=frozenset(tiers)
    )


def router(*entries, weights=None, policy=None, rules=None, seed=1):
    entries = entries or tuple(map(upstream_model, (A, B, C)))
    model = PublicModel("smart", entries, weights or {}, policy=policy)
    return Router(Catalogue([model]), random.Random(seed), rules)


def state(name, condition=Condition.OK, since=None, reason="", latency=None, measured=None):
    return UpstreamState(
        candidate=name, condition=condition, since_seconds=since, reason=reason, latency_seconds=latency,
        measured_seconds=measured,
    )  # fmt: skip


def hear(made, *states):
    made.hear({one.candidate: one for one in states})


def request(tokens=1, regions=()):
    return RouteRequest(model="smart", requirements=Requirements(min_input_tokens=tokens), allowed_regions=regions)


def names(made, **asked):
    return list(made.plan(request(**asked)).candidates)


def test_who_is_ejected_is_left_out_and_the_reason_says_why_and_since_when():
    made = router()
    hear(made, state(B, Condition.EJECTED, 12.2, "connect"), state(C, Condition.BY_HAND, 300.0, "maintenance"))
    plan = made.plan(request())
    assert list(plan.candidates) == [A]
    assert len(plan.prices) == 1
    assert plan.reason == (
        "smart: a/m first by order; left out b/m (ejected: connect, 12 s ago), c/m (by hand: maintenance, 300 s ago)"
    )


@pytest.mark.parametrize("condition", [Condition.OK, Condition.SLOW, Condition.COOLING])
def test_whoever_can_be_asked_keeps_its_place(condition):
    made = router()
    hear(made, state(A, condition, 1.0))
    assert names(made) == [A, B, C]
    assert made.plan(request()).reason == "smart: a/m first by order"


@pytest.mark.parametrize("left", [*OUT, Condition.COOLING])
def test_where_nobody_else_can_be_asked_at_once_all_stay_in_their_order(left):
    made = router()
    hear(made, state(A, Condition.EJECTED, 9.0), state(B, Condition.EJECTED, 9.0), state(C, left, 1.0))
    assert names(made) == [A, B, C]
    assert "left out" not in made.plan(request()).reason


def test_only_who_fits_the_request_counts_as_somebody_else():
    made = router()
    hear(made, state(A, Condition.EJECTED, 9.0))
    assert names(made) == [B, C]
    # Nobody else is in that region.
    assert names(made, regions=("eu",)) == [A]


@pytest.mark.parametrize(
    "more",
    [{"window": 1000}, {"capabilities": ("chat", "tools")}, {"provider": "triton"}, {"tiers": ("flex",)}],
    ids=lambda more: next(iter(more)),
)
def test_who_is_out_comes_last_where_nobody_who_is_left_is_as_able(more):
    """Or a request that only it can answer would be told that nobody ever can."""
    made = router(upstream_model(A, **more), upstream_model(B), upstream_model(C))
    hear(made, state(A, Condition.EJECTED, 12.0, "connect"))
    plan = made.plan(request())
    assert list(plan.candidates) == [B, C, A]
    assert len(plan.prices) == 3
    assert plan.reason == "smart: b/m first by order, last a/m (ejected: connect, 12 s ago)"
    hear(made, state(A, Condition.EJECTED, 12.0, "connect"), state(B, Condition.BY_HAND, 1.0))
    assert names(made) == [C, A]
    weighted = router(upstream_model(A, **more), upstream_model(B), weights={A: 1, B: 1})
    hear(weighted, state(A, Condition.EJECTED, 12.0))
    assert {tuple(names(weighted)) for _ in range(20)} == {(B, A)}


def test_who_can_do_more_stands_in():
    made = router(upstream_model(A), upstream_model(B, window=200, capabilities=("chat", "tools")))
    hear(made, state(A, Condition.EJECTED, 12.0))
    assert names(made) == [B]


def test_a_single_candidate_is_never_left_out():
    made = router(upstream_model(A))
    hear(made, state(A, Condition.EJECTED, 9.0))
    assert names(made) == [A]


def test_every_word_counts_at_once_although_plans_are_remembered():
    made = router()
    remembered = made.plan(request())
    assert made.plan(request()) is remembered
    hear(made, state(A, Condition.EJECTED, 1.0))
    assert names(made) == [B, C]
    hear(made, state(A, Condition.EJECTED, 2.0))
    assert "2 s ago" in made.plan(request()).reason
    hear(made, state(A, Condition.OK, 0.5))
    assert made.plan(request()) == remembered
    hear(made, state(A, Condition.EJECTED, 1.0))
    assert names(made) == [B, C]
    made.hear({})
    assert made.plan(request()) == remembered


def test_plans_stay_remembered_while_nothing_changes_that_they_depend_on():
    made = router()
    remembered = made.plan(request())
    hear(made, state(A, latency=0.3, measured=1.0), state(B, Condition.SLOW, 4.0, latency=0.5))
    hear(made, state(A, latency=0.4, measured=2.0), state(B, Condition.OK, 1.0))
    assert made.plan(request()) is remembered


def test_a_candidate_that_no_model_has_is_nobodys_concern():
    made = router()
    hear(made, state(Candidate(upstream="z", model="m"), Condition.EJECTED, 1.0))
    assert names(made) == [A, B, C]


def test_weights_are_shared_out_among_those_who_are_left():
    made = router(weights={A: 1, B: 1})
    hear(made, state(A, Condition.EJECTED, 1.0))
    assert {tuple(names(made)) for _ in range(20)} == {(B, C)}
    hear(made, state(A, Condition.EJECTED, 1.0), state(B, Condition.EJECTED, 1.0))
    assert names(made) == [C]


def test_who_wants_to_be_fast_gets_the_fastest_first_and_others_the_configurations_order():
    states = [state(A, latency=0.9, measured=1.0), state(B, latency=0.3, measured=1.0)]
    fast, plain = router(policy=Policy.LATENCY), router()
    for made in (fast, plain):
        hear(made, *states, state(C, latency=0.5, measured=1.0))
    assert names(fast) == [B, C, A]
    assert fast.plan(request()).reason == "smart: b/m first by latency (b/m 0.3 s, c/m 0.5 s, a/m 0.9 s)"
    assert names(plain) == [A, B, C]
    assert names(fast, regions=("eu",)) == [A]
    fast.hear({})
    assert names(fast) == [A, B, C]
    assert fast.plan(request()).reason == "smart: a/m first by order"


def test_where_no_latency_is_known_the_reason_claims_none():
    made = router(policy=Policy.LATENCY, rules=PreferenceRules(explore_ratio=0.0))
    hear(made, state(B, Condition.SLOW, 3.0))
    assert names(made) == [A, C, B]
    assert made.plan(request()).reason == "smart: a/m first by order"


def test_an_order_by_latency_is_remembered_and_forgotten_when_it_changes():
    made = router(policy=Policy.LATENCY)
    known = [state(name, latency=seconds, measured=1.0) for name, seconds in ((A, 0.9), (B, 0.3), (C, 0.5))]
    hear(made, *known)
    remembered = made.plan(request())
    hear(made, *known)
    assert made.plan(request()) is remembered
    hear(made, known[0], state(B, latency=2.0, measured=1.0), known[2])
    assert names(made) == [C, A, B]


def test_who_is_fast_and_out_is_left_out():
    made = router(policy=Policy.LATENCY)
    hear(made, state(A, latency=0.9, measured=1.0), state(B, Condition.EJECTED, 5.0, latency=0.1, measured=9.0))
    assert names(made) == [A, C]


def test_whose_latency_is_not_known_gets_a_small_share_of_the_requests():
    made = router(policy=Policy.LATENCY, rules=PreferenceRules(explore_ratio=0.1))
    known = [state(A, latency=0.9, measured=1.0), state(B, latency=2.0, measured=1.0)]
    hear(made, *known)
    plans = [made.plan(request()) for _ in range(2000)]
    tried = [plan for plan in plans if plan.candidates == (C, A, B)]
    assert 120 < len(tried) < 280
    assert {plan.candidates for plan in plans} == {(A, B, C), (C, A, B)}
    assert {plan.reason for plan in tried} == {"smart: c/m first to learn its latency"}
    # Where it does not fit, nobody is tried.
    assert {tuple(names(made, regions=("eu",))) for _ in range(100)} == {(A,)}
    hear(made, *known, state(C, latency=3.0, measured=0.1))
    assert {made.plan(request()).candidates for _ in range(200)} == {(A, B, C)}


def test_nobody_is_tried_where_nothing_is_heard_or_the_share_is_none():
    made = router(policy=Policy.LATENCY, rules=PreferenceRules(explore_ratio=1.0))
    assert {tuple(names(made)) for _ in range(20)} == {(A, B, C)}
    made = router(policy=Policy.LATENCY, rules=PreferenceRules(explore_ratio=0.0))
    hear(made, state(A, latency=0.9, measured=1.0))
    assert {tuple(names(made)) for _ in range(200)} == {(A, B, C)}
