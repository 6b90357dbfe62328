"""`penstock eval cache`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from penstock_suite.domain.failure import ExitCode, Misconfigured, SuiteFailure
from penstock_suite.domain.requests import EvaluationRequest, Selection
from penstock_suite.surfaces.cli.options import ConfigOption, JsonOption, group
from penstock_suite.surfaces.cli.output import escape, failures_told, note, print_json, print_table

if TYPE_CHECKING:
    from penstock_suite.domain.cache_evaluation import Evaluation
    from penstock_suite.domain.interval import Share

_HELP = """Judge the semantic cache by pairs of questions: what it serves of those with the same answer, and what of the others.

DATASET is JSON lines, packed by gzip or not: `a` was answered, `b` is asked, `same_answer` says whether the first one's
answer is fully right, `kind` what differs. They go through the real cache with its real guard, built in this process from
the configuration's `cache` and `embedding` over a folder that is deleted afterwards; a running stack is not touched.
Exit code 1 where --max-false or --min-served is missed.
"""

Evaluate = Callable[[EvaluationRequest], "Evaluation"]


def evaluate(run: Evaluate) -> typer.Typer:
    """Return the group; ``run`` evaluates a dataset."""
    cli = group("Judge parts of the stack by datasets.")

    @cli.command("cache", help=_HELP)
    def cache(
        *,
        dataset: Annotated[Path, typer.Argument(metavar="DATASET", help="Pairs of questions.")],
        plot: Annotated[
            Path | None,
            typer.Option(metavar="FILE.svg", help="Draw the trade-off over thresholds, beside the cosine's."),
        ] = None,
        warm: Annotated[
            bool,
            typer.Option("--warm/--cold", help="Answer what was not served, and ask again; cold: nothing was learned."),
        ] = False,
        together: Annotated[
            bool, typer.Option("--together", help="Keep every `a` first; without it, each pair is by itself.")
        ] = False,
        threshold: Annotated[
            float | None, typer.Option(metavar="SCORE", help="In the place of cache.semantic.threshold.")
        ] = None,
        model: Annotated[str, typer.Option(metavar="NAME", help="With what the configuration says of this model.")] = (
            "evaluated"
        ),
        max_false: Annotated[
            float | None, typer.Option(metavar="RATIO", help="Fail where more of the hits are false, such as 0.02.")
        ] = None,
        min_served: Annotated[
            float | None, typer.Option(metavar="RATIO", help="Fail where fewer of the right pairs are served.")
        ] = None,
        config: ConfigOption = None,
        as_json: JsonOption = False,
    ) -> None:
        with failures_told(as_json=as_json):
            _check_plot(plot)
            for name, ratio in (("--threshold", threshold), ("--max-false", max_false), ("--min-served", min_served)):
                if ratio is not None and not 0 <= ratio <= 1:
                    raise Misconfigured(f"{name} must be between 0 and 1, not {ratio:g}")
            request = EvaluationRequest(Selection(config), dataset, model, threshold, warm=warm, together=together)
            found = run(request)
            if plot is not None:
                _draw(found, plot)
            print_json(found) if as_json else _show(found)
            if faults := _missed(found, max_false, min_served):
                for fault in faults:
                    note(fault)
                raise typer.Exit(ExitCode.FAILED)

    return cli


def _check_plot(plot: Path | None) -> None:
    if plot is not None and plot.suffix.lower() != ".svg":
        raise Misconfigured(f"--plot draws SVG: name a file that ends with .svg, not '{plot.name}'")


def _draw(found: Evaluation, plot: Path) -> None:
    from penstock_suite.domain.trade_off_plot import trade_off_svg

    try:
        plot.write_text(trade_off_svg(found, f"{found.setting['dataset']}: {found.pairs} pairs"), encoding="utf-8")
    except OSError as error:
        raise SuiteFailure(f"{plot} cannot be written: {error.strerror}") from None


def _missed(found: Evaluation, max_false: float | None, min_served: float | None) -> list[str]:
    faults: list[str] = []
    if max_false is not None and (found.false_of_hits_ratio or 0.0) > max_false:
        faults.append(f"{found.false_of_hits_ratio:.2%} of the hits are false, more than {max_false:.2%}.")
    if min_served is not None and (found.served_true_ratio or 0.0) < min_served:
        faults.append(
            f"{found.served_true_ratio or 0.0:.2%} of the right pairs are served, fewer than {min_served:.2%}."
        )
    return faults


def _show(found: Evaluation) -> None:
    rows = [
        (escape(kind) or "-", str(one.pairs), str(one.same_answer), str(one.served_true), str(one.served_false))
        for kind, one in found.by_kind.items()
    ]
    print_table(
        ("kind", "pairs", "same answer", "served, right", "served, false"),
        rows,
        to_the_right={"pairs", "same answer", "served, right", "served, false"},
    )
    note(f"Served of {found.true_pairs} pairs with the same answer: {_told(found.intervals['served_true_ratio'])}.")
    note(f"False of {found.hits} hits: {_told(found.intervals['false_of_hits_ratio'])}.")
    if found.reasons:
        note("Not served, with the same answer: " + ", ".join(f"{n} {why}" for why, n in found.reasons.items()) + ".")
    note(f"A look-up took {found.p50_ms} ms (p50), {found.p95_ms} ms (p95).")
    if found.not_kept:
        note(f"{found.not_kept} pairs were not compared: the cache did not take their first text.")


def _told(found: Share) -> str:
    if found.ratio is None:
        return "not enough data"
    return f"{found.ratio:.1%} (95 % interval {found.low:.1%} to {found.high:.1%})"
