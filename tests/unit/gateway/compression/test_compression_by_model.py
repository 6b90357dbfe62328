"""Which models' requests are compressed, and what the answer is told."""

from __future__ import annotations

import pytest

from penstock_gateway.domain.compression.terms import Terms
from penstock_gateway.domain.life.compression import CompressionTold, ContextCompression


def test_models_that_say_so_are_compressed_and_a_reload_changes_which():
    compression = ContextCompression({"long": Terms(), "asked": Terms(by_default=False)}, None, None)
    assert compression.models == {"long"}
    compression.take_over({"asked": Terms()}, None)
    assert compression.models == {"asked"}


@pytest.mark.parametrize(
    ("told", "words"),
    [
        (CompressionTold(2000, 1100), "saved=900; kept=0.55"),
        (CompressionTold(0, 0), "saved=0; kept=1.00"),
        (CompressionTold(2000, 2000, "late"), "saved=0; kept=1.00; reason=late"),
    ],
)
def test_what_was_saved_is_told_in_a_line(told, words):
    assert str(told) == words
