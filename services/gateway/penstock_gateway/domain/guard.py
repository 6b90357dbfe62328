"""What may go to a model and what may come back."""

from __future__ import annotations

from typing import Protocol

from penstock_common.llm.types import GenerationInput


class Guard(Protocol):
    """Looks at the input before any model sees it."""

    async def check_input(self, request: GenerationInput) -> None:
        """Let the input pass, or raise the domain error that refuses it."""
        ...


class OpenGuard:
    """Lets everything pass: the only guard of this version."""

    async def check_input(self, request: GenerationInput) -> None:
        """Let the input pass."""
