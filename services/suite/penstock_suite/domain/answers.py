"""What commands answer: a conversation's pieces, models, upstreams, copies of the database, what a gateway says of itself."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec


class Turn(msgspec.Struct, frozen=True):
    """What one side said; ``role`` is user or assistant."""

    role: str
    text: str


class Piece(msgspec.Struct, frozen=True):
    """Some more of an answer; ``is_reasoning`` where the model thinks before it answers."""

    text: str
    is_reasoning: bool = False


class AnswerEnd(msgspec.Struct, frozen=True, kw_only=True):
    """How an answer ended. Unit of the counts: tokens."""

    model: str
    upstream: str
    finish_reason: str
    input_tokens: int
    output_tokens: int
    cost_nano_usd: int | None
    """None where nobody knows."""


class SheetLine(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that is known of a model."""

    key: str
    value: Any
    said_at: str
    """file:line"""
    source: str
    """The vendor's page, where a datasheet says it."""


class ModelSheet(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a model; ``candidate`` is empty where no upstream of the configuration has it."""

    name: str
    candidate: str
    also: tuple[str, ...]
    price_is_known: bool
    lines: tuple[SheetLine, ...]


class ModelRow(msgspec.Struct, frozen=True, kw_only=True):
    """A model at an upstream, and the public names that it may answer to."""

    upstream: str
    model: str
    state: str
    """ready, loading, unloading or unavailable; empty where the upstream does not tell."""
    reason: str
    """Why it is not ready, in the upstream's words."""
    controllable: bool
    """Whether it can be loaded and unloaded."""
    context_window_tokens: int
    public_names: tuple[str, ...]


class UpstreamRow(msgspec.Struct, frozen=True, kw_only=True):
    """A model at one endpoint of an upstream: state, reason and times of all replicas, figures of the answering one.

    None stands for what is not known, or not limited.
    """

    upstream: str
    model: str
    endpoint: str
    """Tells it from the upstream's others; no secret."""
    state: str
    """ok, slow, cooling, ejected, probing or by hand; empty where it is not told."""
    reason: str
    since: datetime | None
    until: datetime | None
    latency_ms: float | None
    """Until the first token."""
    in_flight: int
    waiting: int | None
    """Requests before the upstream's limits, whatever the model."""
    limit: int | None
    """How many requests the upstream takes at once now."""
    probed_at: datetime | None
    probe_outcome: str

    @property
    def name(self) -> str:
        """What people call it."""
        return f"{self.upstream}/{self.model}" + (f" at {self.endpoint}" if self.endpoint else "")


class Exported(msgspec.Struct, frozen=True, kw_only=True):
    """Rows in a file that is complete and on the disk; they count as exported."""

    file: str
    rows: int
    seconds: float


class BackedUp(msgspec.Struct, frozen=True, kw_only=True):
    """An archive that is complete and on the disk."""

    file: str
    bytes: int
    schema: str
    """The revision of the schema that it holds."""
    created_at: datetime
    """The moment that it shows."""
    rows: dict[str, int]
    """By table."""
    seconds: float
    documents: str = ""
    """Where the copy of documents is, if one was asked for."""
    documents_bytes: int = 0


class Restored(msgspec.Struct, frozen=True, kw_only=True):
    """A database that holds what the archive held."""

    file: str
    created_at: datetime
    schema: str
    """The revision of the schema that the database has now."""
    archived_schema: str
    rows: dict[str, int]
    replaced: bool
    """Whether there were rows, which are gone."""
    keys_fit: bool | None
    """Whether the pepper here is the one that the keys need; None where either is unknown."""
    seconds: float


class UpstreamModelReport(msgspec.Struct, frozen=True):
    """A model at an upstream. The state is empty where the upstream does not tell."""

    name: str
    state: str
    reason: str


class UpstreamReport(msgspec.Struct, frozen=True):
    """An upstream: its models, and how the gateway's attempts of the window went."""

    name: str
    attempts: int
    failed_attempts: int
    models: tuple[UpstreamModelReport, ...]


class GatewayReport(msgspec.Struct, frozen=True, kw_only=True):
    """One gateway process. Of the requests that ended within the window; None where nothing is known."""

    is_healthy: bool
    problems: tuple[str, ...]
    replica: str
    version: str
    requests_in_flight: int
    window_seconds: float
    requests: int
    failures: int
    error_ratio: float
    duration_p50_ms: float | None
    duration_p95_ms: float | None
    time_to_first_token_p50_ms: float | None
    time_to_first_token_p95_ms: float | None
    cache_hit_ratio: float | None
    cost_per_request_nano_usd: int | None
    upstreams: tuple[UpstreamReport, ...]
    unwell: tuple[UpstreamRow, ...]
    """What is not ok of the upstreams' places."""
    revision: str
    """Of the configuration that it runs."""
    revision_since: str
    """RFC 3339, UTC."""
