"""The commands of `penstock eval`, and what does their work, loaded when it is asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from penstock_suite.surfaces.cli.evaluate import evaluate
from penstock_suite.surfaces.cli.evaluate_compression import add_compression
from penstock_suite.surfaces.cli.output import run

if TYPE_CHECKING:
    import typer

    from penstock_suite.domain.cache_evaluation import Evaluation
    from penstock_suite.domain.compression_evaluation import CompressionEvaluation
    from penstock_suite.domain.requests import CompressionEvaluationRequest, EvaluationRequest


def evaluations() -> typer.Typer:
    """Return the group of commands."""
    cli = evaluate(_cache)
    add_compression(cli, _compression)
    return cli


def _cache(request: EvaluationRequest) -> Evaluation:
    from penstock_suite.app.cache_evaluation import evaluate_cache

    return run(evaluate_cache(request))


def _compression(request: CompressionEvaluationRequest) -> CompressionEvaluation:
    from penstock_suite.app.compression_evaluation import evaluate_compression

    return run(evaluate_compression(request))
