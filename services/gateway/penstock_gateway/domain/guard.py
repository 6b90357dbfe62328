"""What may go to a model and what may come back."""

from __future__ import annotations

from typing import Protocol

from penstock_common.llm.types import GenerationEvent, GenerationInput


class Guard(Protocol):
    """Looks at the input before any model sees it, and at the output before any caller does."""

    async def check_input(self, request: GenerationInput) -> None:
        """Let the input pass, or raise the domain error that refuses it."""
        ...

    def check_output(self, event: GenerationEvent) -> GenerationEvent:
        """Return what the caller may see of the event, or raise the domain error that ends the answer."""
        ...


class OpenGuard:
    """Lets everything pass: the only guard of this version."""

    async def check_input(self, request: GenerationInput) -> None:
        """Let the input pass."""

    def check_output(self, event: GenerationEvent) -> GenerationEvent:
        """Let the event pass."""
        return event
