"""What a running stack writes down, so that other commands find it."""

from __future__ import annotations

import msgspec

from penstock_suite.domain.gateway_report import GatewayReport


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
    parts: tuple[PartStatus, ...]
    gateways: tuple[GatewayReport, ...]
    """What each gateway says of itself; those that do not answer are missing."""


class PartStatus(msgspec.Struct, frozen=True):
    """A process of the stack, and whether it lives."""

    name: str
    pid: int
    running: bool
