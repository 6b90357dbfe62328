"""What a caller is told whose tier is used up."""

from __future__ import annotations

from datetime import timedelta

import pytest

from penstock_gateway.domain.access.identity import Tenant, Tier
from penstock_gateway.domain.life.admission import (
    CONCURRENT_REQUESTS,
    REQUESTS_PER_MINUTE,
    RateState,
    Verdict,
    refusal,
)


@pytest.mark.parametrize(
    ("limit", "allowed"),
    [(REQUESTS_PER_MINUTE, "7 requests per minute"), (CONCURRENT_REQUESTS, "3 requests at once")],
)
def test_refusal_names_tier_limit_and_when_to_return(limit, allowed):
    tenant = Tenant("demo", Tier("free", requests_per_minute=7, concurrent_requests=3))
    error = refusal(tenant, Verdict(RateState(), limit, timedelta(seconds=1.25)))
    assert (error.limit, error.retry_after) == (limit, timedelta(seconds=1.25))
    assert "'free'" in error.message
    assert allowed in error.message
    assert "1.2 s" in error.message
