"""Reloading a local stack: checked here as a whole, then taken over by every process that answers requests."""

from __future__ import annotations

import asyncio
import os

from msgspec.structs import replace
from pydantic import BaseModel

from penstock_suite.adapters.revision_metrics import RevisionMetrics
from penstock_suite.adapters.state_files import write_last_reload, write_revision
from penstock_suite.app.check import Checked, checked
from penstock_suite.app.gateways import Gateways
from penstock_suite.app.keys import ensure_keys
from penstock_suite.app.parts import Workshop
from penstock_suite.app.reload_audit import note_in_audit_log
from penstock_suite.app.reloading import changes_of, note, now_text, refuse_what_needs_a_restart, reloaded
from penstock_suite.domain.changes import Changes
from penstock_suite.domain.reload import Outcome, ProcessRevision, Reload, applied
from penstock_suite.domain.requests import Selection
from penstock_suite.settings import CacheSwitch, Settings

_NAME = "penstock"


class StackReload:
    """Takes the file over as it is now, whole or not at all."""

    def __init__(self, selection: Selection, workshop: Workshop, gateways: Gateways, running: Checked) -> None:
        self._selection = selection
        self._workshop = workshop
        self._gateways = gateways
        self._running = running.read_again()
        self._number = 0
        self._note_own(self.revision)

    @property
    def revision(self) -> str:
        """The revision that runs."""
        return self._running.plan.written.revision

    async def reload(self) -> None:
        """Reload, and tell everybody what became of it."""
        outcome = await reloaded(self._taken_over, self.revision)
        note(outcome, self._workshop.metrics)
        write_last_reload(self._workshop.plan.state, outcome)
        self._workshop.show(outcome)
        await note_in_audit_log(self._running.plan.configuration(), outcome)

    async def _taken_over(self) -> Reload:
        # Reading and checking takes what a person does not notice, and a thousand streams do.
        fresh, before = await asyncio.to_thread(checked, self._selection), self._running
        plan, self._number = fresh.plan, self._number + 1
        changes = stack_changes(before, fresh)
        refuse_what_needs_a_restart(changes, plan.written)
        ensure_keys(plan)
        parts = {"redis_url": self._workshop.redis_url, "triton_grpc": self._workshop.triton_grpc}
        others = await self._gateways.take_over(plan.configuration(**parts), self._number)
        self._running = fresh.read_again()
        self._workshop.plan = plan
        own = self._note_own(plan.written.revision)
        partly = any(process.problem for process in others)
        outcome = applied(before.plan.written.revision, plan.written.revision, changes)
        return replace(
            outcome,
            outcome=Outcome.PARTIAL if partly else Outcome.APPLIED,
            warnings=tuple(map(str, fresh.warnings)),
            processes=(own, *others),
        )

    def _note_own(self, revision: str) -> ProcessRevision:
        own = ProcessRevision(name=_NAME, pid=os.getpid(), revision=revision, since=now_text(), number=self._number)
        write_revision(self._workshop.plan.state.revisions, own)
        return own


def stack_changes(before: Checked, after: Checked) -> Changes:
    """Return how two configurations of a stack differ."""
    roles = changes_of(_of_roles(before), _of_roles(after))
    own = changes_of([_suites_own(before.plan.settings)], [_suites_own(after.plan.settings)])
    return Changes.joined([roles, own, Changes(restart=frozenset((*_parts(before, after),)))])


def _of_roles(found: Checked) -> list[BaseModel]:
    return [settings for settings in found.read if not isinstance(settings, Settings)]


def _suites_own(settings: Settings) -> Settings:
    """Return the suite's settings without those sections that roles read whole."""
    others = {"upstreams": [], "models": [], "tenants": [], "embedding": None, "cache": CacheSwitch()}
    return settings.model_copy(update=others)


def _parts(before: Checked, after: Checked) -> list[tuple[str, ...]]:
    """Return the settings by which other processes were started than those that are wanted now."""
    old, new = before.plan.settings, after.plan.settings
    found: list[tuple[str, ...]] = []
    if (old.embedding is None) != (new.embedding is None):
        found.append(("embedding",))
    local = {*old.local_triton_models, *new.local_triton_models}
    other = [name for name in local if old.local_triton_models.get(name) != new.local_triton_models.get(name)]
    if not other and old.controls_local_triton != new.controls_local_triton:
        other = sorted(local)
    return [*found, *(("upstreams", name) for name in other)]


def revision_metrics(running: Checked) -> RevisionMetrics:
    """Return what tells of the revision that a stack starts with."""
    return RevisionMetrics(running.plan.written.revision)
