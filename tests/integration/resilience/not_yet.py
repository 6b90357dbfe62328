"""What the attempt engine does not do yet: tests that must fail until it does.

One that passes must be taken out of its set, which ``strict`` sees to: an expected failure that does not fail is one.
"""

from __future__ import annotations

import pytest

from penstock_faults.table import Mode, Row

ROWS_NOT_YET: frozenset[tuple[str, Mode, str]] = frozenset()
"""Row, mode, and ``alone`` or ``two``: whether another candidate is left."""
OUTAGE_NOT_LEFT_ALONE = True
"""Whether an upstream that is down is asked on every request."""
SCENARIOS_NOT_YET = frozenset({("S01", Mode.STREAMED), ("S01", Mode.WHOLE)})
"""Scenarios by mode: a short wait for who stands first is not waited for."""


def is_expected_to_fail(row: Row, mode: Mode, *, alone: bool) -> bool:
    """Whether the engine cannot keep this promise yet."""
    return (row.id, mode, "alone" if alone else "two") in ROWS_NOT_YET


def expected_failure(*values: object, name: str, fails: bool):
    """The parameters of a test, expected to fail or not."""
    marks = [pytest.mark.xfail(strict=True, reason="the attempt engine does not do so yet")] if fails else []
    return pytest.param(*values, id=name, marks=marks)
