"""What is free inside a process is its system's again."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

MIB = 1024 * 1024
# Blocks that glibc takes from its arena, with one that lives on behind them: the arena cannot be cut at its end.
_BURST = """
from pathlib import Path
from penstock_common.free_memory import give_back
resident = lambda: int(Path("/proc/self/statm").read_text().split()[1]) * 4096
before = resident()
pieces = [bytearray(b"x") * 16_000 for _ in range(4_000)]
last = bytearray(16_000)
pieces.clear()
kept = resident() - before
give_back()
print(kept, resident() - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="it is glibc that keeps what is freed")
def test_the_pieces_of_a_large_message_are_given_back():
    told = subprocess.run([sys.executable, "-c", _BURST], capture_output=True, text=True, check=True)
    kept, left = map(int, told.stdout.split())
    assert kept > 32 * MIB
    assert left < 4 * MIB
