"""Who may come in now: requests per minute and requests at once, per tenant."""

from __future__ import annotations

from datetime import timedelta
from typing import Protocol

import msgspec

from penstock_common.errors import Overloaded, RateLimited
from penstock_gateway.domain.access.identity import Tenant

REQUESTS_PER_MINUTE = "requests_per_minute"
CONCURRENT_REQUESTS = "concurrent_requests"


class TurnedAway(Overloaded):
    """This process is full, ends, or cannot write bills: it has done nothing for the request, so another may take it.

    Overload of whatever the request needs, such as a provider, is an ``Overloaded`` and no more: others would
    find it so too, and each would have asked for it.
    """


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
    counted_at: int = 0
    """When the request was counted, by the limiter's clock: what ``take_back`` finds it by."""


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

    def take_back(self, tenant: Tenant, verdict: Verdict) -> None:
        """Count a request no more of which nothing was done after all; returns at once."""
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
