"""What the configuration may say of the router: sound defaults, and errors that say what to do."""

import pytest

from penstock_common.configuration import Configuration, ConfigurationError
from penstock_router.app import catalogue_from
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
    section = "{latency_margin: 0.5, explore_ratio: 0, measured_for: 5m, listen_every: 1s, believed_for: 30s}"
    assert settings(section=section).router.rules() == PreferenceRules(0.5, 0.0, 300.0)


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


def test_a_policy_is_part_of_the_route_and_no_policy_changes_nothing():
    plain, fast = (catalogue_from(settings(model)).find("fast") for model in ("", ", policy: latency"))
    assert (plain.prefers_fast, fast.prefers_fast) == (False, True)
    assert plain.digest != fast.digest


@pytest.mark.parametrize(
    ("model", "told"),
    [
        (", policy: cost", "say latency"),
        (", policy: latency, weights: {a/m: 1}", "leave one out"),
    ],
)
def test_what_this_version_does_not_have_is_refused_with_what_to_do(model, told):
    with pytest.raises(ConfigurationError, match=told):
        settings(model)


def test_a_policy_needs_candidates():
    with pytest.raises(ConfigurationError, match="names no candidates"):
        Configuration.parse("models: [{name: fast, policy: latency}]", {}).settings(Settings)
