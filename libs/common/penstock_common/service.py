"""A service of the suite, as it is declared and as it runs, wherever that is."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any

from penstock_common.configuration import Section
from penstock_common.rpc.method import Handler

Commit = Callable[[], None]
"""Has what comes from now on answered by what was prepared. It awaits nothing and cannot fail."""
Prepare = Callable[[Any], Awaitable[Commit]]
"""Makes all that other settings of the role need, and returns the commit; who does not call it has changed nothing.

Raises ``ConfigurationError`` if they cannot be used.
"""


def _nothing_changes() -> None:
    """Go on as before."""


async def nothing_to_prepare(_: Any) -> Commit:
    """Return the commit of a role that takes nothing over without a restart."""
    return _nothing_changes


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
    prepare: Prepare = nothing_to_prepare
    """Called with other settings of the role, whose settings that need a restart are as they were."""


@dataclass(frozen=True, slots=True)
class Role:
    """What a role needs, for whoever puts roles together: a new call between two of them is a name here, and no more.

    ``build`` takes the role's settings and, by their names, a ``Channel`` to each role that it calls.
    """

    settings: type[Section]
    build: Callable[..., AbstractAsyncContextManager[Any]]
    calls: tuple[str, ...] = ()
    """The roles that it cannot do without."""
    may_call: tuple[str, ...] = ()
    """The roles that it calls where they are; ``build`` gets none of what is not."""
    meets: tuple[str, ...] = ()
    """The roles that it shares a ``Board`` with: ``build`` gets it as ``board`` where all of them are in its process."""
    hears_gateway: bool = False
    """Whether ``build`` gets a ``QualityBoard`` as ``quality``, where a gateway is in its process."""
