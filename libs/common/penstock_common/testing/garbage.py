"""The garbage collector, kept from a test that asks what it would have to free."""

from __future__ import annotations

import gc
from collections.abc import Generator
from contextlib import contextmanager


@contextmanager
def uncollected() -> Generator[None]:
    """Collect nothing by itself; ``gc.collect`` and ``gc.get_objects`` see only what has come since.

    A process that has run thousands of tests holds gigabytes, and each look at all of them takes a second.
    """
    gc.freeze()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        gc.unfreeze()
