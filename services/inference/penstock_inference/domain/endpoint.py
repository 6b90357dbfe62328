"""The places that serve one upstream's models, and which of them is asked next.

A replica asked with one key is an endpoint: health, quota and latency belong to
it, as keys have quotas of their own and replicas fail one by one. The
configuration names one for each upstream today.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from penstock_inference.domain.upstream import Upstream


class Endpoint(msgspec.Struct, frozen=True):
    """One replica and one key; ``name`` tells it from the others of its pool and holds no secret."""

    upstream: Upstream
    name: str = ""


class Pool:
    """The endpoints of one upstream, any of which can answer any of its models."""

    def __init__(self, endpoints: Sequence[Endpoint]) -> None:
        """Take at least one endpoint."""
        if not endpoints:
            raise ValueError("a pool needs an endpoint")
        self._endpoints = tuple(endpoints)

    @property
    def endpoints(self) -> tuple[Endpoint, ...]:
        """All of them."""
        return self._endpoints

    def choose(self) -> Endpoint:
        """Return the endpoint to ask next."""
        return self._endpoints[0]
