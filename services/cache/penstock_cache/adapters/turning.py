"""A secret rotation of the space that vectors lie in: orthogonal, so cosines stay; drawn from a key.

Each of three rounds changes signs, shuffles, and mixes blocks by an orthonormal
cosine transform. After the second every coordinate is made of all. One round
would not do: who undoes the public transform has the coordinates themselves,
shuffled, and recognises a text that he suspects by their sorted sizes.
"""

from __future__ import annotations

import hashlib
import math
from array import array
from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray

_ROUNDS = 3
_SMALLEST_BLOCK, _LARGEST_BLOCK = 32, 128
_SORT_BYTES = 8


class Turning:
    """Turns vectors of one length by one key."""

    def __init__(self, key: bytes, dimensions: int) -> None:
        self._mix = _mix(_block(dimensions))
        self._shape = (-1, len(self._mix))
        self._rounds = [_shuffle(key, number, dimensions) for number in range(_ROUNDS)]

    def __call__(self, vector: array[float]) -> array[float]:
        """Return the vector (float32) turned."""
        import numpy as np  # a cache that compares no vectors never loads it

        turned = np.frombuffer(vector, np.float32)
        for places, signs in self._rounds:
            turned = (turned.take(places) * signs).reshape(self._shape).dot(self._mix).ravel()
        return array("f", turned.tobytes())


def _block(dimensions: int) -> int:
    """Return how many coordinates are mixed at once: the largest part that divides all, or all."""
    sizes = range(min(_LARGEST_BLOCK, dimensions), _SMALLEST_BLOCK - 1, -1)
    return next((size for size in sizes if dimensions % size == 0), dimensions)


@lru_cache(maxsize=16)
def _mix(size: int) -> NDArray[Any]:
    """Return the orthonormal matrix of the cosine transform (DCT-II)."""
    import numpy as np

    rows = [[math.cos(math.pi * (2 * at + 1) * row / (2 * size)) for at in range(size)] for row in range(size)]
    scales = [math.sqrt((1 if row == 0 else 2) / size) for row in range(size)]
    return np.ascontiguousarray((np.array(rows) * np.array(scales)[:, None]).T, dtype=np.float32)


def _shuffle(key: bytes, number: int, dimensions: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return places and signs; by SHAKE-256, which is the same on every machine and in every version."""
    import numpy as np

    stream = hashlib.shake_256(key + bytes([number])).digest(dimensions * (_SORT_BYTES + 1))
    order, flips = stream[: dimensions * _SORT_BYTES], stream[dimensions * _SORT_BYTES :]
    places = sorted(range(dimensions), key=lambda at: order[at * _SORT_BYTES : (at + 1) * _SORT_BYTES])
    return np.array(places), np.array([1 if flip & 1 else -1 for flip in flips], dtype=np.float32)
