"""`penstock eval pii`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from penstock_suite.domain.failure import ExitCode, Misconfigured
from penstock_suite.domain.requests import PiiEvaluationRequest
from penstock_suite.surfaces.cli.options import JsonOption
from penstock_suite.surfaces.cli.output import escape, failures_told, note, print_json, print_table

if TYPE_CHECKING:
    from penstock_suite.domain.pii_evaluation import Figures, PiiEvaluation

_HELP = """Judge the detector of personal data and secrets by texts whose entities are marked.

DATASET is JSON lines, packed by gzip or not: `id`, `text`, `lang`, and `entities` with `type`, `start` and `end` in code
points. They go through the gateway's own detector, in this process; a running stack is not touched, and nothing of a text is
told. Exit code 1 where --min-recall, --min-precision, --min-f2 or --max-touched is missed.
"""

Evaluate = Callable[[PiiEvaluationRequest], "PiiEvaluation"]


def add_pii(cli: typer.Typer, run: Evaluate) -> None:
    """Add the command to the group; ``run`` evaluates a dataset."""

    @cli.command("pii", help=_HELP)
    def pii(
        *,
        dataset: Annotated[Path, typer.Argument(metavar="DATASET", help="Texts with marked entities.")],
        names: Annotated[
            bool,
            typer.Option("--names/--rules", help="With what was learned of persons and addresses, or rules alone."),
        ] = True,
        min_recall: Annotated[
            float | None, typer.Option(metavar="RATIO", help="Fail where less of the structured types is found.")
        ] = None,
        min_precision: Annotated[
            float | None, typer.Option(metavar="RATIO", help="Fail where less of what is found of them is right.")
        ] = None,
        min_f2: Annotated[
            float | None, typer.Option(metavar="RATIO", help="Fail where persons or addresses have a lower F2.")
        ] = None,
        max_touched: Annotated[
            float | None, typer.Option(metavar="RATIO", help="Fail where something is found in more clean texts.")
        ] = None,
        as_json: JsonOption = False,
    ) -> None:
        with failures_told(as_json=as_json):
            goals = {
                "--min-recall": min_recall,
                "--min-precision": min_precision,
                "--min-f2": min_f2,
                "--max-touched": max_touched,
            }
            for name, ratio in goals.items():
                if ratio is not None and not 0 <= ratio <= 1:
                    raise Misconfigured(f"{name} must be between 0 and 1, not {ratio:g}")
            found = run(PiiEvaluationRequest(dataset, with_names=names))
            print_json(found) if as_json else _show(found)
            if faults := missed(found, goals):
                for fault in faults:
                    note(fault)
                raise typer.Exit(ExitCode.FAILED)


def missed(found: PiiEvaluation, goals: dict[str, float | None]) -> list[str]:
    """Return what is said of each goal that was missed."""
    faults: list[str] = []
    least = {
        "--min-recall": (found.structured.recall, "of the structured types is found"),
        "--min-precision": (found.structured.precision, "of what is found of the structured types is right"),
        "--min-f2": (_lowest_f2(found), "is the lower F2 of persons and addresses"),
    }
    for name, (reached, what) in least.items():
        goal = goals.get(name)
        if goal is not None and (reached or 0.0) < goal:
            faults.append(f"{reached or 0.0:.2%} {what}, less than {goal:.2%}.")
    most = goals.get("--max-touched")
    if most is not None and (found.clean_touched_ratio or 0.0) > most:
        faults.append(f"{found.clean_touched_ratio:.2%} of the clean texts are touched, more than {most:.2%}.")
    return faults


def _lowest_f2(found: PiiEvaluation) -> float | None:
    reached = [one.f2 for one in (found.by_type["person"], found.by_type["address"]) if one.f2 is not None]
    return min(reached) if reached else None


def _show(found: PiiEvaluation) -> None:
    columns = ("type", "marked", "found", "right", "exact", "false", "recall", "precision", "F2")
    rows = [(kind, *_told(one)) for kind, one in found.by_type.items()]
    rows += [("structured", *_told(found.structured)), ("named", *_told(found.named))]
    print_table(columns, rows, to_the_right=set(columns[1:]))
    languages = [
        (escape(lang) or "-", *(_ratio(one) for each in ("structured", "named") for one in _pair(figures[each])))
        for lang, figures in found.by_language.items()
    ]
    columns = ("language", "recall", "precision", "recall, named", "precision, named")
    print_table(columns, languages, to_the_right=set(columns[1:]))
    note(f"Of {found.clean_texts} clean texts {found.clean_touched} are touched.")
    if found.missed:
        note("Missed: " + ", ".join(found.missed) + ".")
    if found.false_hits:
        note("False: " + ", ".join(found.false_hits) + ".")
    note(f"A text took {found.p50_ms} ms (p50), {found.p95_ms} ms (p95).")


def _pair(one: Figures) -> tuple[float | None, float | None]:
    return one.recall, one.precision


def _told(one: Figures) -> tuple[str, ...]:
    counts = (one.entities, one.found, one.right, one.exact, one.false)
    return (*(str(each) for each in counts), _ratio(one.recall), _ratio(one.precision), _ratio(one.f2))


def _ratio(ratio: float | None) -> str:
    return "-" if ratio is None else f"{ratio:.3f}"
