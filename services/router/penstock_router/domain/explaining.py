"""How a request would be routed: the plan, and what speaks for and against every candidate."""

from __future__ import annotations

import msgspec

from penstock_common.contract.router import RouteRequest
from penstock_common.errors import ModelNotFound, PenstockError
from penstock_common.llm.types import Candidate, CandidateView, Plan, RouteExplanation
from penstock_router.domain.choosing import Chooser
from penstock_router.domain.routing import Router


async def explained(request: RouteRequest, router: Router, chooser: Chooser) -> RouteExplanation:
    """Return how ``request`` would be routed now. Public models that its caller may not use are left out.

    Raises:
        ModelNotFound: no public model has this name.
    """
    fork, plan, refusal = chooser.forks.get(request.model), None, ""
    try:
        plan = router.plan(request) if fork is None else await chooser.plan(request, router)
    except ModelNotFound:
        raise
    except PenstockError as error:
        refusal = error.message
    allowed = request.allowed_models
    models = [request.model] if fork is None else [name for name in fork.targets if allowed is None or name in allowed]
    views = [view for model in models for view in _views(model, request, router, plan)]
    return RouteExplanation(plan, refusal, tuple(views))


def _views(model: str, request: RouteRequest, router: Router, plan: Plan | None) -> list[CandidateView]:
    is_chosen = plan is not None and (plan.decision is None or plan.decision.model == model)
    ranks: dict[Candidate, int] = {}
    if plan is not None and is_chosen:
        ranks = {candidate: rank for rank, candidate in enumerate(plan.candidates, start=1)}
    return [
        msgspec.structs.replace(view, rank=ranks.get(view.candidate, 0))
        for view in router.candidates(msgspec.structs.replace(request, model=model))
    ]
