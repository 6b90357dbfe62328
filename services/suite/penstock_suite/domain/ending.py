"""Why a stack ends: a signal, a second one, or a part that died."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import TracebackType

from penstock_suite.domain.failure import SuiteFailure


class Ending:
    """Asked for once, in order; asked for again, at once; or forced by a part that died."""

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        self._asked: asyncio.Future[None] = loop.create_future()
        self._at_once: asyncio.Future[None] = loop.create_future()
        self._cut: list[Callable[[], None]] = []
        self.failure: SuiteFailure | None = None

    @property
    def at_once(self) -> bool:
        """Whether somebody does not want to wait."""
        return self._at_once.done()

    def ask(self) -> None:
        """End in order; the second call ends at once."""
        if not self._asked.done():
            self._asked.set_result(None)
        elif not self._at_once.done():
            self._at_once.set_result(None)
            for cut in self._cut:
                cut()

    def fail(self, failure: SuiteFailure) -> None:
        """End because of ``failure``; the first one is the one that is told."""
        if not self._asked.done():
            self.failure = failure
            self._asked.set_result(None)

    def on_cut(self, cut: Callable[[], None]) -> None:
        """Call ``cut`` when the stack has to end at once."""
        self._cut.append(cut)

    def interrupts(self) -> LeftWhen:
        """Return a block that is left, quietly, as soon as an end is asked for."""
        return LeftWhen(self._asked)

    def cuts(self) -> LeftWhen:
        """Return a block that is left, quietly, as soon as the end must come at once."""
        return LeftWhen(self._at_once)

    async def wait(self) -> None:
        """Return when an end is asked for."""
        await asyncio.shield(self._asked)


class LeftWhen:
    """A block that is left when ``reason`` comes.

    As asyncio.timeout does it: the task in the block is the one that is
    cancelled, so task groups are left by the task that entered them.
    """

    def __init__(self, reason: asyncio.Future[None]) -> None:
        self._reason = reason
        self._task: asyncio.Task[object] | None = None
        self._has_cancelled = False

    def __enter__(self) -> None:
        self._task = asyncio.current_task()
        self._reason.add_done_callback(self._cancel)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        task, self._task = self._task, None
        self._reason.remove_done_callback(self._cancel)
        if task is None or not self._has_cancelled:
            return False
        # Also when something else ended the block at the same moment.
        task.uncancel()
        return kind is asyncio.CancelledError

    def _cancel(self, _: asyncio.Future[None]) -> None:
        # A callback that is scheduled already cannot be taken back; outside the block there is no task.
        if self._task is not None:
            self._has_cancelled = True
            self._task.cancel()
