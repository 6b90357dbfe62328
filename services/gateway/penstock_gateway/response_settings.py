"""Answers that are kept for later requests, as the configuration says them."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Self

from pydantic import Field, model_validator

from penstock_common.configuration import MAX_INT32, Duration, Section
from penstock_common.faults import refuse
from penstock_gateway.domain.responses.keeping import ResponseTerms

_USUAL = ResponseTerms()
_POSITIVE = ("kept", "sweep_every", "cancel_wait")


class ResponseSettings(Section):
    """Answers of `/v1/responses` that are kept, sealed, for whoever goes on from them ([responses](responses.md))."""

    enabled: bool = _USUAL.enabled
    """Whether any are kept. Off: `store` is false for all, and a request that says `true` is refused."""
    kept: Duration = _USUAL.kept
    """How long, from when it was asked for; one that another goes on from as long as that. At most 400d."""
    max_turns: Annotated[int, Field(ge=1, le=10_000)] = _USUAL.max_turns
    """Answers that go on from one another; then a conversation must begin anew."""
    max_chain_bytes: Annotated[int, Field(ge=1024, le=MAX_INT32)] = _USUAL.max_chain_bytes
    """Of what all of them, and the request, have in items."""
    sweep_every: Duration = timedelta(minutes=5)
    """How often a process deletes what is too old, and keeps how answers ended that were made in the background."""
    cancel_wait: Duration = timedelta(seconds=5)
    """How long a cancellation waits until whoever makes the answer has stopped."""

    @model_validator(mode="after")
    def _usable(self) -> Self:
        refuse(((name,), "it must be longer than nothing") for name in _POSITIVE if getattr(self, name) <= timedelta())
        if self.kept > timedelta(days=400):
            refuse([(("kept",), "at most 400d is expected")])
        return self

    @property
    def terms(self) -> ResponseTerms:
        """What is kept, and how much of it."""
        return ResponseTerms(
            enabled=self.enabled, kept=self.kept, max_turns=self.max_turns, max_chain_bytes=self.max_chain_bytes
        )
