"""`penstock eval grounding`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from penstock_suite.domain.failure import ExitCode, Misconfigured
from penstock_suite.domain.requests import GroundingEvaluationRequest
from penstock_suite.surfaces.cli.options import JsonOption
from penstock_suite.surfaces.cli.output import escape, failures_told, note, print_json, print_table

if TYPE_CHECKING:
    from penstock_suite.domain.grounding_evaluation import GroundingEvaluation

_HELP = """Judge the grounding check by labelled answers: is each of their claims supported by the context?

DATASET is JSON lines, packed by gzip or not: `context`, `answer`, its `label` (grounded, partly, ungrounded), and the `kind`
of what is right or wrong with it.
"""

EvaluateGrounding = Callable[[GroundingEvaluationRequest], "GroundingEvaluation"]


def add_grounding(cli: typer.Typer, run: EvaluateGrounding) -> None:
    """Add the command to `penstock eval`; ``run`` evaluates a dataset."""

    @cli.command("grounding", help=_HELP)
    def grounding(
        *,
        dataset: Annotated[Path, typer.Argument(metavar="DATASET", help="Labelled answers with their contexts.")],
        min_f1: Annotated[
            float | None,
            typer.Option("--min-f1", metavar="RATIO", help="Fail where the macro-F1 is lower, such as 0.7."),
        ] = None,
        as_json: JsonOption = False,
    ) -> None:
        with failures_told(as_json=as_json):
            if min_f1 is not None and not 0 <= min_f1 <= 1:
                raise Misconfigured(f"--min-f1 must be between 0 and 1, not {min_f1:g}")
            found = run(GroundingEvaluationRequest(dataset))
            print_json(found) if as_json else _show(found)
            if min_f1 is not None and found.macro_f1 < min_f1:
                note(f"The macro-F1 is {found.macro_f1:.3f}, lower than {min_f1:g}.")
                raise typer.Exit(ExitCode.FAILED)


def _show(found: GroundingEvaluation) -> None:
    rows = [(one.label, escape(one.kind) or "-", str(one.answers), str(one.right)) for one in found.kinds]
    print_table(("is", "kind", "answers", "right"), rows, to_the_right={"answers", "right"})
    labels = list(found.confusion)
    counts = [(label, *(str(row[taken]) for taken in labels)) for label, row in found.confusion.items()]
    print_table(("is \\ taken for", *labels), counts, to_the_right=set(labels))
    for label, one in found.labels.items():
        note(f"{label}: precision {_share(one.precision)}, recall {_share(one.recall)}, F1 {one.f1:.3f}.")
    right = found.accuracy
    interval = f"95 % interval {right.low or 0:.1%} to {right.high or 0:.1%}"
    note(f"Macro-F1 {found.macro_f1:.3f}; {right.hits} of {right.n} right, {right.ratio or 0:.1%} ({interval}).")
    note(f"An answer took {found.p50_ms} ms (p50), {found.p95_ms} ms (p95).")


def _share(ratio: float | None) -> str:
    return "-" if ratio is None else f"{ratio:.1%}"
