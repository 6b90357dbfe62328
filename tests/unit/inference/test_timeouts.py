"""The timers of an attempt beside which others could be asked: how much of a caller's time is left to them."""

from __future__ import annotations

from datetime import timedelta

import pytest

from penstock_inference.domain.catalogue import Timeouts


def timeouts(**seconds: float) -> Timeouts:
    return Timeouts(**{name: timedelta(seconds=value) for name, value in seconds.items()})


@pytest.mark.parametrize(
    ("most_seconds", "headers", "first_token", "whole", "hurried"),
    [
        (21, 2, 8, 20, ""),
        (20, 2, 8, 20, ""),
        (19, 2, 8, 19, "whole"),
        (8, 2, 8, 8, "whole"),
        (7.9, 2, 7.9, 7.9, "both"),
        (2, 2, 2, 2, "both"),
        (1.5, 1.5, 1.5, 1.5, "both"),
    ],
)
def test_half_of_the_callers_time_bounds_what_comes_before_the_first_token_where_it_is_shorter(
    most_seconds: float, headers: float, first_token: float, whole: float, hurried: str
) -> None:
    seconds = timeouts(headers=2, first_token=30, whole=20, first_token_with_others=8).beside_others(most_seconds)
    assert (seconds.headers, seconds.first_token, seconds.whole) == (headers, first_token, whole)
    assert (seconds.hurried, seconds.whole_hurried) == (hurried == "both", hurried != "")


@pytest.mark.parametrize("long", ["headers", "first_token", "idle"])
def test_others_make_no_timer_longer(long: str) -> None:
    usual = timeouts(**{long: 100.0})
    assert getattr(usual.seconds, long) == 100
    assert getattr(usual.seconds_with_others, long) == 10
    short = timeouts(headers=1, first_token=1, idle=1).seconds_with_others
    assert (short.headers, short.first_token, short.idle) == (1, 1, 1)
