"""What the soak calls a leak rises steadily; noise, spikes and saw teeth do not."""

import random
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "bench"))
from soak.judge import trend  # noqa: E402


def series(value, count=300, every=2.0):
    return [(number * every, value(number)) for number in range(count)]


def test_a_leak_within_noise_is_found_and_measured():
    chance = random.Random(1)
    found = trend(series(lambda n: 100 + n * 0.05 + chance.gauss(0, 3)))
    assert found.sure
    assert found.growth == pytest.approx(15, rel=0.15)
    assert found.per_hour == pytest.approx(90, rel=0.15)
    assert found.rises(10)
    assert not found.rises(20)
    assert (found.first, found.last) == (pytest.approx(100, abs=3), pytest.approx(115, abs=3))


@pytest.mark.parametrize("seed", range(5))
def test_noise_around_a_level_does_not_rise(seed):
    chance = random.Random(seed)
    assert not trend(series(lambda n: 100 + chance.gauss(0, 10))).rises(0.5)


def test_a_spike_and_saw_teeth_do_not_rise():
    assert not trend(series(lambda n: 500 if n == 290 else 100)).rises(0)
    assert not trend(series(lambda n: 100 + n % 30)).rises(1)


def test_steps_that_stay_are_a_rise_and_a_fall_is_none():
    assert trend(series(lambda n: 100 if n < 150 else 140)).rises(30)
    assert trend(series(lambda n: n // 60)).rises(3)
    assert not trend(series(lambda n: 100 - n)).rises(0)


def test_what_is_too_short_says_nothing():
    assert not trend([]).rises(0)
    assert not trend([(0.0, 1.0), (1.0, 2.0), (2.0, 3.0)]).rises(0)
