"""Ids that nobody guesses, made many at a time."""

from __future__ import annotations

import os
import secrets

_POOL_BYTES = 4096
_DIGITS_PER_BYTE = 2


class RandomIds:
    """Hands out hexadecimal digits from a pool, none twice, each as unguessable as one made by itself.

    A process forked off starts with a pool of its own.
    """

    __slots__ = ("_digits", "_owner", "_used")

    def __init__(self) -> None:
        self._digits = ""
        self._used = 0
        self._owner = 0

    def take(self, size_bytes: int) -> str:
        """Return the hexadecimal digits of so many random bytes."""
        start, end = self._used, self._used + size_bytes * _DIGITS_PER_BYTE
        if end > len(self._digits) or self._owner != os.getpid():
            self._digits, self._owner = secrets.token_hex(_POOL_BYTES), os.getpid()
            start, end = 0, size_bytes * _DIGITS_PER_BYTE
        self._used = end
        return self._digits[start:end]
