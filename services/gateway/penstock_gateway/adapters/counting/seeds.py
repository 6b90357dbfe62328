"""What was spent in a period before this counter began."""

from __future__ import annotations

import asyncio

from penstock_common.errors import Overloaded
from penstock_gateway.adapters.counting.prepared import Counted
from penstock_gateway.domain.limits.admission import SpendHistory


class Seeds:
    """Asks the history once for each counter, however many requests wait for it."""

    def __init__(self, history: SpendHistory | None) -> None:
        self._history = history
        self._asked: dict[str, asyncio.Task[int]] = {}

    @property
    def has_history(self) -> bool:
        """Whether anything is known of what was spent before."""
        return self._history is not None

    async def spent(self, counted: Counted) -> int:
        """Return the nano-dollars that were spent in the counter's period.

        Raises:
            Overloaded: the history does not answer: a budget of which nothing is known admits nothing.
        """
        task = self._asked.get(counted.name)
        if task is None:
            task = self._asked[counted.name] = asyncio.ensure_future(self.spent_now(counted))
            task.add_done_callback(lambda _: self._asked.pop(counted.name, None))
        return await asyncio.shield(task)

    async def spent_now(self, counted: Counted) -> int:
        """Return it of an own question: the answer to one that was asked before may be older than what the caller knows.

        Raises:
            Overloaded: the history does not answer.
        """
        if self._history is None:
            return 0
        limit = counted.limit
        try:
            return await self._history.spent(limit.tenant, limit.scope, counted.period)
        except Exception as error:
            raise Overloaded("It is not known just now what was spent of a budget. Try again.") from error
