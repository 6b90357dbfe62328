"""Prompts as they are kept, and where."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from penstock_gateway.domain.prompts.content import Template


@dataclass(frozen=True, slots=True)
class LabelRecord:
    """Which version a label points to, and to which it pointed before, the newest last."""

    label: str
    version: int
    earlier: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptRecord:
    """A prompt of a tenant. One with ``archived_at`` is used by nobody."""

    tenant: str
    name: str
    newest_version: int
    created_at: datetime
    archived_at: datetime | None = None
    labels: tuple[LabelRecord, ...] = ()

    def version_of(self, label: str) -> int:
        """Return the version that a label points to, 0 where there is no such label."""
        return next((known.version for known in self.labels if known.label == label), 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionRecord:
    """A version, which never changes. ``created_by`` is the id of the key, or who typed the command."""

    tenant: str
    name: str
    version: int
    template: Template
    note: str
    created_at: datetime
    created_by: str


class PromptStore(Protocol):
    """Where requests look prompts up."""

    async def prompt(self, tenant: str, name: str) -> PromptRecord | None:
        """Return the prompt, archived or not."""
        ...

    async def version(self, tenant: str, name: str, version: int) -> VersionRecord | None:
        """Return a version."""
        ...

    async def prompts(self, tenant: str, after: str, limit: int, *, with_archived: bool) -> list[PromptRecord]:
        """Return prompts by name."""
        ...


class PromptRecords(PromptStore, Protocol):
    """Prompts in a transaction."""

    async def versions(self, tenant: str, name: str, before: int | None, limit: int) -> list[VersionRecord]:
        """Return versions, the newest first."""
        ...

    async def hold(self, tenant: str, name: str) -> PromptRecord | None:
        """Return the prompt, which nobody else changes before the transaction ends."""
        ...

    async def next_version(self, tenant: str, name: str, now: datetime) -> int:
        """Return the number of a new version, of a new prompt where there is none of the name; an archived one is back.

        Raises:
            ResourceExists: if somebody else makes the prompt at the same moment.
        """
        ...

    async def add_version(self, record: VersionRecord) -> None:
        """Keep a version."""
        ...

    async def set_label(self, tenant: str, name: str, label: LabelRecord) -> None:
        """Have a label of a prompt point where it says."""
        ...

    async def archive(self, tenant: str, name: str, now: datetime) -> None:
        """Have nobody use the prompt; its labels are gone."""
        ...
