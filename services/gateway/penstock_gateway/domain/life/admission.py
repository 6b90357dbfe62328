"""Who may come in now: requests per minute and requests at once, per tenant."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Protocol

import msgspec

from penstock_common.errors import Overloaded, RateLimited
from penstock_gateway.domain.access.identity import Tenant

REQUESTS_PER_MINUTE = "requests_per_minute"
CONCURRENT_REQUESTS = "concurrent_requests"


class RateState(msgspec.Struct, frozen=True, gc=False):
    """Where a tenant stands after a reservation; what the ``x-ratelimit-*`` headers say.

    ``limit`` is 0 where the tenant has none. ``reset`` is the time until the
    whole allowance is back if nothing more is asked.
    """

    limit: int = 0
    remaining: int = 0
    reset: timedelta = timedelta()


class Verdict(msgspec.Struct, frozen=True, gc=False):
    """A limiter's answer: let in, or refused by ``refused_by`` until ``retry_after`` has passed."""

    state: RateState
    refused_by: str = ""
    retry_after: timedelta = timedelta()


class Limiter(Protocol):
    """Counts per tenant, over every process that shares it."""

    async def reserve(self, tenant: Tenant, request_id: str, lease: timedelta) -> Verdict:
        """Count the request against every limit at once, or against none.

        Its place among the concurrent ones is given back by ``release``, or
        after ``lease`` should this process die.
        """
        ...

    def release(self, tenant: Tenant, request_id: str) -> None:
        """Give the request's place among the concurrent ones back; returns at once."""
        ...


def refusal(tenant: Tenant, verdict: Verdict) -> RateLimited:
    """Return the error that tells a refused caller what to do."""
    if verdict.refused_by == CONCURRENT_REQUESTS:
        allowed = f"{tenant.tier.concurrent_requests} requests at once"
    else:
        allowed = f"{tenant.tier.requests_per_minute} requests per minute"
    return RateLimited(
        f"The tier '{tenant.tier.name}' allows {allowed}. Try again in {verdict.retry_after.total_seconds():.1f} s.",
        limit=verdict.refused_by,
        retry_after=verdict.retry_after,
    )


class Door:
    """Counts the requests inside this process, and shuts when it drains."""

    def __init__(self, max_in_flight: int) -> None:
        self._max_in_flight = max_in_flight
        self._shut = False
        self.is_leaving = False
        """Whether this process is about to end, though it may still let requests in."""
        self.in_flight = 0
        self.emptied = asyncio.Event()
        """Set once the door is shut and nobody is inside any more."""

    @property
    def is_open(self) -> bool:
        """Whether new requests are let in."""
        return not self._shut

    def enter(self) -> None:
        """Let a request in.

        Raises:
            Overloaded: the process is draining, or full.
        """
        if self._shut:
            raise Overloaded("This server is shutting down. Try again.")
        if self.in_flight >= self._max_in_flight:
            raise Overloaded(f"This server is busy with {self.in_flight} requests, its most. Try again.")
        self.in_flight += 1

    def leave(self) -> None:
        """Let a request out."""
        self.in_flight -= 1
        self._note_emptiness()

    def give_notice(self) -> None:
        """Say that the door is about to be shut."""
        self.is_leaving = True

    def shut(self) -> None:
        """Refuse new requests from now on."""
        self._shut = self.is_leaving = True
        self._note_emptiness()

    def _note_emptiness(self) -> None:
        if self._shut and not self.in_flight:
            self.emptied.set()
