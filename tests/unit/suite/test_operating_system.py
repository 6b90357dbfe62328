"""What a process asks of the system: freed memory goes back, the loop comes first, a port is one stack's."""

from __future__ import annotations

import platform
import socket
import subprocess
import sys

import pytest

from penstock_suite.adapters.addresses import Address, free_addresses, kept_for_sharing
from penstock_suite.domain.failure import SuiteFailure

MIB = 1024 * 1024
# The first block that is freed is the largest, as after a burst; those that follow would come from the heap, with
# something small behind them that lives on.
_BURST = f"""
from pathlib import Path
from penstock_suite.adapters import operating_system
operating_system.{{prepare}}()
resident = lambda: int(Path("/proc/self/statm").read_text().split()[1]) * 4096
bytes(30 * {MIB})
before = resident()
large, small = [], []
for _ in range(8):
    large.append(bytearray(b"x") * (16 * {MIB}))
    small.append(bytearray(b"x") * 100_000)
large.clear()
print(resident() - before)
"""


def left_after_a_burst(prepare):
    told = subprocess.run(
        [sys.executable, "-c", _BURST.format(prepare=prepare)], capture_output=True, text=True, check=True
    )
    return int(told.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="it is glibc that keeps what is freed")
def test_memory_of_a_burst_goes_back_to_the_system():
    assert left_after_a_burst("return_memory") < 16 * MIB


def test_the_loop_waits_for_threads_a_tenth_of_what_python_would_have_it_wait():
    code = (
        "import sys; from penstock_suite.adapters.operating_system import favour_the_loop; "
        "favour_the_loop(); print(sys.getswitchinterval())"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert float(told.stdout) == 0.0005


def test_a_port_that_a_stack_shares_among_its_processes_is_no_other_stacks():
    (address,) = free_addresses((Address("127.0.0.1", 0), "listen.grpc"))
    with kept_for_sharing(address):
        # Its own processes listen there, any number of them.
        with socket.socket() as one, socket.socket() as other:
            for worker in (one, other):
                worker.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
                worker.bind((address.host, address.port))
                worker.listen()
        # Another stack that was started at the same time, and saw the port free.
        with pytest.raises(SuiteFailure, match=f"{address} is taken"), kept_for_sharing(address):
            pass
    with kept_for_sharing(address):
        pass
