"""What a role of the suite is, whichever process it runs in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Service:
    """A built role: ready to serve, its adapters open.

    ``register`` adds its servicers to a server of either transport. Each
    role's ``app.build`` is an async context manager that yields one of these
    and closes its adapters, in reverse order, on exit.
    """

    name: str
    register: Callable[[Any], None]
    """Takes an ``RpcRegistrar``, which stands where generated code expects a server."""
    collectors: Sequence[Any] = ()
    """What it measures, as prometheus_client's collectors, for the registry of the process that it runs in."""
