"""What one of several equal processes of a stack is to do."""

from __future__ import annotations

from typing import Any

import msgspec


class WorkerPlan(msgspec.Struct, frozen=True, kw_only=True):
    """Gateway, router, inference and cache in a process that shares the public gRPC port with its equals."""

    name: str
    document: dict[str, Any]
    """The configuration, completed with the local parts; its references are still to be resolved."""
    source: str
    """What errors call the configuration."""
    grpc: str
    """host:port, shared."""
    grpc_socket: str
    """Its own, for the edge."""
    http_socket: str
    """Its own, for the wire formats."""
    embedding_socket: str = ""
    """Where the stack's one embedding service listens; empty where there is none."""
    local_triton_models: dict[str, list[str]]
    """By upstream; each serves once before the worker is ready."""
    grace_seconds: float
