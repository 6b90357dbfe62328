"""When a process reloads its configuration, and what it says of it: the same for a stack, a worker and a role."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import structlog
from msgspec.structs import replace
from pydantic import BaseModel

from penstock_common.configuration import Configuration, ConfigurationError
from penstock_suite.adapters.revision_metrics import RevisionMetrics
from penstock_suite.domain.changes import Changes, changes_between, place_of
from penstock_suite.domain.failure import Misconfigured, SuiteFailure
from penstock_suite.domain.reload import Outcome, Reload

_log = structlog.get_logger(__name__)

_NEEDS_RESTART = "it is other than what runs, and takes effect with a restart alone; nothing was taken over"


class Reloads:
    """Reloads, one after another: asked for before the start they follow it, asked for during one, one more follows."""

    def __init__(self) -> None:
        self._asked = asyncio.Event()

    def ask(self) -> None:
        """Have the configuration read again."""
        self._asked.set()

    @asynccontextmanager
    async def answered(self, reload: Callable[[], Awaitable[None]]) -> AsyncGenerator[None]:
        """Reload when it is asked for, until the block ends."""
        task = asyncio.create_task(self._answer(reload), name="reload the configuration")
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait((task,))

    async def _answer(self, reload: Callable[[], Awaitable[None]]) -> None:
        while True:
            await self._asked.wait()
            self._asked.clear()
            try:
                await reload()
            except Exception:
                # Such as a full disk, when it is to be noted: the next one is heard all the same.
                _log.exception("reload_failed")


async def reloaded(work: Callable[[], Awaitable[Reload]], revision: str) -> Reload:
    """Return what became of a reload, whatever stood against it; ``revision`` runs until then."""
    began_ns = time.monotonic_ns()
    try:
        outcome = await work()
    except (ConfigurationError, SuiteFailure) as error:
        outcome = _refused(revision, error)
    except Exception as error:
        # What runs goes on running, and whoever asked waits for an answer.
        _log.exception("reload_failed")
        failure = SuiteFailure(f"{type(error).__name__}, which should not be: {error}")
        outcome = _refused(revision, failure)
    return replace(outcome, began_ns=began_ns)


def _refused(revision: str, error: Exception) -> Reload:
    if isinstance(error, ConfigurationError):
        error = Misconfigured.by(error)
    faults = error.faults if isinstance(error, Misconfigured) else (str(error),)
    return Reload(outcome=Outcome.REFUSED, revision_before=revision, revision=revision, faults=faults)


def note(outcome: Reload, metrics: RevisionMetrics) -> None:
    """Say in the log and in the metrics what became of a reload."""
    if outcome.outcome is Outcome.REFUSED:
        metrics.refuse()
        _log.error("configuration_refused", running=outcome.revision_before, faults=outcome.faults)
        return
    metrics.take_over(outcome.revision)
    changes = {"added": outcome.added, "removed": outcome.removed, "changed": outcome.changed}
    _log.info("configuration_reloaded", before=outcome.revision_before, revision=outcome.revision, **changes)
    for process in outcome.processes:
        if process.problem:
            _log.error("configuration_not_taken_over", process=process.name, reason=process.problem)


def changes_of(before: Iterable[BaseModel], after: Iterable[BaseModel]) -> Changes:
    """Return how the settings of several roles differ, each with those of its type."""
    earlier = {type(settings): settings for settings in before}
    return Changes.joined(
        changes_between(earlier[type(settings)], settings) for settings in after if type(settings) in earlier
    )


def refuse_what_needs_a_restart(changes: Changes, configuration: Configuration) -> None:
    """Raise ConfigurationError with the keys that no running process takes over."""
    faults = []
    for setting in sorted(changes.restart):
        where = place_of(setting, configuration.document)
        faults.append(configuration.fault(where, f"'{'.'.join(setting)}': {_NEEDS_RESTART}"))
    if faults:
        raise ConfigurationError(*faults)


def now_text() -> str:
    """Return the time of day as records have it: RFC 3339, UTC."""
    return datetime.now(UTC).isoformat(timespec="seconds")
