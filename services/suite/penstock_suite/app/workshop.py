"""What every step of a start works with."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import timedelta

import structlog

from penstock_suite.adapters.probe import Probe
from penstock_suite.adapters.process import ChildProcess, Command, running_child
from penstock_suite.app.plan import StackPlan
from penstock_suite.domain.ending import Ending
from penstock_suite.domain.failure import SuiteFailure
from penstock_suite.domain.progress import Lost, Prepared, Preparing, Show

_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Workshop:
    """What every step of a start needs: the plan, who closes what is opened, and whom to tell."""

    plan: StackPlan
    stack: AsyncExitStack
    ending: Ending
    show: Show
    began: float
    running: dict[str, int] = field(default_factory=dict[str, int])
    """Process ids by name."""
    on_change: Callable[[], None] = lambda: None
    """Called when one of them is another process than before."""
    triton_grpc: str = ""

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
