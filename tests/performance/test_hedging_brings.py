"""What hedging brings and costs, in short; bench/hedging.py has the whole table. The clock jumps: no time is measured."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "bench"))
from hedging import found  # noqa: E402

from penstock_inference.domain.hedging import BURST  # noqa: E402

REQUESTS = 2000
LATE = 0.05


def test_where_one_in_twenty_is_late_the_default_share_mends_the_99th_percentile_and_a_smaller_one_does_not():
    off, some, enough = (found(share, LATE, REQUESTS) for share in (0.0, 0.02, 0.05))
    assert enough.p99 < 0.4 * off.p99
    assert some.p99 > 0.7 * off.p99
    # Who is silent for 10 s is failed over, hedged or not.
    failed_over = off.extra_attempts
    for row in (some, enough):
        assert row.extra_attempts <= row.share + BURST / REQUESTS + failed_over
    assert enough.extra_attempts > 0.04
