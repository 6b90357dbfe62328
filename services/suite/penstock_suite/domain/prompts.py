"""Prompts as people see them, and what may be asked of them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Protocol

import msgspec


class VariableRow(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """What may stand in a place of a prompt; without a ``default`` and not ``required`` it may be left empty."""

    type: str = "string"
    required: bool = True
    default: Any = None
    description: str = ""
    max_length: int = 0
    values: tuple[str, ...] = ()


class PromptDraft(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """A version as it stands in a file. Each of the ``messages`` is one role with its text; ``sampling`` is by field."""

    messages: tuple[dict[str, str], ...]
    variables: dict[str, VariableRow] = {}
    model: str = ""
    sampling: dict[str, Any] = {}
    note: str = ""


class PromptVersionRow(msgspec.Struct, frozen=True, kw_only=True):
    """A version, which never changes."""

    name: str
    version: int
    draft: PromptDraft
    created_at: datetime
    created_by: str


class PromptRow(msgspec.Struct, frozen=True, kw_only=True):
    """A prompt and the versions that its labels point to."""

    name: str
    tenant: str
    newest_version: int
    labels: dict[str, int]
    created_at: datetime
    archived_at: datetime | None


class PromptChoice(msgspec.Struct, frozen=True, kw_only=True):
    """A version by its number, or where that is 0 by a label, ``production`` where there is none."""

    tenant: str
    name: str
    version: int = 0
    label: str = ""


class Prompts(Protocol):
    """Prompts, as far as they are administered. What it refuses is a ``SuiteFailure``."""

    async def create_prompt_version(
        self, tenant: str, name: str, draft: PromptDraft, labels: tuple[str, ...]
    ) -> PromptVersionRow:
        """Return the new version."""
        ...

    async def prompts(self, tenant: str, *, with_archived: bool) -> list[PromptRow]:
        """Return the tenant's prompts, by name."""
        ...

    async def prompt(self, tenant: str, name: str) -> PromptRow:
        """Return a prompt."""
        ...

    async def prompt_version(self, choice: PromptChoice) -> PromptVersionRow:
        """Return a version."""
        ...

    async def prompt_difference(self, tenant: str, name: str, between: tuple[int, int]) -> str:
        """Return a unified diff of two versions; empty where they say the same."""
        ...

    async def rendered_prompt(self, choice: PromptChoice, values: Mapping[str, Any]) -> tuple[dict[str, str], ...]:
        """Return a version's messages with the values in their places, each one role with its text."""
        ...

    async def set_prompt_label(self, tenant: str, name: str, label: str, version: int) -> PromptRow:
        """Return the prompt, whose label points to the version."""
        ...

    async def roll_back_prompt_label(self, tenant: str, name: str, label: str) -> PromptRow:
        """Return the prompt, whose label points to where it pointed before."""
        ...

    async def archive_prompt(self, tenant: str, name: str) -> PromptRow:
        """Return the prompt, which nobody uses from now on."""
        ...
