"""`penstock guard`: each command with what it runs, loaded once it is asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from penstock_suite.surfaces.cli.guard import guard
from penstock_suite.surfaces.cli.guard_try import add_try

if TYPE_CHECKING:
    import typer

    from penstock_suite.domain.guard_explanation import GuardCheck, GuardExplanation
    from penstock_suite.domain.guard_trial import GuardTrial
    from penstock_suite.domain.requests import GuardCheckRequest, GuardExplainRequest, GuardTrialRequest


def guard_commands() -> typer.Typer:
    """Return the group."""
    cli = guard(_explain, _check)
    add_try(cli, _try)
    return cli


def _try(request: GuardTrialRequest) -> GuardTrial:
    from penstock_suite.app.guard_trial import try_guard

    return try_guard(request)


def _explain(request: GuardExplainRequest) -> GuardExplanation:
    from penstock_suite.app.injection_evaluation import explain_guard

    return explain_guard(request)


def _check(request: GuardCheckRequest) -> GuardCheck:
    from penstock_suite.app.guard_trying import check_guard

    return check_guard(request)
