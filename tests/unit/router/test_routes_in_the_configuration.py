"""What the configuration may say of routes: every mistake is told with its place and a remedy."""

import re

import pytest

from penstock_common.configuration import Configuration, ConfigurationError
from penstock_router.settings import Settings

TEXT = """
upstreams: [{name: a, models: [{name: m, context_window: 100}]}]
models:
  - {name: fast, candidates: [a/m]}
  - {name: large, candidates: [a/m]}
  - {name: other, routes: {default: fast}}
  - {name: auto, %s}
"""


def auto(said):
    return Configuration.parse(TEXT % said, {}).settings(Settings).models[-1]


def test_routes_are_names_or_names_by_level():
    routes = auto("routes: {faq: fast, code: {low: fast, high: large}, default: large}").routes
    assert routes["faq"] == "fast"
    assert routes["code"].by_level() == {"low": "fast", "high": "large"}


@pytest.mark.parametrize(
    ("said", "place", "told"),
    [
        ("routes: {faq: fats}", "models[3].routes.faq", "is no public model.*'fast'"),
        ("routes: {cod: fast}", "models[3].routes.cod", "no prompt is ever seen.*'code'"),
        ("rules: [{to: fast, tasks: [fax]}], routes: {default: fast}", "models[3].rules[0].tasks", "'faq'"),
        ("routes: {faq: auto}", "models[3].routes.faq", "leads to itself"),
        ("routes: {faq: {high: other}}", "models[3].routes.faq.high", "has routes too"),
        ("routes: {faq: {}}", "models[3].routes.faq", "names no model"),
        ("routes: {faq: {huge: fast}}", "models[3].routes.faq", "huge"),
        ("routes: {faq: fast}, candidates: [a/m]", "models[3].routes", "has candidates too"),
        ("rules: [{to: fast, tenants: [t]}]", "models[3].routes", "say at least where the rest goes"),
        ("rules: [{to: fats, tenants: [t]}], routes: {default: fast}", "models[3].rules[0].to", "is no public model"),
        ("rules: [{to: fast}], routes: {default: fast}", "models[3].rules[0]", "has no condition"),
        (
            'rules: [{to: fast, hours: "00:00-24:00"}], routes: {default: fast}',
            "models[3].rules[0]",
            "has no condition",
        ),
        (
            "rules: [{to: fast, above_tokens: 9, up_to_tokens: 9}], routes: {default: fast}",
            "models[3].rules[0].up_to_tokens",
            "no request",
        ),
        (
            "rules: [{to: fast, languages: [pt-BR]}], routes: {default: fast}",
            "rules[0].languages[0]",
            "without a region",
        ),
        ("rules: [{to: fast, languages: [xx]}], routes: {default: fast}", "rules[0].languages[0]", "ISO 639-1"),
        ("rules: [{to: fast, days: [monday]}], routes: {default: fast}", "rules[0].days[0]", "mon"),
        ('rules: [{to: fast, hours: "8-18"}], routes: {default: fast}', "rules[0].hours", "08:00-18:00"),
        (
            'rules: [{to: fast, hours: "08:00-08:00"}], routes: {default: fast}',
            "rules[0].hours",
            "from one time of day",
        ),
        (
            'rules: [{to: fast, hours: "08:00-25:00"}], routes: {default: fast}',
            "rules[0].hours",
            "from one time of day",
        ),
        (
            "rules: [{to: fast, days: [mon], timezone: Mars/Base}], routes: {default: fast}",
            "rules[0].timezone",
            "Europe/Berlin",
        ),
        (
            "rules: [{to: fast, tenants: [t], timezone: Europe/Berlin}], routes: {default: fast}",
            "models[3].rules[0]",
            "without days or hours",
        ),
    ],
)
def test_what_cannot_be_meant_is_refused_at_its_place(said, place, told):
    with pytest.raises(ConfigurationError, match=f"(?s){re.escape(place)}.*{told}"):
        auto(said)


@pytest.mark.parametrize(
    ("before", "behind", "is_reachable"),
    [
        ("tenants: [a, b]", "tenants: [a]", False),
        ("tenants: [a]", "tenants: [a, b]", True),
        ("tenants: [a]", "tags: {k: v}", True),
        ("tags: {k: v}", "tags: {k: v, l: w}, tenants: [a]", False),
        ("tasks: [code]", "tasks: [code], complexity: [high]", False),
        ("complexity: [high]", "tasks: [code]", True),
        ("above_tokens: 10", "above_tokens: 20", False),
        ("above_tokens: 20", "above_tokens: 10", True),
        ("up_to_tokens: 20", "up_to_tokens: 20", False),
        ("up_to_tokens: 20", "up_to_tokens: 30", True),
        ("up_to_tokens: 20", "tenants: [a]", True),
        ("languages: [de, fr]", "languages: [fr]", False),
        ("languages: [de]", "languages: [de, fr]", True),
        ("languages: [de]", "tenants: [a]", True),
        ("languages: [de]", "languages: [de], days: [mon]", False),
        ('hours: "08:00-18:00"', 'hours: "09:00-17:00", days: [mon]', False),
        ('hours: "08:00-18:00"', 'hours: "09:00-19:00"', True),
        ('hours: "08:00-18:00", days: [mon]', 'hours: "09:00-17:00"', True),
        ('hours: "22:00-06:00", days: [fri]', 'hours: "01:00-05:00", days: [sat]', False),
        ('hours: "22:00-06:00", days: [fri]', 'hours: "01:00-05:00", days: [fri]', True),
        ('hours: "08:00-18:00"', 'hours: "09:00-17:00", timezone: Europe/Berlin', True),
        ('hours: "08:00-18:00"', "tenants: [a]", True),
        ("days: [mon, tue]", 'days: [tue], hours: "22:00-24:00"', False),
        ("days: [mon, tue]", 'days: [tue], hours: "22:00-06:00"', True),
    ],
)
def test_a_rule_that_never_decides_is_found(before, behind, is_reachable):
    said = f"rules: [{{to: fast, {before}}}, {{to: large, {behind}}}], routes: {{default: fast}}"
    if is_reachable:
        assert len(auto(said).rules) == 2
    else:
        with pytest.raises(ConfigurationError, match=r"models\[3\]\.rules\[1\].*it never decides: rule 1"):
            auto(said)
