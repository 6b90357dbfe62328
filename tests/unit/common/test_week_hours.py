"""Hours of the week: by whose clocks they hold, over midnight, and where clocks are put forward and back."""

from datetime import UTC, datetime

import pytest

from penstock_common.hours import DAYS, WeekHours

WORKDAYS = frozenset(range(5))


def hours(start, end, days=WORKDAYS, zone="UTC"):
    return WeekHours(frozenset(days), start * 60, end * 60, zone)


@pytest.mark.parametrize(
    ("moment", "holds"),
    [
        ("2026-12-04T08:00", True),
        ("2026-12-04T07:59:59", False),
        ("2026-12-04T17:59:59", True),
        ("2026-12-04T18:00", False),
        ("2026-12-05T12:00", False),
    ],
)
def test_they_begin_with_their_first_minute_and_end_before_their_last(moment, holds):
    assert hours(8, 18).hold(datetime.fromisoformat(moment).replace(tzinfo=UTC)) is holds


@pytest.mark.parametrize(
    ("moment", "holds"),
    [
        ("2026-12-04T22:00", True),
        ("2026-12-05T05:59", True),
        ("2026-12-05T06:00", False),
        ("2026-12-05T22:30", False),
        ("2026-12-07T05:00", False),
        ("2026-12-07T23:00", True),
    ],
)
def test_those_of_a_night_belong_to_the_day_on_which_they_begin(moment, holds):
    assert hours(22, 6).hold(datetime.fromisoformat(moment).replace(tzinfo=UTC)) is holds


def test_midnight_may_be_said_as_an_end_in_two_ways():
    last, first = datetime(2026, 12, 4, 23, 59, tzinfo=UTC), datetime(2026, 12, 5, tzinfo=UTC)
    for end in (0, 24):
        assert hours(18, end).hold(last)
        assert not hours(18, end).hold(first)


def test_the_clocks_of_their_zone_count_in_summer_and_winter():
    in_berlin = hours(8, 18, range(7), "Europe/Berlin")
    assert in_berlin.hold(datetime(2026, 7, 1, 6, 0, tzinfo=UTC))
    assert not in_berlin.hold(datetime(2026, 12, 1, 6, 0, tzinfo=UTC))
    assert in_berlin.hold(datetime(2026, 12, 1, 7, 0, tzinfo=UTC))


def test_an_hour_that_clocks_skip_is_not_there_and_one_that_they_show_twice_holds_twice():
    in_berlin = hours(2, 3, range(7), "Europe/Berlin")
    skipped = [datetime(2026, 3, 29, hour, 30, tzinfo=UTC) for hour in range(24)]
    assert [moment.hour for moment in skipped if in_berlin.hold(moment)] == []
    twice = [datetime(2026, 10, 25, hour, 30, tzinfo=UTC) for hour in range(24)]
    assert [moment.hour for moment in twice if in_berlin.hold(moment)] == [0, 1]


@pytest.mark.parametrize("start", [0, 8, 22])
@pytest.mark.parametrize("end", [0, 6, 18, 24])
def test_the_minutes_of_a_week_are_those_in_which_they_hold(start, end):
    some = hours(start, end, (0, 4, 6))
    monday = datetime(2026, 11, 30, tzinfo=UTC)
    for minute in range(0, len(DAYS) * 24 * 60, 30):
        moment = datetime.fromtimestamp(monday.timestamp() + minute * 60, UTC)
        assert (minute in some.minutes()) is some.hold(moment)
