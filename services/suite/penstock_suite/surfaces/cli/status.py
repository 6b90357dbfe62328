"""`penstock status`."""

from __future__ import annotations

from collections.abc import Callable

import typer
from rich.console import Console
from rich.markup import escape

from penstock_suite.domain.failure import ExitCode
from penstock_suite.domain.gateway_report import GatewayReport
from penstock_suite.domain.requests import Selection
from penstock_suite.domain.run_record import StackStatus
from penstock_suite.surfaces.cli.options import JsonOption, StateOption
from penstock_suite.surfaces.cli.output import console, failures_told, print_json

_NANO = 1e9

AskStatus = Callable[[Selection], StackStatus]


def add_status(cli: typer.Typer, ask_status: AskStatus) -> None:
    """Add the command; ``ask_status`` asks the stack that runs on a state folder."""

    @cli.command("status", help="Ask the running stack how it is; exit code 1 unless it is ready.")
    def status(*, state: StateOption = None, as_json: JsonOption = False) -> None:
        with failures_told(as_json=as_json):
            answer = ask_status(Selection(state=state))
            if as_json:
                print_json(answer)
            else:
                _show(console(), answer)
            if not answer.ready:
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
    if status.gateway is not None:
        _show_gateway(out, status.gateway)


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
