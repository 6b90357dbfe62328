"""When days and months of a time zone begin and end."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from penstock_gateway.domain.limits.windows import EVER, PER_MINUTE, Window, WindowKind, period_of


def _utc(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("kind", "zone", "now", "start", "end"),
    [
        (WindowKind.DAY, "UTC", "2026-11-30T23:59:59", "2026-11-30T00:00", "2026-12-01T00:00"),
        (WindowKind.DAY, "Asia/Kathmandu", "2026-11-30T18:14:59", "2026-11-29T18:15", "2026-11-30T18:15"),
        (WindowKind.WEEK, "UTC", "2026-11-29T12:00", "2026-11-23T00:00", "2026-11-30T00:00"),
        (WindowKind.MONTH, "America/New_York", "2026-11-15T00:00", "2026-11-01T04:00", "2026-12-01T05:00"),
        (WindowKind.MONTH, "Europe/Berlin", "2024-02-29T23:30", "2024-02-29T23:00", "2024-03-31T22:00"),
        # Clocks are put forward at midnight: the day begins at one o'clock.
        (WindowKind.DAY, "America/Santiago", "2026-09-06T12:00", "2026-09-06T04:00", "2026-09-07T03:00"),
        (WindowKind.DAY, "Europe/Berlin", "2026-10-25T12:00", "2026-10-24T22:00", "2026-10-25T23:00"),
    ],
)
def test_a_period_begins_and_ends_with_the_days_of_its_zone(kind, zone, now, start, end):
    period = period_of(Window(kind, zone=zone), _utc(now))
    assert (period.start, period.end) == (_utc(start), _utc(end))


@pytest.mark.parametrize("kind", [WindowKind.DAY, WindowKind.WEEK, WindowKind.MONTH])
@pytest.mark.parametrize("zone", ["UTC", "America/New_York", "Africa/Cairo", "Pacific/Apia", "Australia/Lord_Howe"])
def test_periods_follow_one_another_without_a_gap(kind, zone):
    window, now = Window(kind, zone=zone), _utc("2026-01-01T00:00")
    period = period_of(window, now)
    while period.end < _utc("2027-02-01T00:00"):
        following = period_of(window, period.end)
        assert following.start == period.end
        assert period_of(window, period.end - timedelta(seconds=1)) == period
        period = following


def test_what_is_no_calendar_has_no_turns():
    assert period_of(PER_MINUTE, _utc("2026-11-30T12:00")) is EVER
    assert period_of(Window(WindowKind.TOTAL), _utc("2026-11-30T12:00")) is EVER


def test_windows_are_told_as_people_say_them():
    windows = [PER_MINUTE, Window(WindowKind.ROLLING, 90), Window(WindowKind.MONTH)]
    assert [str(window) for window in windows] == ["minute", "90 s", "month"]
