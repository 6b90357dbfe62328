"""RouterService: ask the domain, say how it went."""

from __future__ import annotations

import time
from collections.abc import Sequence

from penstock_common.contract.router import RouteRequest
from penstock_common.llm.types import ModelInfo, Plan
from penstock_common.rpc.server_call import ServerCall
from penstock_common.upstreams.state import States
from penstock_router.domain.catalogue import PublicModel
from penstock_router.domain.choosing import Chooser
from penstock_router.domain.routing import Router


class RouterServicer:
    """Serves a ``Router``, and the ``Chooser`` in front of it, until others take over."""

    def __init__(self, router: Router, chooser: Chooser) -> None:
        self._router = router
        self._chooser = chooser
        self._states: States = {}

    def take_over(self, router: Router, chooser: Chooser) -> None:
        """Have these decide from now on."""
        router.hear(self._states)
        self._router, self._chooser = router, chooser

    def hear(self, states: States) -> None:
        """Have the router, and whichever takes over, decide by this."""
        self._states = states
        self._router.hear(states)

    async def route(self, request: RouteRequest, call: ServerCall) -> Plan:
        """Return the plan for a request."""
        began_ns = time.time_ns()
        router, chooser = self._router, self._chooser
        plan = await chooser.plan(request, router) if request.model in chooser.forks else router.plan(request)
        call.steps.lap("router.plan", began_ns, {"candidates": len(plan.candidates), "reason": plan.reason})
        return plan

    async def list_models(self, request: None, call: ServerCall) -> tuple[ModelInfo, ...]:
        """Return the public models, sorted by name; one that leads to others can what any of them can."""
        plain = {model.name: _told(model) for model in self._router.models()}
        forks = (_joined(fork.name, [plain[name] for name in fork.targets]) for fork in self._chooser.forks.values())
        return tuple(sorted([*plain.values(), *forks], key=lambda model: model.name))


def _told(model: PublicModel) -> ModelInfo:
    return ModelInfo(
        name=model.name,
        capabilities=tuple(sorted(model.capabilities)),
        context_window_tokens=model.context_window_tokens,
        prices=model.prices,
    )


def _joined(name: str, behind: Sequence[ModelInfo]) -> ModelInfo:
    """Return the model of this name that leads to those behind it; what it costs is not known before it is asked."""
    return ModelInfo(
        name=name,
        capabilities=tuple(sorted({able for model in behind for able in model.capabilities})),
        context_window_tokens=max(model.context_window_tokens for model in behind),
    )
