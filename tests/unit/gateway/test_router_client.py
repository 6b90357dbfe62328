"""A router that is late is no fault of the request's deadline, unless that has passed as well."""

from __future__ import annotations

import time
from datetime import timedelta

import pytest

from penstock_common.contract.router import RouteRequest, requirements_of
from penstock_common.errors import DeadlineExceeded, ServiceUnavailable
from penstock_common.rpc.client import deadline_passed
from penstock_common.rpc.scope import CURRENT_SCOPE, RequestScope
from penstock_gateway.adapters.services.models import RouterClient


class LateChannel:
    """A channel to a service that answers nothing in time."""

    async def call(self, method, request, *, timeout=None, steps=None):
        raise deadline_passed()


@pytest.mark.parametrize(
    ("seconds_left", "kind"), [(60, ServiceUnavailable), (0.001, DeadlineExceeded), (-1, DeadlineExceeded)]
)
async def test_whose_time_is_over(ask, seconds_left, kind):
    CURRENT_SCOPE.set(RequestScope(deadline=time.monotonic() + seconds_left))
    client = RouterClient(LateChannel(), timedelta(seconds=1))
    request = RouteRequest(model="fast", requirements=requirements_of(ask()))
    with pytest.raises(kind) as raised:
        await client.route(request, [])
    assert type(raised.value) is kind
    assert getattr(raised.value, "service", "router") == "router"
