"""RouterService: ask the domain, say how it went."""

from __future__ import annotations

import time
from collections.abc import Sequence

from penstock_common.contract.router import RouteRequest
from penstock_common.llm.types import ModelInfo, Plan, RouteExplanation
from penstock_common.rpc.server_call import ServerCall
from penstock_common.upstreams.quality import Qualities
from penstock_common.upstreams.state import States
from penstock_router.domain.catalogue import PublicModel
from penstock_router.domain.choosing import Chooser
from penstock_router.domain.explaining import explained
from penstock_router.domain.routing import Router
from penstock_router.domain.sight import Sight


class RouterServicer:
    """Serves a ``Router``, and the ``Chooser`` in front of it, until others take over."""

    def __init__(self, router: Router, chooser: Chooser, sight: Sight) -> None:
        """``sight`` counts what is decided for forks, whoever decides."""
        self._router = router
        self._chooser = chooser
        self._sight = sight
        self._states: States = {}
        self._qualities: Qualities = {}

    def take_over(self, router: Router, chooser: Chooser) -> None:
        """Have these decide from now on."""
        router.hear(self._states)
        router.hear_quality(self._qualities)
        self._router, self._chooser = router, chooser
        self._sight.keep(chooser.forks)

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
        router, chooser = self._router, self._chooser
        if request.model in chooser.forks:
            plan = await chooser.plan(request, router, self._sight.note_shadow)
            assert plan.decision is not None, "a chooser's plan says what was chosen"
            self._sight.note(chooser.forks[request.model], plan.decision)
        else:
            plan = router.plan(request)
        call.steps.lap("router.plan", began_ns, {"candidates": len(plan.candidates), "reason": plan.reason})
        return plan

    async def explain(self, request: RouteRequest, call: ServerCall) -> RouteExplanation:
        """Return how a request would be routed now."""
        return await explained(request, self._router, self._chooser)

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
