"""Turns of calendars, and what reports are by."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from penstock_common.errors import InvalidRequest
from penstock_gateway.domain.usage.calendar import MAX_TURNS, Step, known_zone, turn_after, turns
from penstock_gateway.domain.usage.query import MAX_GROUPS, Dimension, Group, groups_of

HOUR = timedelta(hours=1)


def at(*moment, zone="UTC"):
    return datetime(*moment, tzinfo=ZoneInfo(zone)).astimezone(UTC)


@pytest.mark.parametrize(
    ("zone", "day", "start", "hours"),
    [
        ("UTC", (2026, 11, 1), at(2026, 11, 1), 24),
        ("America/New_York", (2026, 11, 1), at(2026, 11, 1, 4), 25),
        ("Europe/Berlin", (2026, 3, 29), at(2026, 3, 28, 23), 23),
        ("America/Santiago", (2026, 9, 6), at(2026, 9, 6, 4), 23),
        ("Asia/Kathmandu", (2026, 1, 1), at(2025, 12, 31, 18, 15), 24),
    ],
)
def test_a_day_is_as_long_as_its_clocks_make_it(zone, day, start, hours):
    noon = at(*day, 12, zone=zone)
    (found,) = turns(Step.DAY, zone, noon, noon + HOUR)
    assert found == start
    assert turn_after(Step.DAY, zone, found) - found == hours * HOUR


def test_turns_follow_one_another_without_a_gap():
    for step in Step:
        since = at(2026, 10, 24, 22, 30)
        found = turns(step, "Europe/Berlin", since, since + timedelta(hours=20))
        assert found[0] <= since < turn_after(step, "Europe/Berlin", found[0])
        assert [turn_after(step, "Europe/Berlin", one) for one in found[:-1]] == list(found[1:])
        assert found[-1] < since + timedelta(hours=20) <= turn_after(step, "Europe/Berlin", found[-1])


def test_an_hour_begins_with_the_zone_s_own():
    (found,) = turns(Step.HOUR, "Asia/Kathmandu", at(2026, 1, 1, 0, 20), at(2026, 1, 1, 0, 30))
    assert found == at(2026, 1, 1, 0, 15)


def test_weeks_begin_on_monday_and_months_on_the_first():
    (week,) = turns(Step.WEEK, "UTC", at(2026, 11, 1, 5), at(2026, 11, 1, 6))
    assert week == at(2026, 10, 26)
    months = turns(Step.MONTH, "America/New_York", at(2026, 10, 15), at(2026, 12, 1, 5))
    assert months == (at(2026, 10, 1, 4), at(2026, 11, 1, 4))


def test_too_many_turns_are_refused_before_they_are_made():
    since = at(2026, 1, 1)
    assert len(turns(Step.MINUTE, "UTC", since, since + timedelta(minutes=MAX_TURNS))) == MAX_TURNS
    with pytest.raises(InvalidRequest, match="shorter time"):
        turns(Step.MINUTE, "UTC", since, since + timedelta(minutes=MAX_TURNS + 1))


@pytest.mark.parametrize("name", ["Mars", "../etc/passwd", "/etc/passwd", "Europe", "x" * 300, "a\x00b"])
def test_what_is_no_zone_is_told(name):
    with pytest.raises(InvalidRequest, match="There is no time zone"):
        known_zone(name)
    assert known_zone("") == "UTC"


def test_words_name_groups_and_one_step():
    assert groups_of(["team", "day", "tag:cost-centre", "team"]) == (
        (Group("team"), Group("tag:cost-centre", "cost-centre")),
        Step.DAY,
    )
    assert groups_of([]) == ((), None)


@pytest.mark.parametrize(
    "words",
    [
        ["colour"],
        ["day", "hour"],
        ["tag:"],
        ["tag:" + "k" * 65],
        ['tag:a"b'],
        ["tag:a\nb"],
        list(Dimension)[: MAX_GROUPS + 1],
    ],
)
def test_words_that_name_nothing_are_refused(words):
    with pytest.raises(InvalidRequest, match="by"):
        groups_of(words)
