"""The table of recovery, one test per rule and mode: what callers and upstreams see, with and without another candidate."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from penstock_faults.script import TEXT
from penstock_faults.table import OUTAGE, ROWS, Mode, Row
from penstock_faults.verdict import faults_in, faults_in_outage
from penstock_suite.domain.rehearsal import public_models

sys.path.insert(0, str(Path(__file__).parent))

from scenery import document_for  # noqa: E402

CASES = [
    pytest.param(row, mode, alone, id=f"{row.id}-{mode}-{'alone' if alone else 'two'}")
    for row in ROWS
    for mode in Mode
    for alone in (False, True)
]
EVERY_CASE = pytest.mark.parametrize(("row", "mode", "alone"), CASES)


@EVERY_CASE
async def test_through_the_gateway(row: Row, mode: Mode, alone: bool, house):
    document = document_for(row)
    two, one = public_models(document)
    played = await house.play(document, one if alone else two, row, mode)
    assert faults_in(played) == []


@EVERY_CASE
async def test_through_the_inference_service(row: Row, mode: Mode, alone: bool, inference):
    theatre = await inference(row)
    candidates = ["first/first-model"] if alone else ["first/first-model", "second/second-model"]
    played = await theatre.play(row, mode, *candidates)
    assert faults_in(played) == []


BREAKS = [row for row in ROWS if row.number in (8, 9, 14)]


@pytest.mark.parametrize("row", BREAKS, ids=lambda row: row.id)
async def test_a_break_is_made_good_by_who_takes_no_prefix(row: Row, house):
    document = document_for(row, prefill=False)
    played = await house.play(document, public_models(document)[0], row, Mode.STREAMED)
    assert faults_in(played) == []
    (asked,) = list(played.asked.values())[1]
    assert asked.body["messages"][-1]["role"] == "user"


@pytest.mark.parametrize("row", [row for row in BREAKS if row.number != 14], ids=lambda row: row.id)
async def test_a_break_is_gone_on_from_by_who_takes_a_prefix(row: Row, house):
    document = document_for(row)
    played = await house.play(document, public_models(document)[0], row, Mode.STREAMED)
    assert faults_in(played) == []
    asked, *anew = list(played.asked.values())[1]
    last = asked.body["messages"][-1]
    assert last["role"] == "assistant"
    assert TEXT.startswith(last["content"])
    assert last["content"]
    # Where nothing was left to say, that is not believed.
    assert len(anew) == (last["content"] == TEXT)


@pytest.mark.parametrize("mode", list(Mode), ids=str)
async def test_who_is_down_is_left_alone_and_used_again_once_it_is_well(mode: Mode, house):
    document = document_for()
    weathered = await house.weather(document, public_models(document)[0], OUTAGE, mode)
    assert faults_in_outage(weathered) == []


def test_every_rule_has_a_row():
    assert {row.number for row in (*ROWS, OUTAGE)} == {*range(1, 21)}
    assert len({row.id for row in ROWS}) == len(ROWS)
