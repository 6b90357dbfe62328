"""`penstock eval answers`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from penstock_suite.domain.failure import ExitCode, Misconfigured
from penstock_suite.domain.requests import AnswersEvaluationRequest, ChatTarget, Selection
from penstock_suite.surfaces.cli.options import ConfigOption, JsonOption, StateOption
from penstock_suite.surfaces.cli.output import escape, failures_told, note, print_json, print_table

if TYPE_CHECKING:
    from penstock_suite.domain.answers_evaluation import AnswersEvaluation, Compared

_HELP = """Ask a public model the cases of a set, and judge its answers; compare with an earlier run.

SET is JSON lines, packed by gzip or not: `id`, `input` or `messages`, and what the answer is held to: `expected`,
`forbidden`, `schema`, `rules`; for a judge `reference` and `criteria`. Each case is a request of the key's, billed as such, that
no cache answers. Exit code 1 where fewer than --gate pass, or where significantly fewer pass than in --against.
"""
_NANO = 1e9

Evaluate = Callable[[AnswersEvaluationRequest, Callable[[int, int], None]], "AnswersEvaluation"]
TargetOf = Callable[[Selection, str, str], tuple[str, str]]


def add_answers(cli: typer.Typer, run: Evaluate, target_of: TargetOf) -> None:
    """Add the command to the group; ``run`` evaluates a set."""

    @cli.command("answers", help=_HELP)
    def answers(
        *,
        dataset: Annotated[Path, typer.Argument(metavar="SET", help="Cases.")],
        model: Annotated[str, typer.Option(metavar="NAME", help="The public model.")],
        judge: Annotated[str, typer.Option(metavar="NAME", help="A public model that judges each answer, too.")] = "",
        gate: Annotated[float, typer.Option(metavar="RATIO", help="Fail where fewer pass.")] = 0.0,
        against: Annotated[
            Path | None,
            typer.Option(metavar="FILE.json", help="An earlier result of --json: fail where this is worse."),
        ] = None,
        concurrency: Annotated[int, typer.Option(min=1, max=64, help="Cases at once.")] = 4,
        timeout: Annotated[float, typer.Option(metavar="SECONDS", min=0.1, help="Of one answer.")] = 120.0,
        address: Annotated[
            str, typer.Option(metavar="HOST:PORT", help="A gRPC address; without it, the local stack's.")
        ] = "",
        key: Annotated[
            str, typer.Option(metavar="KEY", envvar="PENSTOCK_API_KEY", help="Without it, the state folder's demo key.")
        ] = "",
        state: StateOption = None,
        config: ConfigOption = None,
        as_json: JsonOption = False,
    ) -> None:
        with failures_told(as_json=as_json):
            if not 0 <= gate <= 1:
                raise Misconfigured(f"--gate must be between 0 and 1, not {gate:g}")
            grpc_address, found_key = target_of(Selection(state=state), address, key)
            target = ChatTarget(grpc_address=grpc_address, key=found_key, model=model)
            request = AnswersEvaluationRequest(target, dataset, judge, against, config, concurrency, timeout)
            found = run(request, _note_progress)
            print_json(found) if as_json else _show(found)
            if faults := missed(found, gate):
                for fault in faults:
                    note(fault)
                raise typer.Exit(ExitCode.FAILED)


def missed(found: AnswersEvaluation, gate: float) -> list[str]:
    """Return what is said of each goal that was missed."""
    faults: list[str] = []
    if (found.passed.ratio or 0.0) < gate:
        faults.append(f"{found.passed.hits} of {found.passed.n} pass, less than {gate:.2%}.")
    if found.compared is not None and not found.compared.pairs:
        faults.append("No case is as it was in the earlier run: nothing can be compared.")
    if found.compared is not None and found.compared.is_worse:
        faults.append(f"Fewer pass than before: {_change(found.compared)}.")
    return faults


def _note_progress(done: int, of: int) -> None:
    if done % 50 == 0 or done == of:
        note(f"{done} of {of} cases are done.")


def _show(found: AnswersEvaluation) -> None:
    rows = [
        (escape(one.id), ", ".join(map(escape, one.faults)) or "-", one.judged or "-", escape(one.reason) or "-")
        for one in found.results
        if not one.passed or one.is_disputed
    ]
    if rows:
        print_table(("case", "faults", "judge", "its reason"), rows)
    rate = found.passed
    note(f"{rate.hits} of {rate.n} pass: {rate.ratio or 0:.2%} ({rate.low or 0:.2%} to {rate.high or 0:.2%}, 95 %).")
    if found.judge:
        note(f"The judge differs from what was counted in {len(found.disputed)}, and was unclear in {found.unclear}.")
    if found.failed:
        note(f"{found.failed} got no answer.")
    if found.compared is not None:
        note(f"Against '{escape(found.compared.model)}': {_change(found.compared)}.")
        for name, ids in (("Fixed", found.compared.fixed), ("Broken", found.compared.broken)):
            if ids:
                note(f"{name}: {escape(', '.join(ids))}.")
    cost = "unknown" if found.cost_nano_usd is None else f"${found.cost_nano_usd / _NANO:.6f}"
    note(f"An answer took {found.p50_seconds} s (p50), {found.p95_seconds} s (p95); cost: {cost}.")


def _change(one: Compared) -> str:
    if one.change is None:
        return "no case in common"
    return (
        f"{one.change:+.2%} ({one.low or 0:+.2%} to {one.high or 0:+.2%}, 95 %) over {one.pairs} cases, p = {one.p_value:g}, "
        f"{one.left_out} left out"
    )
