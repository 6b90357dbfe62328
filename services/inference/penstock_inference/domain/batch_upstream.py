"""The port to an upstream that answers many requests at once, later."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from datetime import datetime
from typing import Protocol

from penstock_common.contract.upstream_batches import KeptAnswer, UpstreamBatch, UpstreamBatchAnswer
from penstock_inference.domain.upstream import Upstream, UpstreamCall


class BatchNotThere(Exception):
    """The upstream has no batch of that id."""


class BatchUpstream(Protocol):
    """An upstream that answers many requests at once. All but ``line`` and ``kept`` raise ``AttemptFailed``."""

    def line(self, name: str, call: UpstreamCall) -> bytes:
        """Return a request as it stands in a batch.

        Raises:
            AttemptFailed: if the upstream's batches do not take it.
        """
        ...

    async def find(self, name: str, since: datetime, connect_seconds: float) -> UpstreamBatch | None:
        """Return the batch that was begun under a name, not before ``since``; None where there is none."""
        ...

    async def begin(self, name: str, lines: Sequence[bytes], connect_seconds: float) -> UpstreamBatch:
        """Begin a batch under a name."""
        ...

    async def get(self, batch_id: str, connect_seconds: float) -> UpstreamBatch:
        """Return how a batch stands; raises ``BatchNotThere``, too."""
        ...

    async def cancel(self, batch_id: str, connect_seconds: float) -> UpstreamBatch:
        """Ask for a batch's end, which one that has ended does not mind; raises ``BatchNotThere``, too."""
        ...

    def read(self, batch_id: str, connect_seconds: float) -> AsyncGenerator[Sequence[UpstreamBatchAnswer]]:
        """Yield what a batch was answered with, as it comes; raises ``BatchNotThere``, too."""
        ...

    def kept(self, answer: KeptAnswer) -> Upstream:
        """Return an upstream that tells an answer of a batch, at the tier of batches."""
        ...
