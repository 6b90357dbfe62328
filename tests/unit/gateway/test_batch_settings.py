"""Batches' section of the configuration: what it makes of what it is given, and what it refuses."""

from __future__ import annotations

from datetime import timedelta

import pytest
from pydantic import ValidationError

from penstock_gateway.batch_settings import BatchSettings


def test_each_bound_is_where_it_holds():
    own = BatchSettings(
        max_file_bytes=1, max_lines=2, max_stored_bytes=3, max_open=4, max_waiting=5, file_ttl="2h", poll="7s"
    )
    desk, carry = own.desk(8, enabled=False), own.carrying(8, 9)
    assert (desk.enabled, desk.max_file_bytes, desk.max_stored_bytes, desk.max_open) == (False, 1, 3, 4)
    assert (desk.max_lines, desk.max_line_bytes) == (2, 8)
    assert desk.file_ttl == timedelta(hours=2)
    assert (carry.max_lines, carry.max_waiting, carry.poll) == (2, 5, timedelta(seconds=7))
    assert (carry.max_line_bytes, carry.max_attempts) == (8, 9)


@pytest.mark.parametrize(
    "wrong",
    [
        {"file_ttl": "59m"},
        {"file_ttl": "31d"},
        {"poll": "0s"},
        {"sweep_every": "0s"},
        {"max_open": 0},
        {"max_file_bytes": 0},
    ],
)
def test_what_means_nothing_is_refused(wrong):
    with pytest.raises(ValidationError):
        BatchSettings(**wrong)
