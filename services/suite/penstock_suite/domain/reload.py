"""What became of a reload, as the stack notes it for whoever asked, and which revision each process runs."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from penstock_suite.domain.changes import Changes, Setting


class Outcome(StrEnum):
    """How a reload ended."""

    APPLIED = "applied"
    """Every process runs the revision."""
    REFUSED = "refused"
    """The file has faults, or changes what needs a restart: everything runs on as it was."""
    PARTIAL = "partial"
    """Some processes run the revision, and others do not: ``processes`` names them."""


class ProcessRevision(msgspec.Struct, frozen=True, kw_only=True):
    """Which revision a process runs; ``problem`` is why it has not taken over the one that it was told of last."""

    name: str
    pid: int
    revision: str
    since: str
    """RFC 3339, UTC."""
    number: int = 0
    """Of the reload that it has taken part in last; 0 for none."""
    problem: str = ""


class Reload(msgspec.Struct, frozen=True, kw_only=True, tag="reload", tag_field="event"):
    """A reload that has ended. Settings are told by name, never by value."""

    outcome: Outcome
    revision_before: str
    revision: str
    """Of the file that was read; the one that runs, unless the reload was refused."""
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    faults: tuple[str, ...] = ()
    """Why it was refused: each with file, line, key and remedy."""
    warnings: tuple[str, ...] = ()
    processes: tuple[ProcessRevision, ...] = ()
    began_ns: int = 0
    """When, on the machine's monotonic clock: who asked earlier is answered by it."""


def told(settings: frozenset[Setting]) -> tuple[str, ...]:
    """Return settings as people write them, in order."""
    return tuple(sorted(".".join(setting) for setting in settings))


def applied(before: str, after: str, changes: Changes) -> Reload:
    """Return a reload that nothing stands against."""
    return Reload(
        outcome=Outcome.APPLIED,
        revision_before=before,
        revision=after,
        added=told(changes.added),
        removed=told(changes.removed),
        changed=told(changes.changed),
    )
