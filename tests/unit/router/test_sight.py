"""What is counted of decisions, and when prompts count as others than usual."""

import math

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from penstock_common.llm.types import Decision
from penstock_router.adapters.metrics import RouterMetrics
from penstock_router.domain.forks import Fork
from penstock_router.domain.sight import DriftRules, Sight, Way, stability_index
from penstock_router.settings import DriftSettings

AUTO = Fork("auto", (), {"faq": "small", "code": {"low": "small", "high": "big (code)"}, "default": "big"})
FAQ = Decision("small", "routes.faq", task="faq", complexity="low", by_vector=True)
CODE = Decision("big (code)", "routes.code.high", task="code", complexity="high", by_vector=True)
UNSURE = Decision("big", "routes.default", task="code", complexity="low", abstains=True)
HOUR = 3600.0


class Clock:
    def __init__(self):
        self.now = 1_000_000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def sight(clock):
    return Sight(DriftRules(), clock)


def come(sight, clock, hours, *decisions, every=10.0):
    """Have decisions come in turns, one each ten seconds."""
    for at in range(int(hours * HOUR / every)):
        clock.now += every
        sight.note(AUTO, decisions[at % len(decisions)])


def test_decisions_count_by_whom_they_chose_why_and_what_was_seen(sight):
    for decision in (FAQ, FAQ, UNSURE, Decision("big", "rules.1")):
        sight.note(AUTO, decision)
    assert sight.decisions == {
        Way("auto", "small", "routes.faq", "faq", "low"): 2,
        Way("auto", "big", "routes.default", "code", "low"): 1,
        Way("auto", "big", "rules.1", "", ""): 1,
    }
    assert sight.abstentions == {"auto": 1}
    assert sight.without_vector == {"auto": 1}, "nobody looked for a vector where a rule of tags decided"


def test_models_that_were_passed_over_count_by_their_names_alone(sight):
    sight.note(AUTO, Decision("big", "what is left", passed_over=("small (lacks vision)", "big (code) (lacks vision)")))
    sight.note(AUTO, Decision("big", "routes.default", passed_over=("small (takes 7 tokens)",)))
    assert sight.passed_over == {("auto", "small"): 2, ("auto", "big (code)"): 1}


def test_a_mix_that_stays_is_no_drift(sight, clock):
    come(sight, clock, 12, FAQ, CODE, UNSURE)
    assert sight.drift()["auto"] < 0.01


@pytest.mark.parametrize("other", [CODE, UNSURE], ids=["another task", "prompts that tell too little"])
def test_another_mix_is_drift_within_two_hours_and_a_day_later_too(sight, clock, other):
    come(sight, clock, 48, FAQ)
    assert sight.drift()["auto"] == 0
    come(sight, clock, 2, other)
    assert sight.drift()["auto"] > 0.25
    come(sight, clock, 24, other)
    assert sight.drift()["auto"] > 0.25


def test_a_week_later_a_moderate_change_is_usual(clock):
    sight = Sight(DriftRules(least=50), clock)
    come(sight, clock, 7 * 24, FAQ, CODE, every=60.0)
    come(sight, clock, 8, FAQ, FAQ, FAQ, FAQ, FAQ, CODE, every=60.0)
    assert sight.drift()["auto"] > 0.25
    come(sight, clock, 7 * 24, FAQ, FAQ, FAQ, FAQ, FAQ, CODE, every=60.0)
    assert sight.drift()["auto"] < 0.25


def test_too_few_recent_prompts_tell_nothing(sight, clock):
    come(sight, clock, 48, FAQ)
    come(sight, clock, 2, CODE)
    assert sight.drift()["auto"] > 0.25
    # Some 500 of ten seconds each are down to 62 after three hours of silence.
    clock.now += 3 * HOUR
    assert sight.drift()["auto"] == 0


@pytest.mark.parametrize(("prompts", "tells"), [(19, False), (20, True)])
def test_how_many_it_takes_is_a_setting(clock, prompts, tells):
    sight = Sight(DriftRules(recent_seconds=HOUR, usual_seconds=1e12, least=20), clock)
    for _ in range(1000):
        sight.note(AUTO, FAQ)
    clock.now += 100 * HOUR
    for _ in range(prompts):
        sight.note(AUTO, CODE)
    assert (sight.drift()["auto"] > 0) == tells


def test_a_fork_that_is_gone_raises_no_alarm(sight, clock):
    come(sight, clock, 1, FAQ)
    sight.keep({"auto", "other"})
    assert sight.drift().keys() == {"auto"}
    sight.keep({"other"})
    assert sight.drift() == {}
    assert sight.decisions, "counters never go back"


def test_the_index_is_that_of_the_books():
    a, b = ("faq", "low"), ("code", "high")
    # Of 1000 each, so that what was never seen is next to nothing.
    expected = (0.8 - 0.5) * math.log(0.8 / 0.5) + (0.2 - 0.5) * math.log(0.2 / 0.5)
    assert stability_index({a: 800, b: 200}, {a: 5000, b: 5000}) == pytest.approx(expected, abs=0.002)
    assert stability_index({a: 7, b: 3}, {a: 7, b: 3}) == 0
    assert stability_index({}, {}) == 0


def test_it_is_shown_to_prometheus(sight, clock):
    come(sight, clock, 1, FAQ)
    sight.note(AUTO, Decision("big", "what is left", passed_over=("small (lacks vision)",)))
    registry = CollectorRegistry()
    registry.register(RouterMetrics(sight))
    lines = generate_latest(registry).decode().splitlines()
    assert {line for line in lines if not line.startswith("#")} == {
        'penstock_router_decisions_total{by="routes.faq",complexity="low",fork="auto",model="small",task="faq"} 360.0',
        'penstock_router_decisions_total{by="what is left",complexity="",fork="auto",model="big",task=""} 1.0',
        'penstock_router_passed_over_total{fork="auto",model="small"} 1.0',
        'penstock_router_drift{fork="auto"} 0.0',
    }


def test_settings_are_the_numbers_of_the_domain():
    assert DriftSettings().rules() == DriftRules()
    given = DriftSettings.model_validate({"recent": "30m", "usual": "14d", "least": 50})
    assert given.rules() == DriftRules(1800.0, 14 * 86_400.0, 50.0)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"recent": "7d"}, "must be shorter than 'usual'"),
        ({"usual": "1h"}, "must be shorter than 'usual'"),
        ({"recent": "0s"}, "greater than"),
        ({"least": 0}, "greater than"),
    ],
)
def test_settings_that_mean_nothing_are_refused(given, told):
    with pytest.raises(ValueError, match=told):
        DriftSettings.model_validate(given)
