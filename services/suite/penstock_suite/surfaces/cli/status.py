"""`penstock status`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from penstock_suite.domain.answers import GatewayReport
from penstock_suite.domain.failure import ExitCode
from penstock_suite.domain.reload import Outcome
from penstock_suite.domain.requests import GatewayTarget, Selection
from penstock_suite.domain.run_record import StackStatus
from penstock_suite.surfaces.cli.options import CaOption, JsonOption, OperatorKeyOption, StateOption, command
from penstock_suite.surfaces.cli.output import console, escape, failures_told, print_json
from penstock_suite.surfaces.cli.upstreams import described

if TYPE_CHECKING:
    from rich.console import Console

_NANO = 1e9

_HELP = """Ask the running stack how it is; exit code 1 unless it is ready.

With --address, ask the gateway there, as StatusService speaks of it; exit code 1 unless it is healthy.
"""


StackStatusOf = Callable[[Selection], StackStatus]
GatewayReportOf = Callable[[GatewayTarget], GatewayReport]


def status(of_stack: StackStatusOf, of_gateway: GatewayReportOf) -> typer.Typer:
    """Return the command: of what runs on a state folder, or of a gateway."""
    cli = command()

    @cli.command("status", help=_HELP)
    def show(
        *,
        address: Annotated[str, typer.Option(metavar="HOST:PORT", help="A gateway's gRPC address.")] = "",
        key: OperatorKeyOption = "",
        ca: CaOption = None,
        state: StateOption = None,
        as_json: JsonOption = False,
    ) -> None:
        with failures_told(as_json=as_json):
            if address:
                report = of_gateway(GatewayTarget(grpc_address=address, key=key, ca_file=ca))
                is_good = report.is_healthy
                print_json(report) if as_json else _show_gateway(console(), report)
            else:
                answer = of_stack(Selection(state=state))
                is_good = answer.ready
                print_json(answer) if as_json else _show(console(), answer)
            if not is_good:
                raise typer.Exit(ExitCode.FAILED)

    return cli


def _show(out: Console, status: StackStatus) -> None:
    mark = "[bold green]ready[/]" if status.ready else "[bold red]not ready[/]"
    out.print(f"Penstock is {mark}, since {status.started_at}")
    out.print(f"  HTTP   {escape(status.http)}  {status.http_status}")
    out.print(f"  gRPC   {escape(status.grpc)}  {status.grpc_status}")
    out.print(f"  state  {escape(status.state)}")
    if status.cache is not None:
        out.print(f"  cache  {escape(status.cache.told)}")
    if status.config:
        out.print(f"  config {escape(status.config)}")
    if status.revision:
        out.print(f"         revision {status.revision}, since {status.revision_since}")
    if status.last_reload is not None and status.last_reload.outcome is Outcome.REFUSED:
        out.print("  [bold red]the last reload was refused[/], and that revision runs on:")
        for fault in status.last_reload.faults:
            out.print(f"         {escape(fault)}")
    for part in status.parts:
        revision = f"  revision {part.revision}, since {part.revision_since}" if part.revision else ""
        out.print(f"  {part.name:<8} pid {part.pid}  {'running' if part.running else '[red]gone[/]'}{revision}")
        if part.problem:
            out.print(f"           [bold red]problem[/] {escape(part.problem)}")
    for gateway in status.gateways:
        _show_gateway(out, gateway)


def _show_gateway(out: Console, gateway: GatewayReport) -> None:
    out.print(f"Gateway {escape(gateway.replica)}, this process alone, in the last {gateway.window_seconds:.0f} s")
    if gateway.revision:
        out.print(f"  revision    {gateway.revision}, since {gateway.revision_since}")
    for problem in gateway.problems:
        out.print(f"  [bold red]problem[/] {escape(problem)}")
    out.print(
        f"  requests    {gateway.requests}, {gateway.failures} failed ({gateway.error_ratio:.1%}), "
        f"{gateway.requests_in_flight} in flight"
    )
    out.print(f"  duration    {_percentiles(gateway.duration_p50_ms, gateway.duration_p95_ms)}")
    first_token = _percentiles(gateway.time_to_first_token_p50_ms, gateway.time_to_first_token_p95_ms)
    out.print(f"  first token {first_token}")
    out.print(f"  cache hits  {'-' if gateway.cache_hit_ratio is None else f'{gateway.cache_hit_ratio:.0%}'}")
    cost = gateway.cost_per_request_nano_usd
    out.print(f"  cost        {'-' if cost is None else f'${cost / _NANO:.6f} a request'}")
    for upstream in gateway.upstreams:
        models = ", ".join(f"{model.name} {model.state}".rstrip() for model in upstream.models)
        attempts = f"{upstream.attempts} attempts, {upstream.failed_attempts} failed"
        out.print(f"  upstream    {escape(upstream.name)}: {attempts}; {escape(models)}")
    for place in gateway.unwell:
        out.print(f"  [bold]not well[/]    {described(place)}")


def _percentiles(p50_ms: float | None, p95_ms: float | None) -> str:
    if p50_ms is None or p95_ms is None:
        return "-"
    return f"p50 {p50_ms:,.1f} ms, p95 {p95_ms:,.1f} ms"
