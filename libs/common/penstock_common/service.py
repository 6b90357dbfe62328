"""What a role of the suite is, whichever process it runs in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from penstock_common.rpc.method import Handler


@dataclass(frozen=True, slots=True)
class Service:
    """A built role: ready to serve, its adapters open.

    Each role's ``app.build`` is an async context manager that yields one of
    these and closes its adapters, in reverse order, on exit.
    """

    name: str
    handlers: Sequence[Handler]
    """What it serves, over either transport."""
    collectors: Sequence[Any] = ()
    """What it measures, as prometheus_client's collectors, for the registry of the process that it runs in."""
