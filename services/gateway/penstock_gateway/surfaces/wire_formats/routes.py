"""Which requests are served, by whom, and what they ask of a key."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass

from penstock_gateway.domain.access.identity import Caller
from penstock_gateway.domain.access.policy import Policy, policy_of
from penstock_gateway.surfaces.arrival import Arrival
from penstock_gateway.surfaces.http1.request import HttpRequest
from penstock_gateway.surfaces.http1.response import HttpResponse
from penstock_gateway.surfaces.wire_formats.format import Family

Serve = Callable[[Arrival, Caller, HttpRequest, HttpResponse], Awaitable[None]]
_ANY_NAME = "/{id}"


@dataclass(frozen=True, slots=True)
class Route:
    """A path's one method, and who serves it."""

    method: str
    family: Family
    policy: Policy
    serve: Serve


class Routes:
    """Finds the route of a path. A path that ends in ``/{id}`` takes any name there, slashes included."""

    def __init__(self) -> None:
        self._by_path: dict[str, Route] = {}
        self._by_prefix: dict[str, Route] = {}

    def add(self, method: str, path: str, family: Family, serve: Serve) -> None:
        """Add a route; what it asks of a key stands in the table of policies.

        Raises:
            ScopeMissing: if it does not.
        """
        route = Route(method, family, policy_of(f"{method} {path}"), serve)
        if path.endswith(_ANY_NAME):
            self._by_prefix[path.removesuffix(_ANY_NAME) + "/"] = route
        else:
            self._by_path[path] = route

    def find(self, path: str) -> Route | None:
        """Return the route of a path that was decoded once."""
        route = self._by_path.get(path)
        if route is not None:
            return route
        matching = (prefix for prefix in self._by_prefix if path.startswith(prefix) and len(path) > len(prefix))
        return self._by_prefix.get(next(matching, ""))


def listed(paths: Iterable[str]) -> str:
    """Return the paths as they stand in a sentence."""
    *most, last = paths
    return f"{', '.join(most)} and {last}"
