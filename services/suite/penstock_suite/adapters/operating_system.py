"""What one process asks of the system before it serves many callers."""

from __future__ import annotations

import asyncio
import gc
import resource
import signal
from collections.abc import Callable, Generator
from contextlib import contextmanager

# Python's own 700 looks through all open streams, again and again, while many open at once: of 5,000 in a second it
# stopped everything 2,400 times, once for 2 s, and cost a third of the time. These cost some tens of MB.
_COLLECTOR_THRESHOLDS = (50_000, 20, 100)

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def raise_file_limit() -> None:
    """Raise the soft limit of open files to the hard one: each caller needs a descriptor or two."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def settle_memory() -> None:
    """Take what lives until the end out of the garbage collector's sight (gc.freeze), and let it run less often."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_COLLECTOR_THRESHOLDS)


@contextmanager
def on_signals(act: Callable[[], None]) -> Generator[None]:
    """Call ``act`` in the loop on SIGINT and SIGTERM."""
    loop = asyncio.get_running_loop()
    for number in _SIGNALS:
        loop.add_signal_handler(number, act)
    try:
        yield
    finally:
        for number in _SIGNALS:
            loop.remove_signal_handler(number)
