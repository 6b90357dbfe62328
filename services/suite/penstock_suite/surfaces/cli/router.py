"""`penstock router train`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from penstock_suite.domain.requests import RouterTrainingRequest, Selection
from penstock_suite.surfaces.cli.options import ConfigOption, JsonOption, group
from penstock_suite.surfaces.cli.output import failures_told, note, print_json

if TYPE_CHECKING:
    from penstock_suite.domain.router_training import RouterTraining

_HELP = """Train the router's classifier on prompts of your own, and judge it by five folds.

DATASET is JSON lines, as for `penstock eval routing`: `prompt`, its `task` (whatever yours are; at least 10 of each) and its
`complexity` (low, medium, high). With --feedback a line may have the `generation_id` of its answer in the place of labels: they are then
the tags `task` and `complexity` of feedback on that answer, and prompts of which nobody said any are left out. What is written goes into the configuration as `router.classifier.weights`. One to three
minutes for 2,000 prompts; the same prompts give the same weights.
"""

Train = Callable[[RouterTrainingRequest], "RouterTraining"]


def router(run: Train) -> typer.Typer:
    """Return the group; ``run`` trains."""
    cli = group("The router's classifier.")

    @cli.command("train", help=_HELP)
    def train(
        *,
        dataset: Annotated[Path, typer.Argument(metavar="DATASET", help="Labelled prompts.")],
        output: Annotated[Path, typer.Option(metavar="FILE.npz", help="Where the weights go.")],
        also: Annotated[
            list[Path] | None,
            typer.Option(metavar="FILE", help="More of them, to learn by and not to judge by; repeat it."),
        ] = None,
        feedback: Annotated[
            Path | None,
            typer.Option(
                metavar="FILE",
                help="What `penstock feedback list --json --limit NUMBER` wrote: its tags label prompts.",
            ),
        ] = None,
        force: Annotated[bool, typer.Option("--force", help="Overwrite the output.")] = False,
        config: ConfigOption = None,
        as_json: JsonOption = False,
    ) -> None:
        with failures_told(as_json=as_json):
            found = run(RouterTrainingRequest(Selection(config), dataset, output, tuple(also or ()), force, feedback))
            print_json(found) if as_json else _show(found)

    return cli


def _show(found: RouterTraining) -> None:
    before = "" if found.shipped_task_accuracy is None else f" (the shipped weights: {found.shipped_task_accuracy:.1%})"
    if found.by_feedback or found.without_label:
        note(
            f"By feedback: {found.by_feedback} of {found.prompts}; without a label, and left out: {found.without_label}."
        )
    note(f"Tasks: {found.task_accuracy:.1%} of {found.prompts} right that were not seen{before}.")
    shipped = found.shipped_complexity_accuracy
    note(f"Complexities: {found.complexity_accuracy:.1%} (the shipped weights: {shipped:.1%}).")
    note(f"Written: {found.output}, version {found.version}. Say router.classifier.weights: {found.output}")
