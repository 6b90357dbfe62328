"""What a report tells: sums, and single requests."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Self

import msgspec


class Sums(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What rows add up to. Money is in nano-dollars.

    ``requests`` are those that were made, whatever came of them; entries that correct another are in the sums, and are no
    requests. ``errors`` ended with one, and ``cancelled`` by their callers. ``unpriced`` are those of which nobody knows what
    they cost, ``estimated`` those whose tokens the upstream did not tell. ``input_tokens`` hold the cached ones, and
    ``output_tokens`` those of reasoning. ``cost_of_errors_nano_usd`` is in the cost.
    """

    requests: int = 0
    errors: int = 0
    cancelled: int = 0
    cache_hits: int = 0
    degraded: int = 0
    unpriced: int = 0
    estimated: int = 0
    attempts: int = 0
    input_tokens: int = 0
    cached_input_tokens: int = 0
    cache_write_input_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0
    saved_tokens: int = 0
    compressed_tokens: int = 0
    cost_nano_usd: int = 0
    saved_nano_usd: int = 0
    duration_ms: float = 0.0

    def __add__(self, other: Sums) -> Self:
        """Return both together."""
        names = self.__struct_fields__
        return type(self)(**{name: getattr(self, name) + getattr(other, name) for name in names})


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """A group's sums; ``names`` are the group's in the order of the report's, ``turn`` counts the report's turns from 0."""

    names: tuple[str, ...] = ()
    turn: int = 0
    sums: Sums


class UsedRequest(msgspec.Struct, frozen=True, kw_only=True):
    """An entry of the ledger, without anything that was said."""

    generation_id: str
    request_id: str
    created_at: datetime
    of: Mapping[str, str]
    """Its dimensions, by name."""
    tags: Mapping[str, str]
    kind: str
    finish_reason: str
    time_to_first_token_ms: float | None
    sums: Sums
