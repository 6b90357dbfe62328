"""Reloading one role that is a process of its own, and one worker of several."""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from pydantic import BaseModel

from penstock_common.configuration import Configuration
from penstock_suite.adapters.revision_metrics import RevisionMetrics
from penstock_suite.adapters.state_files import read_worker_plan, write_revision
from penstock_suite.app.check import checked_role, settings_type
from penstock_suite.app.reload_audit import note_in_audit_log
from penstock_suite.app.reloading import changes_of, note, now_text, refuse_what_needs_a_restart, reloaded
from penstock_suite.domain.changes import Changes
from penstock_suite.domain.progress import Show
from penstock_suite.domain.reload import ProcessRevision, Reload, applied
from penstock_suite.domain.requests import Role, ServeRequest
from penstock_suite.domain.run_record import WorkerPlan
from penstock_suite.settings import RoleSettings


class TakesOver(Protocol):
    """Something that runs, and can run by another configuration."""

    async def take_over(self, configuration: Configuration) -> None:
        """Run by this one from now on.

        Raises:
            ConfigurationError: if it cannot; then nothing has changed.
        """
        ...


class Reloading(Protocol):
    """How a running role reloads."""

    def began(self) -> None:
        """Hear that the role serves."""
        ...

    async def reload(self, running: TakesOver) -> None:
        """Have the role take over what is written now, and tell of it."""
        ...


@dataclass(slots=True)
class RoleReload:
    """Reloads a role from the file that it was started with."""

    request: ServeRequest
    configuration: Configuration
    show: Show
    metrics: RevisionMetrics = field(init=False)
    # As it was read: files that the configuration refers to may be others by now, or gone.
    _running: list[BaseModel] = field(init=False)

    def __post_init__(self) -> None:
        self.metrics = RevisionMetrics(self.configuration.revision)
        self._running = self._read(self.configuration)

    def began(self) -> None:
        """Leave it at the ready line."""

    async def reload(self, running: TakesOver) -> None:
        """Reload; of a role's outcome its log tells, and its metrics."""

        async def work() -> Reload:
            return await self._taken_over(running)

        outcome = await reloaded(work, self.configuration.revision)
        note(outcome, self.metrics)
        self.show(outcome)
        if self.request.role is Role.GATEWAY:
            await note_in_audit_log(self.configuration, outcome)

    async def _taken_over(self, running: TakesOver) -> Reload:
        before = self.configuration
        fresh = await asyncio.to_thread(checked_role, self.request.role, self.request.config)
        read = self._read(fresh)
        changes = changes_of(self._running, read)
        refuse_what_needs_a_restart(changes, fresh)
        await running.take_over(fresh)
        self.configuration, self._running = fresh, read
        return applied(before.revision, fresh.revision, changes)

    def _read(self, configuration: Configuration) -> list[BaseModel]:
        return [configuration.settings(kind) for kind in (settings_type(self.request.role), RoleSettings)]


@dataclass(slots=True)
class WorkerReload:
    """Reloads a worker from its plan, which whoever started it has checked and written anew."""

    plan_file: Path
    plan: WorkerPlan
    metrics: RevisionMetrics = field(init=False)

    def __post_init__(self) -> None:
        self.metrics = RevisionMetrics(self.plan.revision)

    def began(self) -> None:
        """Note the revision: from now on this worker can be told of others."""
        self._note("")

    async def reload(self, running: TakesOver) -> None:
        """Reload, and note what became of it for who waits for it."""
        before = fresh = self.plan

        async def work() -> Reload:
            nonlocal fresh
            fresh = read_worker_plan(self.plan_file)
            await running.take_over(configuration_of(fresh))
            # Which settings differ is told by whoever has compared them.
            return applied(before.revision, fresh.revision, Changes())

        outcome = await reloaded(work, before.revision)
        note(outcome, self.metrics)
        if not outcome.faults:
            self.plan = fresh
        self._note("; ".join(outcome.faults), number=fresh.reload)

    def _note(self, problem: str, number: int | None = None) -> None:
        plan = self.plan
        revision = ProcessRevision(
            name=plan.name,
            pid=os.getpid(),
            revision=plan.revision,
            since=now_text(),
            number=plan.reload if number is None else number,
            problem=problem,
        )
        write_revision(Path(plan.revisions), revision)


def configuration_of(plan: WorkerPlan) -> Configuration:
    """Return what a worker runs by."""
    return Configuration(plan.document, plan.source, revision=plan.revision)
