"""Whether somebody still waits for the look that a thread is at: a long look asks between its parts."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

_T = TypeVar("_T")
_of_thread = threading.local()


class NobodyWaits(Exception):
    """Nobody waits for the look any more."""


def waited_for(work: Callable[[], _T], is_left: threading.Event) -> Callable[[], _T]:
    """Return work that ends at its next ``go_on`` once ``is_left`` is set."""

    def working() -> _T:
        _of_thread.is_left = is_left
        try:
            return work()
        finally:
            del _of_thread.is_left

    return working


def go_on() -> None:
    """Go on with a look.

    Raises:
        NobodyWaits: if nobody waits for it.
    """
    is_left: threading.Event | None = getattr(_of_thread, "is_left", None)
    if is_left is not None and is_left.is_set():
        raise NobodyWaits
