"""RouterService: ask the domain, say how it went."""

from __future__ import annotations

import time

from penstock_common.contract.router import RouteRequest
from penstock_common.llm.types import ModelInfo, Plan
from penstock_common.rpc.server_call import ServerCall
from penstock_common.upstreams.quality import Qualities
from penstock_common.upstreams.state import States
from penstock_router.domain.routing import Router


class RouterServicer:
    """Serves a ``Router``, until another takes over."""

    def __init__(self, router: Router) -> None:
        self._router = router
        self._states: States = {}
        self._qualities: Qualities = {}

    def take_over(self, router: Router) -> None:
        """Have this router decide from now on."""
        router.hear(self._states)
        router.hear_quality(self._qualities)
        self._router = router

    def hear(self, states: States) -> None:
        """Have the router, and whichever takes over, decide by this."""
        self._states = states
        self._router.hear(states)

    def hear_quality(self, qualities: Qualities) -> None:
        """Have the router, and whichever takes over, decide by these, too."""
        self._qualities = qualities
        self._router.hear_quality(qualities)

    async def route(self, request: RouteRequest, call: ServerCall) -> Plan:
        """Return the plan for a request."""
        began_ns = time.time_ns()
        plan = self._router.plan(request)
        call.steps.lap("router.plan", began_ns, {"candidates": len(plan.candidates), "reason": plan.reason})
        return plan

    async def list_models(self, request: None, call: ServerCall) -> tuple[ModelInfo, ...]:
        """Return the public models, sorted by name."""
        return tuple(
            ModelInfo(
                name=model.name,
                capabilities=tuple(sorted(model.capabilities)),
                context_window_tokens=model.context_window_tokens,
                prices=model.prices,
            )
            for model in self._router.models()
        )
