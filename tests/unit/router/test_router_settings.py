"""What the configuration may say of the router: sound defaults, and errors that say what to do."""

import pytest

from penstock_common.configuration import Configuration, ConfigurationError
from penstock_common.contract.router import Policy
from penstock_router.configured import catalogue_from
from penstock_router.domain.figures import PolicyRules, Wants, Weights
from penstock_router.domain.preference import PreferenceRules
from penstock_router.settings import Settings

MODELS = """
upstreams: [{name: a, models: [{name: m, context_window: 100}]}, {name: b, models: [{name: m, context_window: 100}]}]
models: [{name: fast, candidates: [a/m, b/m]%s}]
"""


def settings(model="", section="{}"):
    return Configuration.parse(f"{MODELS % model}\nrouter: {section}", {}).settings(Settings)


def test_what_is_not_said_is_what_is_documented():
    made = settings()
    assert made.router.rules() == PreferenceRules()
    assert (made.router.listen_every.total_seconds(), made.router.believed_for.total_seconds()) == (0.5, 5)
    assert not made.redis.state


def test_numbers_reach_the_domain():
    section = "{latency_margin: 0.5, explore_ratio: 0, measured_for: 5m, listen_every: 1s, believed_for: 30s, latency_answer_tokens: 7}"
    assert settings(section=section).router.rules() == PreferenceRules(0.5, 0.0, 300.0, 7)


@pytest.mark.parametrize(
    ("section", "key"),
    [
        ("{listen_every: 0s}", "router.listen_every"),
        ("{believed_for: 0s}", "router.believed_for"),
        ("{measured_for: 0s}", "router.measured_for"),
        ("{listen_every: 5s}", "router.believed_for"),
        ("{latency_margin: -1}", "router.latency_margin"),
        ("{explore_ratio: 1.5}", "router.explore_ratio"),
        ("{explore: 1}", "router.explore"),
    ],
)
def test_what_cannot_be_meant_is_refused_by_its_key(section, key):
    with pytest.raises(ConfigurationError, match=f"'{key}"):
        settings(section=section)


@pytest.mark.parametrize("policy", ["balanced", "cost", "latency", "quality"])
def test_a_policy_is_part_of_the_route_and_no_policy_changes_nothing(policy):
    plain, ordered = (catalogue_from(settings(model)).find("fast") for model in ("", f", policy: {policy}"))
    assert (plain.policy, ordered.policy) == (None, policy)
    assert plain.digest != ordered.digest


@pytest.mark.parametrize(
    ("model", "told"),
    [
        (", policy: cheap", "models.0..policy"),
        (", policy: latency, weights: {a/m: 1}", "leave one out"),
    ],
)
def test_a_policy_that_cannot_be_meant_is_refused(model, told):
    with pytest.raises(ConfigurationError, match=told):
        settings(model)


def test_a_policy_needs_candidates():
    with pytest.raises(ConfigurationError, match="names no candidates"):
        Configuration.parse("models: [{name: fast, policy: latency}]", {}).settings(Settings)


def test_what_policies_go_by_reaches_the_domain():
    text = """
upstreams:
  - name: a
    models:
      - {name: m, context_window: 100, quality: 0.9, output_tokens: {code: 900, default: 300},
         price: {input: 1, output: 4, steps: [{above_input_tokens: 50, input: 2}]}}
      - {name: n, context_window: 100, quality: {faq: 0.7}}
models: [{name: fast, candidates: [a/m, a/n]}, {name: auto, policy: cost, routes: {default: fast}}]
tenants: [{name: t, keys: [abc], routing: {policy: quality, cost: 2}}, {name: u}]
router: {balance: {cost: 0, quality: 3}, quality_prior: 0.4, quality_prior_weight: 5, output_tokens: 100}
"""
    made = Configuration.parse(text, {}).settings(Settings)
    fast = catalogue_from(made).find("fast")
    first, second = fast.candidates
    assert fast.is_led_to
    assert (first.quality, second.quality) == ({"default": 0.9}, {"faq": 0.7})
    assert (first.output_tokens, second.output_tokens) == ({"code": 900, "default": 300}, {})
    assert [first.prices_of(tokens).input_nano_usd for tokens in (50, 51)] == [1_000_000_000, 2_000_000_000]
    assert made.policy_rules() == PolicyRules(
        0.4, 5.0, {"default": 100}, Weights(0, 1, 3), {"t": Wants(Policy.QUALITY, Weights(2, 0, 0))}
    )


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("router: {balance: {cost: 0, latency: 0, quality: 0}}", "'router.balance.*nothing counts"),
        ("router: {balance: {cost: -1}}", "router.balance.cost"),
        ("router: {balance: {cost: .nan}}", "router.balance.cost"),
        ("tenants: [{name: t, routing: {cost: 0}}]", "tenants.0..routing.*nothing counts"),
        ("tenants: [{name: t, routing: {policy: best}}]", "tenants.0..routing.policy"),
        ("router: {quality_prior: 1.1}", "router.quality_prior"),
        ("router: {output_tokens: 0}", "router.output_tokens"),
        ("upstreams: [{name: a, models: [{name: m, context_window: 1, quality: 2}]}]", "models.0..quality"),
    ],
)
def test_what_no_policy_can_go_by_is_refused_by_its_key(text, told):
    with pytest.raises(ConfigurationError, match=told):
        Configuration.parse(text, {}).settings(Settings)
