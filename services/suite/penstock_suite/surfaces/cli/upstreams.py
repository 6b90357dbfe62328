"""`penstock upstreams list|probe|eject|restore`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated

import typer

from penstock_suite.domain.administration import EjectionRequest, OpenAdministration
from penstock_suite.domain.answers import UpstreamRow
from penstock_suite.surfaces.cli.administering import Ask, administering
from penstock_suite.surfaces.cli.options import JsonOption, group, read_duration
from penstock_suite.surfaces.cli.output import escape, failures_told, note, print_json, print_table

_HELP = """Upstreams as requests meet them: who is asked, who is left out and why; leaving one out, and taking it back.

States are those of every process that shares a Redis, and hold there within a second. Latency, requests and limits are those
of the process that answers.
"""
_TITLES = (
    "upstream", "endpoint", "state", "reason", "since", "until", "first token", "in flight", "waiting", "limit", "last probe",
)  # fmt: skip
_TO_THE_RIGHT = {"first token", "in flight", "waiting", "limit"}
_COLOURS = {
    "ok": "green", "slow": "yellow", "cooling": "yellow", "probing": "yellow", "ejected": "red", "by hand": "magenta",
}  # fmt: skip

UpstreamArgument = Annotated[
    str, typer.Argument(metavar="NAME[/MODEL]", help="An upstream, or one model of it, by the configuration's names.")
]


def upstreams(opened: OpenAdministration) -> typer.Typer:
    """Return the commands."""
    cli = group(_HELP)
    _add_list(cli, opened)
    _add_probe(cli, opened)
    _add_eject(cli, opened)
    _add_restore(cli, opened)
    return cli


def described(row: UpstreamRow) -> str:
    """Return a place that is not ok in one line of rich's markup: who, how, why, since when and until when."""
    reason = f" ({escape(row.reason)})" if row.reason else ""
    since = f", since {_moment(row.since)}" if row.since is not None else ""
    until = f", until {_moment(row.until)}" if row.until is not None else ""
    return f"{escape(row.name)}: {_state(row)}{reason}{since}{until}"


def _add_list(cli: typer.Typer, opened: OpenAdministration) -> None:
    @cli.command("list", help="List every upstream's models: the state, why and since when, and how busy each is.")
    @administering(opened)
    def list_upstreams(ask: Ask, *, as_json: JsonOption = False) -> None:
        with failures_told(as_json=as_json):
            rows = ask(lambda administration: administration.upstreams())
            if as_json:
                print_json(rows)
            else:
                print_table(_TITLES, map(_row, rows), to_the_right=_TO_THE_RIGHT)


def _add_probe(cli: typer.Typer, opened: OpenAdministration) -> None:
    @cli.command("probe", help="Ask for a token at once. Three good answers in a row bring back what is ejected.")
    @administering(opened)
    def probe(ask: Ask, *, upstream: UpstreamArgument, as_json: JsonOption = False) -> None:
        name, _, model = upstream.partition("/")
        with failures_told(as_json=as_json):
            rows = ask(lambda administration: administration.probe_upstream(name, model))
            _show(rows, "is about to be probed: 'penstock upstreams list' shows how it went", as_json=as_json)


def _add_eject(cli: typer.Typer, opened: OpenAdministration) -> None:
    @cli.command("eject", help="Leave it out for a time, whatever probes say; what is under way ends in its own time.")
    @administering(opened)
    def eject(
        ask: Ask,
        *,
        upstream: UpstreamArgument,
        duration: Annotated[
            str, typer.Option("--for", metavar="TIME", help="Such as 10m, which it is without; at most 30d.")
        ] = "",
        reason: Annotated[str, typer.Option(metavar="TEXT", help="Why, for the list and the audit log.")] = "",
        force: Annotated[bool, typer.Option("--force", help="Also where nobody is left to ask then.")] = False,
        as_json: JsonOption = False,
    ) -> None:
        name, _, model = upstream.partition("/")
        for_ = read_duration(duration, "--for") if duration else None
        wanted = EjectionRequest(upstream=name, model=model, duration=for_, reason=reason, force=force)
        with failures_told(as_json=as_json):
            rows = ask(lambda administration: administration.eject_upstream(wanted))
            until = next((row.until for row in rows if row.until is not None), None)
            _show(rows, f"is left out until {_moment(until)}" if until else "is left out", as_json=as_json)


def _add_restore(cli: typer.Typer, opened: OpenAdministration) -> None:
    @cli.command("restore", help="Ask it again, whoever left it out; what spoke against it is forgotten.")
    @administering(opened)
    def restore(ask: Ask, *, upstream: UpstreamArgument, as_json: JsonOption = False) -> None:
        name, _, model = upstream.partition("/")
        with failures_told(as_json=as_json):
            rows = ask(lambda administration: administration.restore_upstream(name, model))
            _show(rows, "is asked again", as_json=as_json)


def _show(rows: Sequence[UpstreamRow], what: str, *, as_json: bool) -> None:
    if as_json:
        print_json(rows)
        return
    for row in rows:
        note(f"{row.name} {what}.")


def _row(row: UpstreamRow) -> Sequence[str]:
    probed = f"{escape(row.probe_outcome)} {_moment(row.probed_at)}" if row.probed_at is not None else "-"
    return (
        escape(f"{row.upstream}/{row.model}"),
        escape(row.endpoint) or "-",
        _state(row),
        escape(row.reason) or "-",
        _moment(row.since),
        _moment(row.until),
        "-" if row.latency_ms is None else f"{row.latency_ms:,.0f} ms",
        str(row.in_flight),
        "-" if row.waiting is None else str(row.waiting),
        "-" if row.limit is None else str(row.limit),
        probed,
    )


def _state(row: UpstreamRow) -> str:
    return f"[{_COLOURS.get(row.state, 'bold')}]{escape(row.state)}[/]" if row.state else "[dim]not told[/]"


def _moment(moment: datetime | None) -> str:
    return "-" if moment is None else moment.isoformat(timespec="seconds")
