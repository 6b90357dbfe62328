"""The port to an upstream: one answer at a time, read in batches of what was there at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, final

import msgspec

from penstock_common.llm.types import (
    ChoiceFinished,
    FinishReason,
    GenerationInput,
    Opaque,
    OpaqueDelta,
    ReasoningDelta,
    StopDetails,
    TextDelta,
    ToolCallDelta,
    UnsupportedFields,
    Usage,
)
from penstock_inference.domain.model_facts import UNKNOWN_MODEL, ModelFacts


@final
class Stopped(msgspec.Struct, frozen=True):
    """The model stopped of its own accord: the answer is whole; ``service_tier`` where the upstream says which it had.

    ``details`` where it says more of the end than our reasons do.
    """

    reason: FinishReason
    matched_stop: str = ""
    service_tier: str = ""
    details: StopDetails | None = None


@final
class Gap(msgspec.Struct, frozen=True):
    """Something came here that nobody can read, and that need not have been a part of the answer.

    An upstream that finds later that it was one fails.
    """


@final
class Unread(msgspec.Struct, frozen=True):
    """What the upstream has said so far beside what is read of it; the last one counts."""

    block: Opaque


UpstreamEvent = (
    TextDelta | ReasoningDelta | ToolCallDelta | OpaqueDelta | ChoiceFinished | Usage | Stopped | Gap | Unread
)


class UpstreamCall(msgspec.Struct, frozen=True):
    """One attempt, as an upstream sees it. ``unsupported``: what becomes of fields that it does not take.

    ``model`` is the upstream's own name of the model. ``whole``: nobody reads the
    answer before its end, so it may be asked for in one piece. ``is_continued``: the
    last turn is the assistant's, begun, and the model is to go on with it. The upstream calls
    ``headers_received`` once, when the response has begun, and ``whole_expected``
    where it asks for one piece although a stream was wanted; every other timer than
    that of connecting is kept outside, and ends the attempt by cancelling it.
    """

    model: str
    input: GenerationInput
    connect_seconds: float
    headers_received: Callable[[], None]
    whole_expected: Callable[[], None]
    whole: bool = False
    is_continued: bool = False
    unsupported: UnsupportedFields = UnsupportedFields.REFUSE
    facts: ModelFacts = UNKNOWN_MODEL


class UpstreamAnswer(Protocol):
    """One answer of an upstream, asked for by the first ``read``; one task reads it, and closes it whatever happened."""

    @property
    def ended(self) -> bool:
        """Whether nothing more comes, and the end was a clean one."""
        ...

    @property
    def sent(self) -> bool:
        """Whether the upstream has been sent the whole request, and may charge for reading it."""
        ...

    @property
    def unread_bytes(self) -> int:
        """How much of an answer in one piece has come: it has been made then, and will be charged for."""
        ...

    @property
    def dropped(self) -> tuple[str, ...]:
        """The fields that it was asked without, once it was asked."""
        ...

    async def read(self) -> Sequence[UpstreamEvent]:
        """Return what the next read brought, neighbouring deltas of one kind merged; nothing at the end.

        Cancelling the task that waits for it closes the connection at once.

        Raises:
            AttemptFailed: for everything an upstream can do wrong.
        """
        ...

    async def aclose(self) -> None:
        """Close the connection at once, or keep it for the next request where the answer was read to its end."""
        ...


class NoAnswer:
    """The answer of an upstream that could not even be asked; raises why when it is read."""

    ended = False
    sent = False
    unread_bytes = 0
    dropped: tuple[str, ...] = ()

    def __init__(self, error: Exception) -> None:
        self._error = error

    async def read(self) -> Sequence[UpstreamEvent]:
        """Raise what asking raised."""
        raise self._error

    async def aclose(self) -> None:
        """Do nothing: nothing was opened."""


class Upstream(Protocol):
    """Whom we call."""

    def ask(self, call: UpstreamCall) -> UpstreamAnswer:
        """Return the answer, not asked for yet."""
        ...
