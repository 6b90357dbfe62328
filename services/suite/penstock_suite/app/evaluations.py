"""`penstock eval`: each command with what it runs, loaded once it is asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from penstock_suite.surfaces.cli.evaluate import evaluate
from penstock_suite.surfaces.cli.evaluate_answers import add_answers
from penstock_suite.surfaces.cli.evaluate_compression import add_compression
from penstock_suite.surfaces.cli.evaluate_grounding import add_grounding
from penstock_suite.surfaces.cli.evaluate_injection import add_injection
from penstock_suite.surfaces.cli.evaluate_pii import add_pii
from penstock_suite.surfaces.cli.evaluate_retrieval import add_retrieval
from penstock_suite.surfaces.cli.evaluate_routing import add_routing
from penstock_suite.surfaces.cli.output import run

if TYPE_CHECKING:
    import typer

    from penstock_suite.app.answers_evaluation import Progress as AnswersProgress
    from penstock_suite.app.retrieval_evaluation import Progress
    from penstock_suite.domain.answers_evaluation import AnswersEvaluation
    from penstock_suite.domain.cache_evaluation import Evaluation
    from penstock_suite.domain.compression_evaluation import CompressionEvaluation
    from penstock_suite.domain.grounding_evaluation import GroundingEvaluation
    from penstock_suite.domain.injection_evaluation import InjectionEvaluation
    from penstock_suite.domain.pii_evaluation import PiiEvaluation
    from penstock_suite.domain.requests import (
        AnswersEvaluationRequest,
        CompressionEvaluationRequest,
        EvaluationRequest,
        GroundingEvaluationRequest,
        InjectionEvaluationRequest,
        PiiEvaluationRequest,
        RetrievalEvaluationRequest,
        RoutingEvaluationRequest,
        Selection,
    )
    from penstock_suite.domain.retrieval_evaluation import RetrievalEvaluation
    from penstock_suite.domain.routing_evaluation import RoutingEvaluation


def evaluations() -> typer.Typer:
    """Return the group."""
    cli = evaluate(_evaluate_cache)
    add_routing(cli, _evaluate_routing)
    add_compression(cli, _evaluate_compression)
    add_retrieval(cli, _evaluate_retrieval)
    add_injection(cli, _evaluate_injection)
    add_grounding(cli, _evaluate_grounding)
    add_pii(cli, _evaluate_pii)
    add_answers(cli, _evaluate_answers, _target_of)
    return cli


def _target_of(selection: Selection, address: str, key: str) -> tuple[str, str]:
    from penstock_suite.app.running_stack import chat_target

    return chat_target(selection, address, key)


def _evaluate_answers(request: AnswersEvaluationRequest, progress: AnswersProgress) -> AnswersEvaluation:
    from penstock_suite.app.answers_evaluation import evaluate_answers

    return run(evaluate_answers(request, progress))


def _evaluate_injection(request: InjectionEvaluationRequest) -> InjectionEvaluation:
    from penstock_suite.app.injection_evaluation import evaluate_injection

    return evaluate_injection(request)


def _evaluate_cache(request: EvaluationRequest) -> Evaluation:
    from penstock_suite.app.cache_evaluation import evaluate_cache

    return run(evaluate_cache(request))


def _evaluate_routing(request: RoutingEvaluationRequest) -> RoutingEvaluation:
    from penstock_suite.app.routing_evaluation import evaluate_routing

    return run(evaluate_routing(request))


def _evaluate_compression(request: CompressionEvaluationRequest) -> CompressionEvaluation:
    from penstock_suite.app.compression_evaluation import evaluate_compression

    return run(evaluate_compression(request))


def _evaluate_retrieval(request: RetrievalEvaluationRequest, progress: Progress) -> RetrievalEvaluation:
    from penstock_suite.app.retrieval_evaluation import evaluate_retrieval

    return run(evaluate_retrieval(request, progress))


def _evaluate_grounding(request: GroundingEvaluationRequest) -> GroundingEvaluation:
    from penstock_suite.app.grounding_evaluation import evaluate_grounding

    return evaluate_grounding(request)


def _evaluate_pii(request: PiiEvaluationRequest) -> PiiEvaluation:
    from penstock_suite.app.pii_evaluation import evaluate_pii

    return evaluate_pii(request)
