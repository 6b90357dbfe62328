"""Whom a policy asks first, by which figures, and what the answer is told of them."""

import random

import pytest

from penstock_common.contract.router import Policy, Requirements, RouteRequest, Subject
from penstock_common.llm.types import NANO_USD_PER_USD, Candidate, UnitPrices
from penstock_common.upstreams.state import Condition, UpstreamState
from penstock_router.domain.catalogue import Catalogue, PublicModel, UpstreamModel, digest_of
from penstock_router.domain.choosing import Chooser
from penstock_router.domain.classification.reading import Reading
from penstock_router.domain.figures import PolicyRules, Wants, Weights, usd
from penstock_router.domain.forks import Fork
from penstock_router.domain.policies import useful_by_little, useful_by_much
from penstock_router.domain.routing import Router

A, B, C = (Candidate(upstream=name, model="m") for name in "abc")
UNKNOWN = UnitPrices(is_unknown=True)
ONE_USD = NANO_USD_PER_USD


def entry(name, price_in=None, price_out=0.0, **more):
    prices = UNKNOWN
    if price_in is not None:
        prices = UnitPrices(input_nano_usd=int(price_in * ONE_USD), output_nano_usd=int(price_out * ONE_USD))
    return UpstreamModel(name, "eu", 10_000_000, frozenset({"chat"}), prices, **more)


def router(*entries, policy=None, rules=None, weights=None, is_led_to=True):
    digest = digest_of(entries, weights or {}, policy)
    model = PublicModel("smart", entries, weights or {}, digest, policy=policy, is_led_to=is_led_to)
    return Router(Catalogue([model]), random.Random(1), None, rules)


def asked(policy=None, least_tokens=500, **more):
    return RouteRequest("smart", Requirements(min_input_tokens=least_tokens), policy=policy, **more)


def order(made, request, task=""):
    return "".join(candidate.upstream for candidate in made.plan(request, task).candidates)


def hear(made, **latencies):
    states = {}
    for name, seconds in latencies.items():
        candidate = Candidate(upstream=name, model="m")
        states[candidate] = UpstreamState(candidate=candidate, latency_seconds=seconds, measured_seconds=1.0)
    made.hear(states)


def test_the_cheapest_comes_first_by_what_input_and_likely_output_cost_and_the_plan_says_by_how_much():
    made = router(entry(A, 1, 10), entry(B, 3, 3), entry(C))
    plan = made.plan(asked(Policy.COST))
    # A thousand tokens of input, and four hundred that are likely to be answered.
    assert plan.reason == "smart: b/m first by cost (b/m 0.0042 USD, a/m 0.005 USD, c/m price unknown)"
    assert str(plan.decision) == "smart; by=policy; policy=cost; at=0.0042 USD"
    assert [prices.is_unknown for prices in plan.prices] == [False, False, True]
    # Of a short answer the input is what costs.
    assert order(made, asked(Policy.COST, output_tokens=10)) == "abc"


def test_answers_that_were_seen_say_how_long_they_are_where_the_configuration_says_nothing():
    talks, brief = entry(A, 1, 1), entry(B, 1, 2)
    made = router(talks, brief)
    seen = {A: 9000.0, B: 50.0}
    made.hear({name: UpstreamState(candidate=name, output_tokens=tokens) for name, tokens in seen.items()})
    assert order(made, asked(Policy.COST, least_tokens=0)) == "ba"
    made = router(entry(A, 1, 1, output_tokens={"default": 40}), brief)
    made.hear({name: UpstreamState(candidate=name, output_tokens=tokens) for name, tokens in seen.items()})
    assert order(made, asked(Policy.COST, least_tokens=0)) == "ab"


