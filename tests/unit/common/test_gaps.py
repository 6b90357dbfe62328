"""Where the longest gap of an answer came from, by the steps of its attempts."""

from __future__ import annotations

import pytest

from penstock_common.telemetry.gaps import Gap, GapFrom, longest_gap
from penstock_common.telemetry.steps import Step

SECOND_NS = 1_000_000_000


def attempt(start: float = 0, end: float = 1, **told: float) -> Step:
    names = {"silence": "longest_silence_ms", "reading": "longest_reading_ms", "silent": "silent_at_the_end_ms", "first": "time_to_first_token_ms"}  # fmt: skip
    attributes: dict[str, str | int | float | bool] = {names[name]: value * 1e3 for name, value in told.items()}
    return Step("attempt", round(start * SECOND_NS), round(end * SECOND_NS), "", attributes)


def test_an_answer_in_one_piece_has_none():
    assert longest_gap([]) is None
    assert longest_gap([attempt(first=0.5)]) is None


@pytest.mark.parametrize(
    ("silence", "reading", "gap"), [(2, 1, Gap(2, GapFrom.UPSTREAM)), (1, 3, Gap(3, GapFrom.READER))]
)
def test_the_longer_one_counts(silence: float, reading: float, gap: Gap):
    assert longest_gap([attempt(silence=silence, reading=reading)]) == gap


def test_a_recovery_is_a_gap_from_the_last_content_to_the_next_attempts_first():
    broke, went_on = attempt(0, 4, silence=0.5, reading=0, silent=1.5), attempt(5, 8, first=2, silence=1, reading=0)
    gap = longest_gap([broke, went_on])
    assert gap is not None
    assert gap.came_from is GapFrom.RECOVERY
    assert gap.seconds == pytest.approx(1.5 + 1 + 2)


def test_an_attempt_that_had_no_content_leaves_no_gap():
    assert longest_gap([attempt(0, 3), attempt(4, 8, first=2)]) is None


def test_a_gap_after_a_recovery_may_be_the_longest():
    broke, went_on = attempt(0, 4, silent=0.5), attempt(4, 18, first=1, silence=9, reading=0)
    assert longest_gap([broke, went_on]) == Gap(9, GapFrom.UPSTREAM)
