"""Where reports come from."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple, Protocol

from penstock_gateway.domain.usage.lines import Line, UsedRequest
from penstock_gateway.domain.usage.query import Filter, Query


class LineEnd(NamedTuple):
    """Where a page of lines ended: the turn and the names of its last one."""

    turn: int
    names: tuple[str, ...]


class RowEnd(NamedTuple):
    """Where a page of rows ended."""

    created_at: datetime
    generation_id: str


class UsageStore(Protocol):
    """Reads the ledger."""

    async def lines(self, query: Query, starts: Sequence[datetime], after: LineEnd | None, limit: int) -> list[Line]:
        """Return the lines behind one, by turn and by name; ``starts`` are the turns' first moments, none where all is one."""
        ...

    async def requests(self, wanted: Filter, after: RowEnd | None, limit: int) -> list[UsedRequest]:
        """Return rows, the newest first."""
        ...

    async def oldest(self, wanted: Filter) -> datetime | None:
        """Return when the oldest row of those was made; None where there is none."""
        ...
