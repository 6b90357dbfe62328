"""What policies save and keep, in short; bench/routing.py has the whole replay. The script is seeded, and no time is measured."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "bench"))
from routing import WANTED_QUALITY, WANTED_SAVING, WANTED_SPEED, measured  # noqa: E402


async def test_cost_saves_and_keeps_quality_and_latency_halves_the_median_under_load():
    found = await measured(count=400, seed=7)
    assert found["cost_saved_ratio"] >= WANTED_SAVING
    assert found["cost_quality_ratio"] >= WANTED_QUALITY
    assert found["latency_p50_ratio"] <= WANTED_SPEED
    assert found["is_as_wanted"]
    # The script leaves something to choose: the cheapest for all would be too bad, and the best is not the cheapest.
    assert found["policies"]["quality"]["cost_usd"] > 2 * found["policies"]["cost"]["cost_usd"]
    assert len(found["policies"]["cost"]["asked"]) > 1
