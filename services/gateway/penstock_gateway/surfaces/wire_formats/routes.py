"""Finds what serves a path, as callers' base URLs make it: with ``/v1``, without, twice, or as Azure writes it."""

from __future__ import annotations

import difflib
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from penstock_gateway.domain.access.policy import Policy, policy_of
from penstock_gateway.domain.life.door import Place
from penstock_gateway.surfaces.arrival import Arrival
from penstock_gateway.surfaces.http1.messages import HttpRequest, HttpResponse
from penstock_gateway.surfaces.wire_formats.format import Family

Serve = Callable[[Arrival, Place, HttpRequest, HttpResponse], Awaitable[None]]
_ANY_NAME = "/{id}"
_NAME = re.compile(r"\{(\w+)\}")
_VERSION = "/v1"
_SLASHES = re.compile("/{2,}")
_PREFIX = re.compile(r"(?:/openai)?(?:/v1)*(?=/)")
# Azure's, https://learn.microsoft.com/azure/ai-foundry/openai/reference, and OpenAI's own before 2022.
_DEPLOYMENT = re.compile(
    r"(?:/deployments|/engines)/(?!chat/completions$)(?P<model>.+?)(?P<rest>/(?:chat/completions|completions|embeddings))"
)
_LONGEST_ODD_PATH = 512
_NEAR = 0.6


@dataclass(frozen=True, slots=True)
class Route:
    """One method of a path, and who serves it."""

    method: str
    methods: tuple[str, ...]
    """Those that are answered: what may be read may be asked for by its head alone."""
    family: Family
    policy: Policy
    serve: Serve
    others: list[Route] = field(default_factory=list["Route"])
    """The path's other methods; the path is the table's under its first."""

    def of(self, method: str) -> Route | None:
        """Return what serves a method of the path."""
        return next((route for route in (self, *self.others) if method in route.methods), None)

    @property
    def allowed(self) -> list[str]:
        """The methods that the path takes."""
        return [method for route in (self, *self.others) for method in route.methods]


class Found(NamedTuple):
    """A route, its path as the table has it, and the model that the path names, where it names one."""

    route: Route
    path: str
    deployment: str = ""


class Routes:
    """Finds the route of a path.

    A path that ends in ``/{id}`` takes any name there, slashes included; every other name in braces is one segment.
    """

    def __init__(self) -> None:
        self.by_path: dict[str, Found] = {}
        """What serves each path of the table as it stands there; nearly all requests name one, and need ``find`` not."""
        self._by_prefix: dict[str, Route] = {}
        self._by_pattern: dict[str, tuple[re.Pattern[str], Route]] = {}

    def add(self, method: str, path: str, family: Family, serve: Serve) -> None:
        """Add a route; what it asks of a key stands in the table of policies.

        Raises:
            ScopeMissing: if it does not.
        """
        methods = ("GET", "HEAD") if method == "GET" else (method,)
        route = Route(method, methods, family, policy_of(f"{method} {path}"), serve)
        if path.endswith(_ANY_NAME):
            prefix = path.removesuffix(_ANY_NAME) + "/"
            if prefix in self._by_prefix:
                self._by_prefix[prefix].others.append(route)
            else:
                self._by_prefix[prefix] = route
        elif (first := self._first_of(path)) is not None:
            first.others.append(route)
        elif _NAME.search(path):
            self._by_pattern[path] = re.compile(_NAME.sub(r"(?P<\1>[^/]+)", path)), route
        else:
            self.by_path[path] = Found(route, path)

    def find(self, path: str) -> Found | None:
        """Return what serves a path that was decoded once."""
        return self.by_path.get(path) or self._find_odd(path)

    def nearest(self, path: str) -> str:
        """Return the path of the table that is most like one that is not there; '' where none is."""
        near = difflib.get_close_matches(_usual(path[:_LONGEST_ODD_PATH]), list(self.by_path), n=1, cutoff=_NEAR)
        return near[0] if near else ""

    def _find_odd(self, path: str) -> Found | None:
        named = self._named(path.rstrip("/"))
        if named is not None or len(path) > _LONGEST_ODD_PATH:
            return named
        usual = _usual(path)
        found = self.by_path.get(usual) or self._named(usual)
        if found is not None:
            return found
        match = _DEPLOYMENT.fullmatch(usual.removeprefix(_VERSION))
        if match is None:
            return None
        found = self.by_path.get(_VERSION + match["rest"])
        return None if found is None else found._replace(deployment=match["model"])

    def _first_of(self, path: str) -> Route | None:
        if path in self.by_path:
            return self.by_path[path].route
        return self._by_pattern[path][1] if path in self._by_pattern else None

    def _named(self, path: str) -> Found | None:
        for pattern, route in self._by_pattern.values():
            if pattern.fullmatch(path):
                return Found(route, path)
        for prefix, route in self._by_prefix.items():
            if path.startswith(prefix) and len(path) > len(prefix):
                return Found(route, path)
        return None


def _usual(path: str) -> str:
    """Return the path with one ``/v1`` before it, single slashes, and none at its end."""
    path = _SLASHES.sub("/", path).rstrip("/")
    return _PREFIX.sub(_VERSION, path, count=1)
