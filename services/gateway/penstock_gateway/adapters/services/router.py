"""The router service as a port."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from penstock_common.contract.router import RouteRequest
from penstock_common.contract.wire.router import EXPLAIN, LIST_MODELS, ROUTE
from penstock_common.errors import DeadlineExceeded, ServiceUnavailable
from penstock_common.llm.types import ModelInfo, Plan, RouteExplanation
from penstock_common.rpc.client import Channel, is_time_left
from penstock_common.telemetry.steps import Step


class RouterClient:
    """Implements ``ports.Router``."""

    def __init__(self, channel: Channel, timeout: timedelta) -> None:
        self._channel = channel
        self._timeout_seconds = timeout.total_seconds()

    async def route(self, request: RouteRequest, steps: list[Step]) -> Plan:
        """Return a plan, or raise the domain error that says why there is none."""
        try:
            return await self._channel.call(ROUTE, request, timeout=self._timeout_seconds, steps=steps)
        except DeadlineExceeded as error:
            if not is_time_left():
                raise
            raise ServiceUnavailable("The router service is late. Try again.", service="router") from error

    async def explain(self, request: RouteRequest) -> RouteExplanation:
        """Return how a request would be routed now."""
        return await self._channel.call(EXPLAIN, request, timeout=self._timeout_seconds)

    async def models(self) -> Sequence[ModelInfo]:
        """Return every public model, sorted by name."""
        return await self._channel.call(LIST_MODELS, None, timeout=self._timeout_seconds)
