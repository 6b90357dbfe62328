"""What one process asks of the system before it serves many callers."""

from __future__ import annotations

import asyncio
import ctypes
import gc
import os
import resource
import signal
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager

# Python's own 700 looks through all open streams, again and again, while many open at once: of 5,000 in a second it
# stopped everything 2,400 times, once for 2 s, and cost a third of the time. These cost some tens of MB.
_COLLECTOR_THRESHOLDS = (50_000, 20, 100)

# mallopt(3), by the numbers of <malloc.h>.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8
_MIB = 1024 * 1024
# A free block of this size goes back to the system at once. Left alone, glibc raises the bound to the largest block that
# was ever freed, up to 32 MiB: after one burst of large bodies it keeps hundreds of megabytes for good.
_LARGE_BLOCK_BYTES = 128 * 1024
_FREE_BYTES_KEPT = 8 * _MIB
# gRPC's threads would have an arena each, eight for a core, none of which can use what another has free.
_ARENAS = 2

# How long the loop waits for a thread that decodes a large body, at each of its steps; Python's own 5 ms make of the
# twenty steps of a short request a tenth of a second. Where no thread is busy it costs nothing.
_SWITCH_SECONDS = 0.0005

_ENDING = (signal.SIGINT, signal.SIGTERM)
_TERMINAL = "/dev/tty"


def raise_file_limit() -> None:
    """Raise the soft limit of open files to the hard one: each caller needs a descriptor or two."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def return_memory() -> None:
    """Have freed memory returned to the system rather than kept, where the C library is glibc; elsewhere nothing."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        for parameter, value in (
            (_M_MMAP_THRESHOLD, _LARGE_BLOCK_BYTES),
            (_M_TRIM_THRESHOLD, _FREE_BYTES_KEPT),
            (_M_ARENA_MAX, _ARENAS),
        ):
            mallopt(parameter, value)


def favour_the_loop() -> None:
    """Let threads that work beside the loop give the interpreter back sooner (sys.setswitchinterval)."""
    sys.setswitchinterval(_SWITCH_SECONDS)


def settle_memory() -> None:
    """Take what lives until the end out of the garbage collector's sight (gc.freeze), and let it run less often."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_COLLECTOR_THRESHOLDS)


@contextmanager
def on_signals(end: Callable[[], None], reload: Callable[[], None]) -> Generator[None]:
    """Call ``end`` in the loop on SIGINT and SIGTERM, and ``reload`` on SIGHUP; one that came while it was blocked, now.

    A terminal that goes away says so by SIGHUP, too: with it goes who would end the process.
    """
    loop = asyncio.get_running_loop()
    had_terminal = _has_terminal()

    def hung_up() -> None:
        end() if had_terminal and not _has_terminal() else reload()

    handlers = {**dict.fromkeys(_ENDING, end), signal.SIGHUP: hung_up}
    for number, handler in handlers.items():
        loop.add_signal_handler(number, handler)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGHUP,))
    try:
        yield
    finally:
        # What still comes while the process ends must not cut that short.
        signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGHUP,))
        for number in handlers:
            loop.remove_signal_handler(number)


def _has_terminal() -> bool:
    """Return whether there is a terminal that controls this process (tty(4): opening it fails with ENXIO otherwise)."""
    try:
        os.close(os.open(_TERMINAL, os.O_RDONLY | os.O_NOCTTY | os.O_NONBLOCK))
    except OSError:
        return False
    return True
