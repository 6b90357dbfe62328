"""The sixteen scenarios of the public yardstick, or their like, through the gateway, streamed and whole."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from penstock_faults.script import TEXT
from penstock_faults.stage import Stage
from penstock_faults.table import CONTENT_REFUSED, Mode, Row
from penstock_inference.configured import catalogue_from
from penstock_inference.settings import Settings
from penstock_suite.domain.rehearsal import public_models

sys.path.insert(0, str(Path(__file__).parent))

from scenarios import SCENARIOS, Scenario  # noqa: E402
from scenery import document_for, upstream_settings  # noqa: E402

CASES = [pytest.param(scenario, mode, id=f"{scenario}-{mode}") for scenario in SCENARIOS for mode in Mode]


@pytest.mark.parametrize(("scenario", "mode"), CASES)
async def test_scenario(scenario: Scenario, mode: Mode, house):
    # Timers are the default ones, but where a scenario would wait for one.
    document = document_for(Row(number=0, name=scenario.name, first=scenario.primary, timer=scenario.timer))
    stage = Stage(scenario.primary, scenario.fallback)
    async with house.theatre(document, public_models(document)[0], stage) as theatre:
        sights = [await theatre.ask("two", mode) for _ in range(scenario.requests)]
        asked = {name.partition("/")[0]: requests for name, requests in theatre.asked().items()}

    assert list(asked)[0] == "first"
    assert len(asked["first"]) <= scenario.most_asked
    for sight in sights:
        _check(sight, scenario, asked)


def _check(sight, scenario: Scenario, asked) -> None:
    if scenario.refused:
        assert (sight.status, sight.error_code, sight.text) == (400, CONTENT_REFUSED, "")
        assert "second" not in asked
        return
    assert (sight.text, sight.complete, sight.error_code) == (TEXT, True, "")
    assert sight.output_tokens is not None and sight.output_tokens > 1
    if scenario.answered_by:
        assert sight.answered_by == scenario.answered_by
        assert sight.model == f"{scenario.answered_by}-model"
    if scenario.waits_seconds:
        earlier, later = asked["first"]
        assert later.at - earlier.at >= scenario.waits_seconds


def test_the_timers_that_scenarios_cut_are_short_enough_by_default():
    # The yardstick gives a first token 15 s until somebody else is asked.
    (model,) = catalogue_from(Settings.model_validate({"upstreams": [upstream_settings("first")]}))
    seconds = model.timeouts.seconds_with_others
    assert max(seconds.headers, seconds.first_token, seconds.idle) <= 15


def test_there_are_sixteen():
    assert [scenario.name for scenario in SCENARIOS] == [f"S{number:02}" for number in range(1, 17)]
