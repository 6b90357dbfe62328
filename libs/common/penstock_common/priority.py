"""How much a request matters beside others, where not all can be served."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum

import msgspec


class Priority(IntEnum):
    """What is served first, and shed last; the names in lower case are what callers and configurations say."""

    CRITICAL = 1
    DEFAULT = 2
    SHEDDABLE = 3

    @property
    def word(self) -> str:
        """What it is called outside."""
        return self.name.lower()


SHARES = {Priority.CRITICAL: 1.0, Priority.DEFAULT: 0.8, Priority.SHEDDABLE: 0.7}
"""How much of what can be served at once a class may fill while critical requests come: a fifth is kept for them."""
RESERVED_SECONDS = 60.0
"""For how long after a critical request places are kept for the next ones; without any, all places are everybody's."""

PRIORITIES = {each.word: each for each in Priority}


class Room(msgspec.Struct, frozen=True, kw_only=True):
    """How much of its room each class may fill in one process of ``service``, which has room for ``calls`` at once.

    ``others_may_help``: another of its processes is worth asking. Where the caller can do without, nobody is.
    """

    service: str
    calls: int
    shares: Mapping[Priority, float]
    others_may_help: bool = True
