"""`penstock eval injection`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from penstock_suite.domain.failure import ExitCode, Misconfigured
from penstock_suite.domain.requests import InjectionEvaluationRequest
from penstock_suite.surfaces.cli.options import JsonOption
from penstock_suite.surfaces.cli.output import escape, failures_told, note, print_json, print_table

if TYPE_CHECKING:
    from penstock_suite.domain.injection_evaluation import InjectionEvaluation
    from penstock_suite.domain.interval import Share

_HELP = """Judge the injection detector by labelled texts: the attacks that it finds, and the harmless texts that it takes for some.

DATASET is JSON lines, packed by gzip or not: `text`, `label` (attack, benign), `kind`, and `surface`: user, document,
tool_output, or output, a model's own answer. Exit code 1 where --min-recall or --max-false-alarms is missed.
"""

EvaluateInjection = Callable[[InjectionEvaluationRequest], "InjectionEvaluation"]


def add_injection(cli: typer.Typer, run: EvaluateInjection) -> None:
    """Add the command to `penstock eval`; ``run`` evaluates a dataset."""

    @cli.command("injection", help=_HELP)
    def injection(
        *,
        dataset: Annotated[Path, typer.Argument(metavar="DATASET", help="Labelled texts.")],
        rules: Annotated[
            bool, typer.Option("--rules", help="By rules alone, as inline, without the classifier.")
        ] = False,
        threshold: Annotated[
            float | None, typer.Option(metavar="SCORE", help="In the place of that of the weights.")
        ] = None,
        min_recall: Annotated[
            float | None, typer.Option(metavar="RATIO", help="Fail where fewer of the attacks are found, such as 0.85.")
        ] = None,
        max_false_alarms: Annotated[
            float | None,
            typer.Option(metavar="RATIO", help="Fail where more of the harmless texts are taken for attacks."),
        ] = None,
        as_json: JsonOption = False,
    ) -> None:
        with failures_told(as_json=as_json):
            for name, ratio in (
                ("--threshold", threshold),
                ("--min-recall", min_recall),
                ("--max-false-alarms", max_false_alarms),
            ):
                if ratio is not None and not 0 <= ratio <= 1:
                    raise Misconfigured(f"{name} must be between 0 and 1, not {ratio:g}")
            found = run(InjectionEvaluationRequest(dataset, rules_alone=rules, threshold=threshold))
            print_json(found) if as_json else _show(found)
            if faults := _missed(found, min_recall, max_false_alarms):
                for fault in faults:
                    note(fault)
                raise typer.Exit(ExitCode.FAILED)


def _missed(found: InjectionEvaluation, min_recall: float | None, max_false_alarms: float | None) -> list[str]:
    faults: list[str] = []
    if min_recall is not None and (found.recall or 0.0) < min_recall:
        faults.append(f"{found.recall or 0.0:.2%} of the attacks are found, fewer than {min_recall:.2%}.")
    if max_false_alarms is not None and (found.false_alarm_ratio or 0.0) > max_false_alarms:
        faults.append(
            f"{found.false_alarm_ratio:.2%} of the harmless texts are taken for attacks, more than {max_false_alarms:.2%}."
        )
    return faults


def _show(found: InjectionEvaluation) -> None:
    rows = [
        (what, escape(kind) or "-", str(one.hits), str(one.n), f"{one.ratio or 0.0:.1%}")
        for what, kinds in (("attack", found.recall_by_kind), ("benign", found.false_alarms_by_kind))
        for kind, one in kinds.items()
    ]
    print_table(
        ("label", "kind", "taken for attacks", "of", "share"), rows, to_the_right={"taken for attacks", "of", "share"}
    )
    note(f"Found of the attacks: {_told(found.intervals['recall'])}.")
    note(f"Harmless texts taken for attacks: {_told(found.intervals['false_alarm_ratio'])}.")
    if found.auc is not None:
        note(f"Area under the curve: {found.auc:.3f}.")
    note(f"A text took {found.p50_us / 1000:.2f} ms (p50), {found.p95_us / 1000:.2f} ms (p95).")


def _told(found: Share) -> str:
    if found.ratio is None:
        return "not enough data"
    return f"{found.ratio:.1%} (95 % interval {found.low:.1%} to {found.high:.1%})"
