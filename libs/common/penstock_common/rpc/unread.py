"""Answers that wait for callers who do not read them.

grpcio cannot end a call whose last message its caller does not take: message and
call stay until the caller leaves or the connection is of full age. So they are
counted, and who lets too much wait gets no more.
"""

from __future__ import annotations

import sys
from collections import Counter
from dataclasses import dataclass

from penstock_common.errors import Overloaded, RateLimited
from penstock_common.rpc.server_call import ServerCall

# What a call takes beside its message, about.
_CALL_BYTES = 16 * 1024


@dataclass(frozen=True, slots=True)
class UnreadLimits:
    """Bytes that may wait: of all callers, and of one. A single answer may be larger than either.

    By default any number, as inside the suite, where all read.
    """

    most: int = sys.maxsize
    most_of_one: int = sys.maxsize


class UnreadAnswers:
    """Counts what waits on one listener."""

    def __init__(self, limits: UnreadLimits) -> None:
        self._limits = limits
        self._waiting = 0
        self._waiting_of: Counter[str] = Counter()

    def check(self, call: ServerCall) -> None:
        """Let a call go on whose caller reads.

        Raises:
            RateLimited: too much of its caller's waits already.
            Overloaded: too much waits altogether.
        """
        if self._waiting_of[call.reader] >= self._limits.most_of_one:
            raise RateLimited("Read the answers that wait for you first.", limit="unread_answers")
        if self._waiting >= self._limits.most:
            raise Overloaded("Too many answers wait to be read. Try again.")

    def hold(self, call: ServerCall, message_bytes: int) -> None:
        """Count a call's last message until the call has ended."""
        size, caller = message_bytes + _CALL_BYTES, call.reader
        self._waiting += size
        self._waiting_of[caller] += size

        def ended(_: object) -> None:
            self._waiting -= size
            self._waiting_of[caller] -= size
            if not self._waiting_of[caller]:
                del self._waiting_of[caller]

        call.context.add_done_callback(ended)
