"""Three gateways on a Redis that is killed, paused and emptied, and they are killed, too: no budget is overrun."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

NEMESIS = Path(__file__).parents[2] / "bench" / "limits_nemesis.py"


def test_hard_budget_is_not_overrun_and_all_that_was_spent_is_counted():
    told = subprocess.run(
        [sys.executable, NEMESIS, "--deeds", "4", "--seed", "5"], capture_output=True, text=True, check=True
    )
    found = json.loads(told.stdout)
    assert found["overrun_nano_usd"] == 0
    assert found["admitted"] >= 60 and sum(found["faults"].values()) == 4
    # Never less than was spent: what was told twice while Redis forgot is counted twice until the ledger mends it.
    assert found["spent_nano_usd"] <= found["counted_nano_usd"]
    # For each fault a burst, and what each gateway may let in alone.
    assert found["over_window"] <= 203 * sum(found["faults"].values())
