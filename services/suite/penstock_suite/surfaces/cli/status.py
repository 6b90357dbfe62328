"""`penstock status`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Protocol

import typer
from rich.console import Console
from rich.markup import escape

from penstock_suite.domain.failure import ExitCode
from penstock_suite.domain.gateway_report import GatewayReport
from penstock_suite.domain.requests import Selection, StatusTarget
from penstock_suite.domain.run_record import StackStatus
from penstock_suite.surfaces.cli.options import JsonOption, StateOption
from penstock_suite.surfaces.cli.output import console, failures_told, print_json

_NANO = 1e9

_HELP = """Ask the running stack how it is; exit code 1 unless it is ready.

With --address, ask the gateway there, as StatusService speaks of it; exit code 1 unless it is healthy.
"""


class StatusActions(Protocol):
    """What the command needs."""

    def stack(self, selection: Selection) -> StackStatus:
        """Return what the stack says that runs on a state folder."""
        ...

    def gateway(self, target: StatusTarget) -> GatewayReport:
        """Return what a gateway says of itself."""
        ...


def add_status(cli: typer.Typer, actions: StatusActions) -> None:
    """Add the command."""

    @cli.command("status", help=_HELP)
    def status(
        *,
        address: Annotated[str, typer.Option(metavar="HOST:PORT", help="A gateway's gRPC address.")] = "",
        key: Annotated[
            str, typer.Option(envvar="PENSTOCK_OPERATOR_KEY", help="An operator's key, beside --address.")
        ] = "",
        ca: Annotated[
            Path | None, typer.Option(metavar="FILE", help="Who proves the gateway, where it has TLS.")
        ] = None,
        state: StateOption = None,
        as_json: JsonOption = False,
    ) -> None:
        with failures_told(as_json=as_json):
            if address:
                _ask_gateway(actions, StatusTarget(grpc_address=address, key=key, ca_file=ca), as_json=as_json)
                return
            answer = actions.stack(Selection(state=state))
            if as_json:
                print_json(answer)
            else:
                _show(console(), answer)
            if not answer.ready:
                raise typer.Exit(ExitCode.FAILED)


def _ask_gateway(actions: StatusActions, target: StatusTarget, *, as_json: bool) -> None:
    report = actions.gateway(target)
    if as_json:
        print_json(report)
    else:
        _show_gateway(console(), report)
    if not report.is_healthy:
        raise typer.Exit(ExitCode.FAILED)


def _show(out: Console, status: StackStatus) -> None:
    mark = "[bold green]ready[/]" if status.ready else "[bold red]not ready[/]"
    out.print(f"Penstock is {mark}, since {status.started_at}")
    out.print(f"  HTTP   {escape(status.http)}  {status.http_status}")
    out.print(f"  gRPC   {escape(status.grpc)}  {status.grpc_status}")
    out.print(f"  state  {escape(status.state)}")
    if status.config:
        out.print(f"  config {escape(status.config)}")
    for part in status.parts:
        out.print(f"  {part.name:<8} pid {part.pid}  {'running' if part.running else '[red]gone[/]'}")
    for gateway in status.gateways:
        _show_gateway(out, gateway)


def _show_gateway(out: Console, gateway: GatewayReport) -> None:
    out.print(f"Gateway {escape(gateway.replica)}, this process alone, in the last {gateway.window_seconds:.0f} s")
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


def _percentiles(p50_ms: float | None, p95_ms: float | None) -> str:
    if p50_ms is None or p95_ms is None:
        return "-"
    return f"p50 {p50_ms:,.1f} ms, p95 {p95_ms:,.1f} ms"
