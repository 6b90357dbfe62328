"""What a command is asked to do."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Selection:
    """Which stack: its configuration (None: the packaged one) and its state folder (None: the default one)."""

    config: Path | None = None
    state: Path | None = None
    without_triton: bool = False


@dataclass(frozen=True, slots=True)
class UpRequest:
    """Start a stack; on a signal, requests in flight have ``grace`` to end."""

    selection: Selection
    grace: timedelta = timedelta(seconds=30)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRequest:
    """Make a key. No ``models`` means all; no ``lifetime`` means for good."""

    tenant: str
    label: str
    scopes: frozenset[str]
    models: frozenset[str]
    lifetime: timedelta | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatTarget:
    """Where to chat. An empty ``model`` means the first that the key may use."""

    grpc_address: str
    key: str
    model: str = ""
