"""`penstock route explain`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Annotated

import typer

from penstock_suite.domain.failure import Misconfigured
from penstock_suite.domain.requests import ChatTarget, Selection
from penstock_suite.domain.routes import CandidateRow, RouteDecision, RouteExplanation, RouteQuestion
from penstock_suite.surfaces.cli.options import JsonOption, StateOption, group
from penstock_suite.surfaces.cli.output import console, escape, failures_told, print_json, print_table

TargetOf = Callable[[Selection, str, str], tuple[str, str]]
Explain = Callable[[ChatTarget, RouteQuestion], RouteExplanation]


def route(target_of: TargetOf, explain: Explain) -> typer.Typer:
    """Return the command; ``target_of`` returns the gRPC address and the key, as for `penstock chat`."""
    cli = group("Which model answers which prompt, and why.")

    @cli.command("explain", help="Say how a prompt would be routed now, and why. No model is asked.")
    def explained(
        *,
        prompt: Annotated[str, typer.Argument(metavar="PROMPT", help="'-' reads standard input.")],
        model: Annotated[str, typer.Option(metavar="NAME", help="The public model of the request.")] = "auto",
        tag: Annotated[
            list[str] | None, typer.Option(metavar="NAME=VALUE", help="A tag of the request; repeat it.")
        ] = None,
        address: Annotated[
            str, typer.Option(metavar="HOST:PORT", help="A gRPC address; without it, the local stack's.")
        ] = "",
        key: Annotated[
            str, typer.Option(metavar="KEY", envvar="PENSTOCK_API_KEY", help="Without it, the state folder's demo key.")
        ] = "",
        state: StateOption = None,
        as_json: JsonOption = False,
    ) -> None:
        with failures_told(as_json=as_json):
            text = sys.stdin.read() if prompt == "-" else prompt
            question = RouteQuestion(text, model, _tags(tag or []))
            grpc_address, found_key = target_of(Selection(state=state), address, key)
            found = explain(ChatTarget(grpc_address=grpc_address, key=found_key), question)
            if as_json:
                print_json(found)
            else:
                _show(found)

    return cli


def _tags(said: Sequence[str]) -> dict[str, str]:
    for word in said:
        if not word.partition("=")[0] or "=" not in word:
            raise Misconfigured(f"--tag '{word}' is none: write it NAME=VALUE")
    return dict(word.split("=", 1) for word in said)


def _show(found: RouteExplanation) -> None:
    out = console()
    if found.decision is not None:
        out.print(
            f"[bold]{escape(found.decision.model)}[/] by {escape(found.decision.by)}{escape(_seen(found.decision))}"
        )
        for passed in found.decision.passed_over:
            out.print(f"  passed over {escape(passed)}")
    if found.refusal:
        out.print(f"[red]nobody[/]: {escape(found.refusal)}")
    else:
        out.print(escape(found.reason))
    out.print()
    titles = (
        "asked",
        "model",
        "candidate",
        "in $/M",
        "out $/M",
        "first token",
        "window",
        "region",
        "state",
        "against it",
    )
    right = {"asked", "in $/M", "out $/M", "first token", "window"}
    print_table(titles, [_cells(row) for row in found.candidates], to_the_right=right)


def _seen(decision: RouteDecision) -> str:
    if not decision.task:
        return ""
    basis = "" if decision.by_vector else ", by its words alone"
    unsure = ", too unsure to decide by" if decision.abstains else ""
    return (
        f": {decision.task} at {decision.task_confidence:.2f}, {decision.complexity} at "
        f"{decision.complexity_confidence:.2f}{basis}{unsure}"
    )


def _cells(row: CandidateRow) -> Sequence[str]:
    return (
        "" if row.rank is None else str(row.rank),
        escape(row.model),
        escape(row.candidate),
        "?" if row.input_usd is None else f"{row.input_usd:g}",
        "?" if row.output_usd is None else f"{row.output_usd:g}",
        "" if row.latency_ms is None else f"{row.latency_ms:.0f} ms",
        str(row.context_window_tokens),
        escape(row.region),
        escape(row.condition),
        escape(row.objection),
    )
