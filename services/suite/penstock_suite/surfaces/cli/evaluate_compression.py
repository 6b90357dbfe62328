"""`penstock eval compression`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from penstock_suite.domain.failure import ExitCode, Misconfigured
from penstock_suite.domain.requests import CompressionEvaluationRequest, Selection
from penstock_suite.surfaces.cli.options import ConfigOption, JsonOption
from penstock_suite.surfaces.cli.output import escape, failures_told, note, print_json, print_table

if TYPE_CHECKING:
    from penstock_suite.domain.compression_evaluation import CompressionEvaluation

_HELP = """Judge compression by questions with their contexts: whether the sentence that answers stays, and how much goes.

DATASET is JSON lines with `id`, `question`, `context`, `answer_sentence` (a verbatim part of the context), and perhaps
`answer`, `doc` and `near_duplicates`. They go through the gateway's own compressor, built in this process; a running stack
is not touched. Exit code 1 where --min-survived or --min-saved is missed.
"""

Evaluate = Callable[[CompressionEvaluationRequest], "CompressionEvaluation"]


def add_compression(cli: typer.Typer, run: Evaluate) -> None:
    """Add the command to the group; ``run`` evaluates a dataset."""

    @cli.command("compression", help=_HELP)
    def compression(
        *,
        dataset: Annotated[Path, typer.Argument(metavar="DATASET", help="Questions with their contexts.")],
        model: Annotated[
            str, typer.Option(metavar="NAME", help="With what the configuration says of this model; else the defaults.")
        ] = "",
        method: Annotated[
            Literal["extract", "dedupe", "llmlingua2"] | None, typer.Option(help="In the place of compression.method.")
        ] = None,
        keep: Annotated[
            float | None, typer.Option(metavar="SHARE", help="In the place of compression.keep, such as 0.4.")
        ] = None,
        meaning: Annotated[
            bool | None,
            typer.Option("--meaning/--no-meaning", help="Compare documents by the embedding model's vectors, too."),
        ] = None,
        min_survived: Annotated[
            float | None, typer.Option(metavar="RATIO", help="Fail where fewer answers stay, such as 0.98.")
        ] = None,
        min_saved: Annotated[
            float | None, typer.Option(metavar="RATIO", help="Fail where less is saved, such as 0.4.")
        ] = None,
        config: ConfigOption = None,
        as_json: JsonOption = False,
    ) -> None:
        with failures_told(as_json=as_json):
            _check(keep, min_survived, min_saved)
            found = run(CompressionEvaluationRequest(Selection(config), dataset, model, method, keep, meaning))
            print_json(found) if as_json else _show(found)
            if faults := _missed(found, min_survived, min_saved):
                for fault in faults:
                    note(fault)
                raise typer.Exit(ExitCode.FAILED)


def _check(keep: float | None, min_survived: float | None, min_saved: float | None) -> None:
    if keep is not None and not 0 < keep <= 1:
        raise Misconfigured(f"--keep must be above 0 and at most 1, not {keep:g}")
    for name, ratio in (("--min-survived", min_survived), ("--min-saved", min_saved)):
        if ratio is not None and not 0 <= ratio <= 1:
            raise Misconfigured(f"{name} must be between 0 and 1, not {ratio:g}")


def _missed(found: CompressionEvaluation, min_survived: float | None, min_saved: float | None) -> list[str]:
    faults: list[str] = []
    if min_survived is not None and (found.answer_survived_ratio or 0.0) < min_survived:
        faults.append(f"{found.answer_survived_ratio or 0.0:.2%} of the answers stay, fewer than {min_survived:.2%}.")
    if min_saved is not None and (found.tokens_saved_ratio or 0.0) < min_saved:
        faults.append(f"{found.tokens_saved_ratio or 0.0:.2%} of the tokens are saved, less than {min_saved:.2%}.")
    return faults


def _show(found: CompressionEvaluation) -> None:
    rows = [
        (
            escape(count),
            str(one.questions),
            str(one.survived),
            str(one.with_heading),
            f"{one.tokens_saved_ratio or 0:.1%}",
        )
        for count, one in found.by_near_duplicates.items()
    ]
    columns = ("documents alike", "questions", "answer stays", "heading stays", "saved")
    print_table(columns, rows, to_the_right=set(columns))
    told = found.intervals["answer_survived_ratio"]
    note(
        f"The answer stays in {told.hits} of {told.n}: {told.ratio or 0:.1%} (95 % interval {told.low or 0:.1%} to "
        f"{told.high or 0:.1%})."
    )
    note(f"Saved: {found.tokens_saved:,} of {found.tokens_before:,} tokens, {found.tokens_saved_ratio or 0:.1%}.")
    if found.lost:
        note("Lost: " + ", ".join(found.lost) + ".")
    note(
        f"A context took {found.p50_ms} ms (p50), {found.p99_ms} ms (p99); 10,000 tokens {found.ms_per_10k_tokens} ms."
    )
