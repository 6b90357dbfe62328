"""Counts what a key was refused: a refusal costs no allowance, and work all the same."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from datetime import timedelta

import msgspec

from penstock_common.errors import (
    ContextLengthExceeded,
    InvalidRequest,
    ModelNotFound,
    ModelNotPermitted,
    PenstockError,
    QuotaExhausted,
    RateLimited,
    UnsupportedParameter,
)

REFUSED_REQUESTS = "refused_requests"
_SECONDS_PER_MINUTE = 60
# Reading and refusing so many bytes costs about as much as another refusal.
_BYTES_PER_REFUSAL = 256 * 1024
_MAX_KEYS = 10_000
_CALLERS_FAULTS = (
    InvalidRequest,
    UnsupportedParameter,
    ContextLengthExceeded,
    ModelNotFound,
    ModelNotPermitted,
    RateLimited,
    QuotaExhausted,
)


def is_callers_fault(error: BaseException) -> bool:
    """Return whether the same request, sent again at once, would be refused again."""
    return isinstance(error, _CALLERS_FAULTS)


class _Bucket(msgspec.Struct, gc=False):
    """What was refused and has not leaked out yet, and when that was, in seconds."""

    refused: float
    at: float


class Refusals:
    """A leaky bucket per key: ``per_minute`` leak out a minute, and so many fit in.

    A key whose bucket is full is refused before its body is read, which is not
    counted: it is let in again as the bucket leaks, however often it asks.
    """

    def __init__(self, per_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._most = per_minute
        self._per_second = per_minute / _SECONDS_PER_MINUTE
        self._clock = clock
        self.buckets: OrderedDict[str, _Bucket] = OrderedDict()
        """By key, who was refused last the last; a key without one need not be checked."""

    def note(self, key_id: str, error: PenstockError, body_bytes: int) -> None:
        """Count a refusal, by how large the body was that had to be read for it; what is not the caller's doing is free."""
        if not is_callers_fault(error) or (isinstance(error, RateLimited) and error.limit == REFUSED_REQUESTS):
            return
        refused, now = self._left(key_id), self._clock()
        refused += 1 + body_bytes // _BYTES_PER_REFUSAL
        self.buckets[key_id] = _Bucket(min(refused, self._most), now)
        self.buckets.move_to_end(key_id)
        if len(self.buckets) > _MAX_KEYS:
            self.buckets.popitem(last=False)

    def check(self, key_id: str) -> None:
        """Let a key's next request be read.

        Raises:
            RateLimited: if its bucket is full.
        """
        refused = self._left(key_id)
        if refused > self._most - 1:
            wait = timedelta(seconds=(refused - self._most + 1) / self._per_second)
            raise RateLimited(
                f"Too many of your API key's requests were refused in the last minute ({self._most} are allowed). "
                f"Mend them, and try again in {wait.total_seconds():.1f} s.",
                limit=REFUSED_REQUESTS,
                retry_after=wait,
            )

    def _left(self, key_id: str) -> float:
        bucket = self.buckets.get(key_id)
        if bucket is None:
            return 0
        left = bucket.refused - (self._clock() - bucket.at) * self._per_second
        if left <= 0:
            del self.buckets[key_id]
        return max(0, left)
