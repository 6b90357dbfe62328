"""`penstock eval retrieval`."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from penstock_suite.domain.failure import ExitCode, Misconfigured, SuiteFailure
from penstock_suite.domain.requests import RetrievalEvaluationRequest, Selection
from penstock_suite.surfaces.cli.options import ConfigOption, JsonOption
from penstock_suite.surfaces.cli.output import console, escape, failures_told, note, print_json, print_table

if TYPE_CHECKING:
    from penstock_suite.domain.retrieval_evaluation import Interval, RetrievalEvaluation, Run

_MODES = ("dense", "sparse", "hybrid", "hybrid+rerank")
_HELP = """Judge retrieval: where the documents that answer stand among those that are found, in each search mode.

CORPUS is JSON lines with `id`, `text`, and perhaps `title` and `format`, or a folder, whose files are documents named by
their stems. QUERIES is JSON lines with `query`, `relevant` (a list of `doc` and `grade`: 3 answers, 2 in part, 1 is
background), and perhaps `id` and `kind`. Documents are read, cut, embedded and indexed by the real parts in this process, over
a folder that is deleted afterwards. Several models and splitters are compared in one run. Exit code 1 where --min-hit or
--min-ndcg is missed by the last mode.
"""

Evaluate = Callable[[RetrievalEvaluationRequest, Any], "RetrievalEvaluation"]


def add_retrieval(cli: typer.Typer, run: Evaluate) -> None:
    """Add the command to the group; ``run`` evaluates, and tells how far it is."""

    @cli.command("retrieval", help=_HELP)
    def retrieval(
        *,
        corpus: Annotated[Path, typer.Argument(metavar="CORPUS", help="Documents, or their folder.")],
        queries: Annotated[Path, typer.Argument(metavar="QUERIES", help="Questions with the documents that answer.")],
        model: Annotated[
            list[str] | None, typer.Option(metavar="NAME", help="An embedding model; may be given several times.")
        ] = None,
        splitter: Annotated[
            list[str] | None,
            typer.Option(
                metavar="KIND[:TOKENS[:OVERLAP]]",
                help="How documents are cut, such as auto or recursive:128:16; several.",
            ),
        ] = None,
        mode: Annotated[
            list[str] | None, typer.Option(metavar="MODE", help=f"One of {', '.join(_MODES)}; several; else all.")
        ] = None,
        reranker: Annotated[
            str, typer.Option(metavar="MODEL", help="A cross-encoder's directory or name; else the built-in one.")
        ] = "",
        plot: Annotated[
            Path | None, typer.Option(metavar="FILE.svg", help="Draw the modes beside one another.")
        ] = None,
        min_hit: Annotated[
            float | None, typer.Option(metavar="RATIO", help="Fail where hit@1 is lower, such as 0.8.")
        ] = None,
        min_ndcg: Annotated[
            float | None, typer.Option(metavar="RATIO", help="Fail where nDCG@10 is lower, such as 0.85.")
        ] = None,
        config: ConfigOption = None,
        as_json: JsonOption = False,
    ) -> None:
        with failures_told(as_json=as_json):
            modes = _checked(mode, plot, min_hit, min_ndcg)
            request = RetrievalEvaluationRequest(
                Selection(config), corpus, queries, tuple(model or ()), tuple(splitter or ()), modes, reranker
            )
            with _watched() as progress:
                found = run(request, progress)
            if plot is not None:
                _draw(found, plot)
            print_json(found) if as_json else _show(found)
            if faults := _missed(found, min_hit, min_ndcg):
                for fault in faults:
                    note(fault)
                raise typer.Exit(ExitCode.FAILED)


def _checked(mode: list[str] | None, plot: Path | None, *ratios: float | None) -> tuple[str, ...]:
    if unknown := [one for one in mode or () if one not in _MODES]:
        raise Misconfigured(f"--mode {unknown[0]}: there are {', '.join(_MODES)}")
    if plot is not None and plot.suffix.lower() != ".svg":
        raise Misconfigured(f"--plot draws SVG: name a file that ends with .svg, not '{plot.name}'")
    for name, ratio in zip(("--min-hit", "--min-ndcg"), ratios, strict=True):
        if ratio is not None and not 0 <= ratio <= 1:
            raise Misconfigured(f"{name} must be between 0 and 1, not {ratio:g}")
    return tuple(one for one in _MODES if one in mode) if mode else _MODES


class _Bar:
    """A bar on the side where errors go."""

    def __init__(self, progress: Any) -> None:
        self._progress = progress
        self._task: Any = None

    def stage(self, name: str, steps: int) -> None:
        """Begin a bar."""
        self._task = self._progress.add_task(escape(name), total=steps)

    def step(self, steps: int = 1) -> None:
        """Move it."""
        self._progress.advance(self._task, steps)


@contextmanager
def _watched() -> Generator[_Bar]:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    screen = console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=screen, disable=not screen.is_terminal) as progress:
        yield _Bar(progress)


def _draw(found: RetrievalEvaluation, plot: Path) -> None:
    from penstock_suite.domain.retrieval_plot import quality_svg

    try:
        plot.write_text(quality_svg(found, f"{found.setting['corpus']}, {found.queries} questions"), encoding="utf-8")
    except OSError as error:
        raise SuiteFailure(f"{plot} cannot be written: {error.strerror}") from None


def _missed(found: RetrievalEvaluation, min_hit: float | None, min_ndcg: float | None) -> list[str]:
    mode, quality = list(found.modes.items())[-1]
    faults: list[str] = []
    if min_hit is not None and quality.hit_1 < min_hit:
        faults.append(f"{mode}: hit@1 is {quality.hit_1:.3f}, less than {min_hit:.3f}.")
    if min_ndcg is not None and quality.ndcg_10 < min_ndcg:
        faults.append(f"{mode}: nDCG@10 is {quality.ndcg_10:.3f}, less than {min_ndcg:.3f}.")
    return faults


def _show(found: RetrievalEvaluation) -> None:
    columns = ("model", "splitter", "mode", "nDCG@10", "95 %", "recall@10", "MRR", "hit@1", "wrong variant", "p50 ms")
    rows = [
        (
            escape(run.model),
            escape(run.splitter),
            mode,
            f"{one.ndcg_10:.3f}",
            _told(one.intervals["ndcg@10"]),
            f"{one.recall_10:.3f}",
            f"{one.mrr:.3f}",
            f"{one.hit_1:.3f}",
            "-" if one.right_subject_wrong_variant_1 is None else f"{one.right_subject_wrong_variant_1:.3f}",
            f"{one.p50_ms:.1f}",
        )
        for run in found.runs
        for mode, one in run.modes.items()
    ]
    print_table(columns, rows, to_the_right=set(columns[3:]))
    for run in found.runs:
        _show_kinds(run)
        for name, gain in run.gains.items():
            note(f"{run.model}, {run.splitter}: {name}: nDCG@10 {gain.relative or 0:+.1%} ({_told(gain.interval)}).")
        for document, reason in run.left_out.items():
            note(f"Left out: {document}: {reason}")


def _show_kinds(run: Run) -> None:
    kinds = list(dict.fromkeys(kind for one in run.modes.values() for kind in one.by_kind))
    if kinds:
        rows = [
            (
                escape(kind),
                *(f"{one.by_kind[kind].ndcg_10:.3f} / {one.by_kind[kind].hit_1:.3f}" for one in run.modes.values()),
            )
            for kind in kinds
        ]
        print_table(("nDCG@10 / hit@1", *run.modes), rows, to_the_right=set(run.modes))


def _told(interval: Interval) -> str:
    return f"{interval.low:.3f} to {interval.high:.3f}"
