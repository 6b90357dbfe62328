"""`penstock route` and `penstock router`: each command with what it runs, loaded once it is asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from penstock_suite.surfaces.cli.output import run
from penstock_suite.surfaces.cli.route import TargetOf, route
from penstock_suite.surfaces.cli.router import router

if TYPE_CHECKING:
    import typer

    from penstock_suite.domain.requests import ChatTarget, RouterTrainingRequest
    from penstock_suite.domain.router_training import RouterTraining
    from penstock_suite.domain.routes import RouteExplanation, RouteQuestion


def route_commands(target_of: TargetOf) -> typer.Typer:
    """Return the group `route`."""
    return route(target_of, _explain)


def router_commands() -> typer.Typer:
    """Return the group `router`."""
    return router(_train)


def _explain(target: ChatTarget, question: RouteQuestion) -> RouteExplanation:
    from penstock_suite.adapters.route_client import explain_route

    return run(explain_route(target, question))


def _train(request: RouterTrainingRequest) -> RouterTraining:
    from penstock_suite.app.router_training import train_router

    return run(train_router(request))