def test_input_that_an_upstream_has_cached_costs_what_cached_input_does():
    remembers = UnitPrices(3 * ONE_USD, cached_input_nano_usd=3 * ONE_USD // 10)
    made = router(UpstreamModel(A, "eu", 10_000_000, frozenset({"chat"}), remembers), entry(B, 2, 0))
    assert order(made, asked(Policy.COST)) == "ba"
    made.hear({A: UpstreamState(candidate=A, cached_share=0.9)})
    plan = made.plan(asked(Policy.COST))
    # A thousand tokens, nine hundred of them for a tenth.
    assert plan.reason == "smart: a/m first by cost (a/m 0.00057 USD, b/m 0.002 USD)"


def test_balanced_counts_the_time_of_an_answer_where_paces_are_known():
    made = router(entry(A), entry(B))
    made.hear(
        {
            A: UpstreamState(candidate=A, latency_seconds=0.1, measured_seconds=1.0, token_seconds=0.05),
            B: UpstreamState(candidate=B, latency_seconds=0.5, measured_seconds=1.0, token_seconds=0.01),
        }
    )
    plan = made.plan(asked(Policy.BALANCED))
    assert plan.candidates[0] == B
    assert "1.5 s to 100 tokens" in plan.reason


def test_what_nobody_knows_the_price_of_is_not_free_and_what_is_free_comes_first():
    assert order(router(entry(A), entry(B, 9, 9), entry(C, 0, 0)), asked(Policy.COST)) == "cba"
    nothing = router(entry(A), entry(B))
    assert nothing.plan(asked(Policy.COST)).reason == "smart: a/m first by order, as no price is known"


def test_who_answers_at_length_costs_accordingly_by_task():
    talks = entry(A, 1, 1, output_tokens={"code": 9000, "default": 100})
    made = router(talks, entry(B, 1, 2))
    assert order(made, asked(Policy.COST, least_tokens=0)) == "ab"
    assert order(made, asked(Policy.COST, least_tokens=0), "code") == "ba"
    assert order(made, asked(Policy.COST, least_tokens=0, output_tokens=50), "code") == "ab"


def test_a_long_request_is_priced_by_its_step():
    dear = UnitPrices(input_nano_usd=9 * ONE_USD)
    made = router(entry(A, 1, 0, price_steps=((1000, dear),)), entry(B, 2, 0))
    assert order(made, asked(Policy.COST, least_tokens=500)) == "ab"
    assert order(made, asked(Policy.COST, least_tokens=501)) == "ba"


def test_the_best_comes_first_by_task_and_of_whom_nothing_is_known_stands_at_the_prior():
    made = router(entry(A, quality={"faq": 0.4, "default": 0.6}), entry(B), entry(C, quality={"default": 0.9}))
    assert order(made, asked(Policy.QUALITY)) == "cab"
    assert order(made, asked(Policy.QUALITY), "faq") == "cba"
    reason = made.plan(asked(Policy.QUALITY), "faq").reason
    assert reason.endswith("by quality (c/m quality 0.90, b/m quality 0.50 assumed, a/m quality 0.40)")


def test_what_was_heard_counts_by_its_weight_beside_what_was_said():
    made = router(entry(A, quality={"default": 0.8}), entry(B))
    heard = {(B, "code"): (1.0, 10.0)}
    made.hear_quality(heard)
    # (0.5 * 20 + 1 * 10) / 30 is not enough yet.
    assert order(made, asked(Policy.QUALITY), "code") == "ab"
    made.hear_quality({(B, "code"): (1.0, 60.0)})
    assert order(made, asked(Policy.QUALITY), "code") == "ba"
    assert "b/m quality 0.88, a/m" in made.plan(asked(Policy.QUALITY), "code").reason
    assert order(made, asked(Policy.QUALITY), "faq") == "ab"
    made.hear_quality({(B, "general"): (1.0, 1000.0), (A, "general"): (0.0, 0.0)})
    assert order(made, asked(Policy.QUALITY)) == "ba"
    made.hear_quality({})
    assert order(made, asked(Policy.QUALITY), "code") == "ab"


def test_equals_keep_the_order_of_the_configuration():
    made = router(entry(B, 1, 1), entry(A, 1, 1), entry(C, 1, 1))
    assert {order(made, asked(policy)) for policy in Policy} == {"bac"}


def test_balanced_weighs_the_three_by_the_tenants_weights():
    rules = PolicyRules(tenants={"hasty": Wants(weights=Weights(0, 1, 0)), "poor": Wants(weights=Weights(1, 0, 0))})
    cheap, fast, good = entry(A, 1, 1), entry(B, 9, 9), entry(C, 10, 10, quality={"default": 1.0})
    made = router(cheap, fast, good, rules=rules)
    hear(made, a=2.0, b=0.2, c=1.0)
    assert order(made, asked(Policy.BALANCED, tenant="poor")) == "abc"
    assert order(made, asked(Policy.BALANCED, tenant="hasty")) == "bca"
    # Cost 0, wait 0.56 and quality 1, each a third.
    plan = made.plan(asked(Policy.BALANCED))
    assert order(made, asked(Policy.BALANCED))[0] == "c"
    assert "c/m utility 0.52: 0.014 USD, 1 s, quality 1.00" in plan.reason
    assert plan.decision.figure == "utility 0.52"


def test_balanced_leaves_out_nobody_of_whom_nothing_is_known_and_prefers_nobody_for_it():
    made = router(entry(A), entry(B))
    assert order(made, asked(Policy.BALANCED)) == "ab"
    assert (
        "a/m utility 0.50: price unknown, latency unknown, quality 0.50 assumed"
        in made.plan(asked(Policy.BALANCED)).reason
    )
    known = router(entry(A), entry(B, 5, 5))
    assert order(known, asked(Policy.BALANCED)) == "ba"


def test_who_is_not_well_is_not_fast_under_balanced():
    made = router(entry(A, 1, 1), entry(B, 1, 1))
    slow = UpstreamState(candidate=A, condition=Condition.SLOW, latency_seconds=0.1, measured_seconds=1.0)
    made.hear({A: slow})
    assert order(made, asked(Policy.BALANCED)) == "ba"


@pytest.mark.parametrize("useful", [useful_by_little, useful_by_much])
@pytest.mark.parametrize("values", [[], [None], [0.0], [0.0, 0.0], [5.0], [5.0, 5.0, None], [0.0, 1e-300, None]])
def test_nothing_is_divided_by_nothing(useful, values):
    assert all(0 <= value <= 1 for value in useful(values))
    assert len(useful(values)) == len(values)


def test_what_differs_by_a_hair_counts_for_a_hair():
    assert useful_by_little([1.0, 1.01, 30.0]) == pytest.approx([1, 1, 0], abs=0.001)
    assert min(useful_by_little([1.0, 1.01])) > 0.9
    assert useful_by_much([0.5, 1.0, None]) == [0.0, 1.0, 0.5]


def test_the_request_says_else_its_tenant_else_the_model():
    rules = PolicyRules(tenants={"t": Wants(Policy.QUALITY)})
    made = router(
        entry(A, 9, 9), entry(B, 1, 1), entry(C, 5, 5, quality={"default": 1.0}), policy=Policy.COST, rules=rules
    )
    assert order(made, asked()) == "bca"
    assert order(made, asked(tenant="t")) == "cab"
    assert order(made, asked(tenant="other")) == "bca"
    hear(made, a=0.1, b=1.0, c=2.0)
    assert order(made, asked(Policy.LATENCY, tenant="t")) == "abc"


def test_plans_by_latency_are_remembered_apart_from_those_of_the_models_own_way():
    made = router(entry(A, 1, 1), entry(B, 1, 1))
    hear(made, a=2.0, b=1.0)
    plain, fast = made.plan(asked()), made.plan(asked(Policy.LATENCY))
    assert (plain.decision, fast.decision.figure) == (None, "1 s")
    assert made.plan(asked()) is plain
    assert made.plan(asked(Policy.LATENCY)) is fast
    assert order(made, asked(Policy.COST)) == "ab"
    assert [plan.candidates[0] for plan in (plain, fast)] == [A, B]
    # Two digits: what changes behind them changes no plan.
    hear(made, a=2.001, b=1.001)
    assert made.plan(asked(Policy.LATENCY)) is fast


def test_who_is_to_be_found_out_about_is_so_by_requests_that_want_to_be_fast_alone():
    made = router(entry(A, 1, 1), entry(B, 1, 1))
    hear(made, a=1.0)
    assert {order(made, asked(policy)) for policy in (None, Policy.COST) for _ in range(300)} == {"ab"}
    assert {order(made, asked(Policy.LATENCY)) for _ in range(300)} == {"ab", "ba"}


def test_answers_are_kept_apart_by_policy():
    made = router(entry(A, 1, 1), entry(B, 1, 1), policy=Policy.COST)
    digests = {made.plan(asked(policy)).route_digest for policy in (None, *Policy)}
    assert len(digests) == len(Policy)
    assert made.plan(asked()).route_digest == made.plan(asked(Policy.COST)).route_digest


def test_a_policy_comes_before_weights_which_are_for_requests_without_one():
    made = router(entry(A, 9, 9), entry(B, 1, 1), weights={A: 1})
    assert order(made, asked()) == "ab"
    assert order(made, asked(Policy.COST)) == "ba"


class Sees:
    def classify(self, subject, vector, *, has_tools, has_images):
        return Reading("code", "high", 0.9, 0.8, False, False, "v1")


async def test_a_fork_has_its_policy_applied_to_whom_it_chooses_with_the_task_that_was_seen():
    made = router(entry(A, quality={"code": 0.3, "default": 0.9}), entry(B))
    fork = Fork("auto", (), {"code": "smart"}, Policy.QUALITY)
    chooser = Chooser({"auto": fork}, Sees(), None)
    request = RouteRequest("auto", Requirements(), subject=Subject("Write a parser."), tenant="acme")
    plan = await chooser.plan(request, made)
    assert plan.candidates == (B, A)
    assert str(plan.decision).endswith("by=routes.code; policy=quality; at=quality 0.50 assumed")
    assert plan.reason.startswith("auto: smart by routes.code")
    assert plan.reason.endswith("smart: b/m first by quality (b/m quality 0.50 assumed, a/m quality 0.30)")
    free = RouteRequest("auto", Requirements(), subject=Subject("Write a parser."), tenant="acme", policy=Policy.COST)
    assert (await chooser.plan(free, made)).decision.policy == "cost"


def test_of_many_candidates_the_first_are_told():
    entries = [entry(Candidate(upstream=f"u{at}", model="m"), at, at) for at in range(20)]
    reason = router(*entries).plan(asked(Policy.COST)).reason
    assert "u7/m" in reason
    assert "u8/m" not in reason
    assert reason.endswith(", 12 more)")


@pytest.mark.parametrize(
    ("nano_usd", "told"),
    [(0, "0"), (1, "0.000000001"), (4_249_999, "0.0042"), (1_550_000_000, "1.6"), (123e9, "120")],
)
def test_dollars_have_two_digits_and_no_exponent(nano_usd, told):
    assert usd(nano_usd) == told
