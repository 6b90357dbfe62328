"""Numbers as the wire has them."""

from __future__ import annotations

from array import array


def single(value: float) -> float:
    """Return the nearest number of 32 bits, which comes back from the wire as it went."""
    return array("f", (value,))[0]
