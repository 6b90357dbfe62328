"""What the processes of a stack write down for each other and for other commands, and what it answers."""

from __future__ import annotations

from typing import Any

import msgspec

from penstock_suite.domain.answers import GatewayReport
from penstock_suite.domain.cache_facts import CacheFacts
from penstock_suite.domain.reload import Reload


class RunningPart(msgspec.Struct, frozen=True):
    """A process of the stack."""

    name: str
    pid: int


class RunRecord(msgspec.Struct, frozen=True):
    """A stack that is ready."""

    pid: int
    started_at: str
    """RFC 3339, UTC."""
    http: str
    """Such as http://127.0.0.1:8080."""
    grpc: str
    """host:port, reachable from this machine."""
    gateways: tuple[str, ...]
    """Where each gateway answers without TLS, to the owner of the state folder alone: unix:///path."""
    config: str
    """Path of the configuration file; empty for the packaged one."""
    without_triton: bool
    parts: tuple[RunningPart, ...]
    triton_grpc: str = ""
    """host:port of the local Triton; empty where there is none."""
    awaits_proxy_header: bool = False
    """Whether ``http`` wants a PROXY header of this machine first."""
    cache: CacheFacts | None = None


class StackStatus(msgspec.Struct, frozen=True, kw_only=True):
    """What a running stack answers when it is asked."""

    ready: bool
    """Whether both ports say that they serve."""
    http: str
    http_status: str
    grpc: str
    grpc_status: str
    state: str
    config: str
    started_at: str
    revision: str
    """Of the configuration: the first digits of the file's SHA-256."""
    revision_since: str
    last_reload: Reload | None
    """None before the first."""
    parts: tuple[PartStatus, ...]
    gateways: tuple[GatewayReport, ...]
    """What each gateway says of itself; those that do not answer are missing."""
    cache: CacheFacts | None = None


class PartStatus(msgspec.Struct, frozen=True):
    """A process of the stack, and whether it lives."""

    name: str
    pid: int
    running: bool
    revision: str = ""
    """Of the configuration; empty for a part that reads none."""
    revision_since: str = ""
    problem: str = ""
    """Why it has not taken over the revision that it was told of last."""


class WorkerPlan(msgspec.Struct, frozen=True, kw_only=True):
    """Gateway, router, inference and cache in a process that shares the public gRPC port with its equals."""

    name: str
    document: dict[str, Any]
    """The configuration, completed with the local parts; its references are still to be resolved."""
    source: str
    """What errors call the configuration."""
    revision: str
    """Of the configuration."""
    reload: int = 0
    """Number of the reload that brought it."""
    metrics: str = ""
    """host:port where its metrics are fetched, if they are."""
    revisions: str
    """The folder where the worker notes which revision it runs."""
    grpc: str
    """host:port, shared."""
    grpc_socket: str
    """Its own, for the edge."""
    http_socket: str
    """Its own, for the wire formats."""
    embedding_socket: str = ""
    """Where the stack's one embedding service listens; empty where there is none."""
    points_socket: str = ""
    """Where the stack's one engine of vectors listens; empty where there is none."""
    local_triton_models: dict[str, list[str]]
    """By upstream; each serves once before the worker is ready."""
    grace_seconds: float
