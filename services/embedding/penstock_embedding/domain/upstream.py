"""An upstream that serves the model, as the failover asks it, and what the failover is told and tells."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import NamedTuple, Protocol, TypeVar

from penstock_embedding.domain.embedder import Vector

AskedT_contra = TypeVar("AskedT_contra", contravariant=True)


class Vectors(NamedTuple):
    """One part's vectors, in order and L2-normalised, and its tokens as the upstream counted them: 0 where it did not."""

    vectors: list[Vector]
    tokens: int = 0


class Upstream(Protocol[AskedT_contra]):
    """One server of the model."""

    @property
    def name(self) -> str:
        """What the ledger calls it."""
        ...

    async def ask(
        self, asked: AskedT_contra, seconds: float, *, others_left: bool, sent: Callable[[], None]
    ) -> Vectors:
        """Return the vectors of one attempt, which takes ``seconds`` at the most; ``sent`` is called once the texts are on their way.

        Where ``others_left``, silence is borne for a shorter time of its own.

        Raises:
            AttemptFailed: for whatever came instead.
        """
        ...


class FailoverObserver(Protocol):
    """Turns attempts into metrics and lines in the log; returns at once."""

    def attempted(self, upstream: str, outcome: str) -> None:
        """See an attempt end: ``answered``, ``cancelled``, or the cause of its failure."""
        ...

    def put_out(self, upstream: str, cause: str) -> None:
        """See an upstream ejected."""
        ...

    def taken_back(self, upstream: str) -> None:
        """See it come back."""
        ...


@dataclass(frozen=True, slots=True)
class FailoverPolicy:
    """``attempts`` at each upstream for one part; ``dimensions`` of every vector, 0: those of the first answer."""

    attempts: int = 2
    dimensions: int = 0


@dataclass(frozen=True, slots=True)
class Clocks:
    """Time and chance, as tests replace them. ``chance`` returns a number in [0, 1)."""

    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    chance: Callable[[], float] = random.random  # noqa: S311 - no secret
