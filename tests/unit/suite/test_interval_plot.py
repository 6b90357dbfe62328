"""Intervals as bars of plain text."""

from __future__ import annotations

from penstock_suite.domain.interval_plot import Bar, interval_lines


def test_bars_share_one_scale_about_nothing():
    wide, narrow = Bar("cost", -5.0, -10.0, 0.0, "wide"), Bar("error rate", 2.0, 1.0, 3.0, "narrow")
    assert interval_lines([wide, narrow], 40) == [
        "cost        [----o----]            wide",
        "error rate            |[o]         narrow",
    ]


def test_nothing_to_draw_is_no_line():
    assert interval_lines([], 80) == []


def test_what_is_certain_is_a_point_and_lines_fit_where_they_can():
    lines = interval_lines([Bar("cost", 0.0, 0.0, 0.0, "0")], 200)
    assert lines[0].count("o") == 2
    assert "[" not in lines[0]
    assert len(interval_lines([Bar("c", 1.0, 0.5, 1.5, "text")], 80)[0]) <= 80
