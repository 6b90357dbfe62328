"""Why a stack ends: a signal, a second one, or a part that died."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager

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

    @contextmanager
    def interrupts(self) -> Iterator[None]:
        """Leave the block, quietly, as soon as an end is asked for."""
        with _left_when(self._asked):
            yield

    @contextmanager
    def cuts(self) -> Iterator[None]:
        """Leave the block, quietly, as soon as the end must come at once."""
        with _left_when(self._at_once):
            yield

    async def wait(self) -> None:
        """Return when an end is asked for."""
        await asyncio.shield(self._asked)


@contextmanager
def _left_when(reason: asyncio.Future[None]) -> Iterator[None]:
    # As asyncio.timeout does it: the task that is in the block is the one that is cancelled, so task groups
    # that were entered in it are left by the task that entered them.
    task = asyncio.current_task()
    assert task is not None

    inside = True

    def cancel(_: asyncio.Future[None]) -> None:
        # A callback that is scheduled already cannot be taken back.
        if inside:
            task.cancel()

    reason.add_done_callback(cancel)
    try:
        yield
    except asyncio.CancelledError:
        if not reason.done():
            raise
        task.uncancel()
    finally:
        inside = False
        reason.remove_done_callback(cancel)
