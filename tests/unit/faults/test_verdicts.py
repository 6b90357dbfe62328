"""Verdicts: what is as the table promises, and what is not."""

from __future__ import annotations

import pytest

from penstock_faults.named import SCRIPTS
from penstock_faults.record import Seen
from penstock_faults.script import OTHER_TEXT, TEXT
from penstock_faults.table import OUTAGE, ROWS, Mode, Row, Sees
from penstock_faults.verdict import Play, Sight, Weathered, faults_in, faults_in_outage

GOOD = {"text": TEXT, "complete": True, "output_tokens": 17, "answered_by": "b", "model": "m"}
BY_ID = {row.id: row for row in ROWS}


def seen(at: float = 0.0, *, ended: float | None = None, left: bool = False) -> Seen:
    return Seen(1, 1, at, "/", ended_at=ended or at, left_at=at if left else None)


def played(row: str | Row, sight: Sight, *, first: int = 1, others: int = 0, mode=Mode.STREAMED, alone=False, **more):
    asked = {"a/m": [seen(float(number), **more) for number in range(first)], "b/m": [seen()] * others}
    return Play(row=BY_ID[row] if isinstance(row, str) else row, mode=mode, sight=sight, alone=alone, asked=asked)


@pytest.mark.parametrize(
    ("sight", "sees"),
    [
        (Sight(**GOOD), Sees.ANSWER),
        (Sight(text=OTHER_TEXT, complete=True), Sees.OTHER_ANSWER),
        (Sight(error_code="x"), Sees.ERROR),
        (Sight(text="Who", error_code="x"), Sees.BROKEN),
        (Sight(text=TEXT[:-1], complete=True), None),
        (Sight(text=TEXT + TEXT, complete=True), None),
        (Sight(text=TEXT), None),
        (Sight(text=TEXT, complete=True, error_code="x"), None),
        (Sight(), None),
    ],
)
def test_what_a_caller_sees_has_a_name_only_where_they_may_see_it(sight, sees):
    assert sight.sees is sees
    assert sight.told


def test_a_row_that_is_kept_has_no_faults():
    assert faults_in(played("4-503", Sight(**GOOD), first=2, others=1)) == []
    assert faults_in(played("4-503", Sight(error_code="upstream_failed"), first=2, alone=True)) == []


@pytest.mark.parametrize(
    ("play", "says"),
    [
        (played("4-503", Sight(error_code="upstream_failed"), first=2), "not the whole answer"),
        (played("4-503", Sight(text=TEXT[:9], complete=True), others=1), "a wrong answer of 9 characters"),
        (played("4-503", Sight(**GOOD | {"output_tokens": None}), first=2, others=1), "None tokens"),
        (played("4-503", Sight(**GOOD), first=3, others=1), "asked 3 times, 1 to 2 is right"),
        (played("4-503", Sight(**GOOD), first=1), "others were asked 0 times, and had to be"),
        (played("13-content-filter", Sight(error_code="content_policy_violation"), others=1), "must not be"),
        (played("13-content-filter", Sight(error_code="upstream_failed")), "not content_policy_violation"),
        (played("8-cut-reset", Sight(text="Other", error_code="upstream_failed"), alone=True), "no beginning"),
        (played("20-401", Sight(error_code="invalid_api_key"), alone=True), "as if it were the caller's"),
        (played("1-429-a-minute", Sight(error_code="rate_limit_exceeded", status=429), alone=True), "come again"),
        (played("6-silence", Sight(**GOOD), others=1), "left open"),
        (played("19-usage-zero", Sight(**GOOD | {"output_tokens": 1})), "1 tokens of output, at least 2"),
    ],
    ids=lambda value: value if isinstance(value, str) else value.row.id,
)
def test_what_is_not_as_promised_is_told(play, says):
    assert any(says in fault for fault in faults_in(play)), faults_in(play)


def test_a_wait_that_was_not_kept_is_told():
    row = Row(number=1, name="x", first=SCRIPTS["good"], not_again_within_seconds=2.0)
    assert faults_in(played(row, Sight(**GOOD), first=2)) == [
        "the first upstream was asked again after 1.00 s, not before 2 s is right"
    ]
    row = Row(number=1, name="x", first=SCRIPTS["good"], not_again_within_seconds=1.0)
    assert faults_in(played(row, Sight(**GOOD), first=2)) == []


def test_a_caller_of_the_whole_may_see_a_skipped_event_either_way():
    for sight in (Sight(**GOOD), Sight(error_code="upstream_failed")):
        assert faults_in(played("10-malformed-event", sight, mode=Mode.WHOLE, alone=True)) == []
    assert faults_in(played("10-malformed-event", Sight(text="Who", error_code="x"), alone=True))


def outage(*, asked: list[float], sights: list[tuple[float, Sight]]) -> Weathered:
    return Weathered(outage=OUTAGE, first="a/m", sights=sights, asked=[seen(at) for at in asked])


def test_an_outage_is_weathered_when_all_are_answered_and_the_first_is_back():
    others, first = Sight(**GOOD), Sight(**GOOD | {"answered_by": "a"})
    weathered = outage(asked=[0, 1, 2, 10], sights=[(0, others), (1, others), (10, first)])
    assert weathered.back_at == 10
    assert faults_in_outage(weathered) == []
    lost = outage(asked=[0, 1, 2], sights=[(0, others), (1, Sight(error_code="x")), (10, others)])
    told = faults_in_outage(lost)
    assert len(told) == 2
    assert "1 of 3 callers saw x" in told[0]
    assert "not used again within 30 s" in told[1]
    assert "asked 20 times while it was down" in faults_in_outage(outage(asked=[0.1] * 20, sights=[(10, first)]))[0]
