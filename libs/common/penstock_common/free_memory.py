"""Memory that is free inside of this process, and its system's again where the C library is glibc."""

from __future__ import annotations

import ctypes

_trim = getattr(ctypes.CDLL(None), "malloc_trim", None)


def give_back() -> None:
    """Return all free pages to the system: by itself, glibc returns those at an arena's end only.

    Takes a third of a millisecond for a mebibyte that is returned; other threads go on, but for those that want memory.
    """
    if _trim is not None:
        _trim(0)
