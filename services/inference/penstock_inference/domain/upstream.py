"""The port to an upstream: one streaming method, batches of events per read."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from datetime import timedelta
from typing import Protocol

import msgspec

from penstock_common.llm.types import (
    FinishReason,
    GenerationInput,
    ReasoningDelta,
    TextDelta,
    ToolCallDelta,
    Usage,
)


class Stopped(msgspec.Struct, frozen=True):
    """The model stopped of its own accord: the answer is whole."""

    reason: FinishReason
    matched_stop: str = ""


UpstreamEvent = TextDelta | ReasoningDelta | ToolCallDelta | Usage | Stopped


class UpstreamCall(msgspec.Struct, frozen=True):
    """One attempt, as an upstream sees it.

    ``model`` is the upstream's own name of the model. The upstream calls
    ``headers_received`` once, when the response has begun; every other timer
    but ``connect_timeout`` is kept outside, and ends the attempt by cancelling it.
    """

    model: str
    input: GenerationInput
    connect_timeout: timedelta
    headers_received: Callable[[], None]


class Upstream(Protocol):
    """Whom we call."""

    def stream(self, call: UpstreamCall) -> AsyncGenerator[list[UpstreamEvent], None]:
        """Yield what each read brought, never empty, neighbouring deltas of one kind merged.

        Returns normally only after ``Stopped`` and a clean end. Closing the
        generator or cancelling the task that runs it closes the connection.

        Raises:
            AttemptFailed: for everything an upstream can do wrong.
        """
        ...
