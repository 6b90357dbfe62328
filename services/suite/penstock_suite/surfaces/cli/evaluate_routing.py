"""`penstock eval routing`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from penstock_suite.domain.requests import RoutingEvaluationRequest, Selection
from penstock_suite.surfaces.cli.options import ConfigOption, JsonOption
from penstock_suite.surfaces.cli.output import failures_told, note, print_json, print_table

if TYPE_CHECKING:
    from penstock_suite.domain.interval import Share
    from penstock_suite.domain.routing_evaluation import RoutingEvaluation

_HELP = """Judge the router's classifier by labelled prompts: task, complexity, and whether its confidence is right.

DATASET is JSON lines: `prompt`, its `task` and its `complexity` (low, medium, high); a line may lack one label. Vectors are
made by the embedding service of the configuration, built in this process; a running stack is not touched.
"""

EvaluateRouting = Callable[[RoutingEvaluationRequest], "RoutingEvaluation"]


def add_routing(cli: typer.Typer, run: EvaluateRouting) -> None:
    """Add the command to `penstock eval`; ``run`` evaluates a dataset."""

    @cli.command("routing", help=_HELP)
    def routing(
        *,
        dataset: Annotated[Path, typer.Argument(metavar="DATASET", help="Labelled prompts.")],
        features: Annotated[
            bool, typer.Option("--features", help="Without vectors, as where the embedding service is away.")
        ] = False,
        config: ConfigOption = None,
        as_json: JsonOption = False,
    ) -> None:
        with failures_told(as_json=as_json):
            found = run(RoutingEvaluationRequest(Selection(config), dataset, with_vectors=not features))
            print_json(found) if as_json else _show(found)


def _show(found: RoutingEvaluation) -> None:
    for confusion in found.confusion.values():
        if confusion:
            _show_confusion(confusion)
    _tell("Tasks", found.intervals["task_accuracy"], found.decided_task_accuracy, found.task_calibration_error)
    complexities = found.intervals["complexity_accuracy"]
    _tell("Complexities", complexities, found.decided_complexity_accuracy, found.complexity_calibration_error)
    note(f"Of {found.prompts} prompts it abstained from {found.abstained_ratio:.1%}.")
    note(
        f"After the vector a prompt took {_ms(found.p50_us)} (p50), {_ms(found.p95_us)} (p95), {_ms(found.p99_us)} (p99)."
    )


def _ms(microseconds: float) -> str:
    return f"{microseconds / 1000:.2f} ms"


def _show_confusion(confusion: dict[str, dict[str, int]]) -> None:
    labels = sorted({taken for row in confusion.values() for taken in row} | set(confusion))
    rows = [(label, *(str(row.get(taken, 0)) for taken in labels)) for label, row in confusion.items()]
    print_table(("is \\ taken for", *labels), rows, to_the_right=set(labels))


def _tell(what: str, right: Share, decided: float | None, error: float | None) -> None:
    if right.ratio is None or error is None:
        return
    of_decided = "" if decided is None else f"; {decided:.1%} where it did not abstain"
    interval = f"95 % interval {right.low:.1%} to {right.high:.1%}"
    note(f"{what}: {right.ratio:.1%} right ({interval}){of_decided}; confidence is off by {error:.1%}.")
