"""The contents of files that a configuration names: bounded in size, and in how long they are waited for.

A path may lead to a pipe that nobody writes into, or to a device that never
ends. A process that runs reads such files again, so that neither may hold it.
"""

from __future__ import annotations

import errno
import os
import select
import time
from pathlib import Path

MAX_FILE_BYTES = 8 * 1024 * 1024
"""Bound on one file: a hundred times the largest configuration, certificate or key that is likely."""
PATIENCE_SECONDS = 10.0
"""How long a pipe may take until all of it has come, as `<(…)` of a shell does."""
_BLOCK = 64 * 1024


def file_contents(path: Path, patience: float = PATIENCE_SECONDS) -> bytes:
    """Return all that the file holds; a pipe is read until it ends.

    Raises:
        OSError: it is not there or cannot be read, with ``EFBIG`` if it holds more than ``MAX_FILE_BYTES`` and
            ``ETIMEDOUT`` if it has not come to its end within ``patience`` seconds.
    """
    # Without O_NONBLOCK a pipe that nobody has opened for writing would hold us for good.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        return _all_of(descriptor, path, time.monotonic() + patience)
    finally:
        os.close(descriptor)


def _all_of(descriptor: int, path: Path, until: float) -> bytes:
    held = bytearray()
    ready = select.poll()
    ready.register(descriptor, select.POLLIN)
    while ready.poll(max(0.0, until - time.monotonic()) * 1000):
        block = os.read(descriptor, _BLOCK)
        if not block:
            return bytes(held)
        held += block
        if len(held) > MAX_FILE_BYTES:
            raise OSError(errno.EFBIG, f"it holds more than {MAX_FILE_BYTES // (1024 * 1024)} MiB", str(path))
    raise OSError(errno.ETIMEDOUT, "it does not come to an end: nobody writes into it, or the writer waits", str(path))
