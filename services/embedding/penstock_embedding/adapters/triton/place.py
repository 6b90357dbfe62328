"""Where a model on a Triton is, and how it is asked. Without imports: whoever has no Triton pays for none."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class TritonPlace:
    """Where the model is, and how it is asked.

    ``target`` is host:port; ``version`` empty takes the newest. ``timeout`` is
    one attempt's, at one batch, and ``timeout_with_others`` where another server
    could be asked instead. ``patience`` is how long opening waits for the
    server to answer; without it, it has to answer at once. ``most_texts`` is
    the largest batch there will be. ``key`` is where its settings stand.
    """

    upstream: str
    target: str
    model: str
    version: str = ""
    timeout: timedelta = timedelta(seconds=10)
    timeout_with_others: timedelta = timedelta(seconds=5)
    key: str = "embedding.triton"
    patience: timedelta | None = None
    most_texts: int = 1
