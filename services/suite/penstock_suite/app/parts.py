"""The processes of a stack: started in order, and some of them started again when they die."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta

import structlog

from penstock_suite.adapters.process import ChildProcess, Command, Probe, running_child
from penstock_suite.adapters.revision_metrics import RevisionMetrics
from penstock_suite.app.plan import StackPlan
from penstock_suite.domain.cache_facts import CacheFacts
from penstock_suite.domain.ending import Ending
from penstock_suite.domain.failure import SuiteFailure
from penstock_suite.domain.progress import Lost, Prepared, Preparing, Show

_log = structlog.get_logger(__name__)

_FIRST_PAUSE_SECONDS = 0.5
_LONGEST_PAUSE_SECONDS = 30.0
# One that has run for so long did not die of how it was started.
_STEADY_SECONDS = 60.0


@dataclass(slots=True)
class Workshop:
    """What every step of a start needs: the plan, who closes what is opened, and whom to tell."""

    plan: StackPlan
    stack: AsyncExitStack
    ending: Ending
    show: Show
    began: float
    metrics: RevisionMetrics
    """Of the configuration that runs."""
    running: dict[str, int] = field(default_factory=dict[str, int])
    """Process ids by name."""
    on_change: Callable[[], None] = lambda: None
    """Called when one of them is another process than before."""
    triton_grpc: str = ""
    redis_url: str = ""
    cache: CacheFacts | None = None
    """What the cache runs with, once it is known."""

    async def start(self, command: Command) -> ChildProcess:
        """Return the started child, which the stack's end stops, and whose own end is the stack's."""
        self.show(Preparing(command.name))
        log = self.plan.state.log(command.name)
        child = await self.stack.enter_async_context(running_child(command, log, self.ending.fail))
        self.ending.on_cut(child.kill)
        self.note_running(command.name, child.pid)
        return child

    def note_running(self, name: str, pid: int) -> None:
        """Remember the process of a part."""
        self.running[name] = pid
        self.on_change()

    def lose(self, failure: SuiteFailure) -> None:
        """Go on without a part that is started again."""
        _log.warning("part_lost", reason=str(failure))
        self.show(Lost(str(failure)))

    async def await_ready(self, child: ChildProcess, probe: Probe, patience: timedelta) -> None:
        """Return when the child serves."""
        began = time.monotonic()
        await child.wait_ready(probe, patience)
        self.show(Prepared(child.name, time.monotonic() - began, child.pid))


@dataclass(frozen=True, slots=True)
class Part:
    """A process, and how to see that it serves."""

    command: Command
    serves: Probe
    patience: timedelta
    """How long it may take to serve."""
    cut: Callable[[ChildProcess], None] = ChildProcess.kill
    """How it ends when the stack has to end at once."""


@asynccontextmanager
async def kept_running(workshop: Workshop, parts: Sequence[Part]) -> AsyncGenerator[KeptRunning]:
    """Yield when all serve.

    Raises:
        SuiteFailure: if one does not.
    """
    kept = KeptRunning(workshop, parts)
    try:
        await kept.serving()
        yield kept
    finally:
        await kept.end()


class KeptRunning:
    """Processes that run until their end is asked for."""

    def __init__(self, workshop: Workshop, parts: Sequence[Part]) -> None:
        self._supervised = [_Supervised(workshop, part) for part in parts]
        self._tasks = [
            asyncio.create_task(one.keep_running(), name=f"keep {one.name} running") for one in self._supervised
        ]

    def child(self, name: str) -> ChildProcess | None:
        """Return the process that a part is now; None between two."""
        return next((one.child for one in self._supervised if one.name == name), None)

    async def serving(self) -> None:
        """Return when all have served."""
        await asyncio.gather(*(one.has_served for one in self._supervised))

    async def end(self) -> None:
        """End them, and return when they have ended."""
        for task in self._tasks:
            # Once: a second one would cut the time that a process has to end.
            if not task.cancelling():
                task.cancel()
        await asyncio.wait(self._tasks)


class _Supervised:
    """One process after another, the same part."""

    def __init__(self, workshop: Workshop, part: Part) -> None:
        self.name = part.command.name
        self.has_served: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Fails if the first one does not."""
        self._workshop = workshop
        self._part = part
        self.child: ChildProcess | None = None
        workshop.ending.on_cut(self._cut)

    def _cut(self) -> None:
        # The one that runs now: the number of one that died may be a stranger's by now.
        if self.child is not None:
            self._part.cut(self.child)

    async def keep_running(self) -> None:
        pause = _FIRST_PAUSE_SECONDS
        while True:
            began = time.monotonic()
            try:
                await self._run()
            except SuiteFailure as failure:
                if not self.has_served.done():
                    self.has_served.set_exception(failure)
                    return
                self._workshop.lose(failure)
            if time.monotonic() - began > _STEADY_SECONDS:
                pause = _FIRST_PAUSE_SECONDS
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)

    async def _run(self) -> None:
        """Start it and wait for its end, which raises ``SuiteFailure`` if nobody asked for it."""
        began = time.monotonic()
        died: asyncio.Future[SuiteFailure] = asyncio.get_running_loop().create_future()
        self._workshop.show(Preparing(self.name))
        log = self._workshop.plan.state.log(self.name)
        command = replace(self._part.command, keeps_log=self.has_served.done())
        try:
            async with running_child(command, log, died.set_result) as child:
                self.child = child
                await child.wait_ready(self._part.serves, self._part.patience)
                self._workshop.note_running(self.name, child.pid)
                self._workshop.show(Prepared(self.name, time.monotonic() - began, child.pid))
                if not self.has_served.done():
                    self.has_served.set_result(None)
                raise await died
        finally:
            self.child = None
