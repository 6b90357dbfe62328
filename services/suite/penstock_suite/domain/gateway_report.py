"""What a gateway says of itself, as people and programs see it."""

from __future__ import annotations

import msgspec


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
