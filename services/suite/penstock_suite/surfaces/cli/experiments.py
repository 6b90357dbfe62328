"""`penstock experiments list|show|stop|start|promote`."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from typing import Annotated

import typer

from penstock_suite.domain.administration import OpenAdministration
from penstock_suite.domain.experiments import ComparisonRow, ExperimentResults, ExperimentRow, ResultRow
from penstock_suite.domain.interval_plot import Bar, interval_lines
from penstock_suite.surfaces.cli.administering import Ask, administering
from penstock_suite.surfaces.cli.options import JsonOption, group
from penstock_suite.surfaces.cli.output import console, escape, failures_told, note, print_json, print_table

_HELP = """Experiments of the configuration: what was found of the variants, and ending, beginning and promoting.

Intervals hold at every look, so they may be looked at as often as one likes.
"""
_LIST_TITLES = ("experiment", "on", "state", "variants", "by", "why")
_METRIC_TITLES = ("variant", "metric", "control", "its own", "of requests", "guardrail")
_VERDICT_COLOURS = {"better": "green", "worse": "red", "harms": "bold red", "as_good": "cyan"}
_POINTS = {"error_rate", "feedback"}

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="An experiment of the configuration.")]


def experiments(opened: OpenAdministration) -> typer.Typer:
    """Return the commands."""
    cli = group(_HELP)
    _add_list(cli, opened)
    _add_show(cli, opened)
    _add_stop(cli, opened)
    _add_start(cli, opened)
    _add_promote(cli, opened)
    return cli


def _add_list(cli: typer.Typer, opened: OpenAdministration) -> None:
    @cli.command("list", help="List the experiments: how they are, and who gets what.")
    @administering(opened)
    def list_experiments(ask: Ask, *, as_json: JsonOption = False) -> None:
        with failures_told(as_json=as_json):
            rows = ask(lambda administration: administration.experiments())
            if as_json:
                print_json(rows)
            else:
                print_table(_LIST_TITLES, map(_row, rows))


def _add_show(cli: typer.Typer, opened: OpenAdministration) -> None:
    @cli.command("show", help="Show what can be said of the variants now: in words, as bars and in figures.")
    @administering(opened)
    def show(ask: Ask, *, name: NameArgument, as_json: JsonOption = False) -> None:
        with failures_told(as_json=as_json):
            found = ask(lambda administration: administration.experiment_results(name))
            if as_json:
                print_json(found)
            else:
                _show(found)


def _add_stop(cli: typer.Typer, opened: OpenAdministration) -> None:
    @cli.command("stop", help="Let everybody have the control.")
    @administering(opened)
    def stop(
        ask: Ask,
        *,
        name: NameArgument,
        reason: Annotated[str, typer.Option(metavar="TEXT", help="Why, for the list and the audit log.")] = "",
        as_json: JsonOption = False,
    ) -> None:
        with failures_told(as_json=as_json):
            row = ask(lambda administration: administration.stop_experiment(name, reason))
            _told(row, "is stopped: everybody has the control", as_json=as_json)


def _add_start(cli: typer.Typer, opened: OpenAdministration) -> None:
    @cli.command("start", help="Let one go on that was stopped or promoted; what was counted before still counts.")
    @administering(opened)
    def start(ask: Ask, *, name: NameArgument, as_json: JsonOption = False) -> None:
        with failures_told(as_json=as_json):
            row = ask(lambda administration: administration.start_experiment(name))
            _told(row, "goes on" if row.is_running else "goes on once its time has come", as_json=as_json)


def _add_promote(cli: typer.Typer, opened: OpenAdministration) -> None:
    @cli.command("promote", help="Let everybody have a variant, until the configuration says so itself.")
    @administering(opened)
    def promote(
        ask: Ask,
        *,
        name: NameArgument,
        variant: Annotated[str, typer.Argument(metavar="VARIANT", help="One beside the control.")],
        as_json: JsonOption = False,
    ) -> None:
        with failures_told(as_json=as_json):
            row = ask(lambda administration: administration.promote_variant(name, variant))
            _told(row, f"is over: everybody has '{variant}'", as_json=as_json)


def _told(row: ExperimentRow, what: str, *, as_json: bool) -> None:
    if as_json:
        print_json(row)
    else:
        note(f"{row.name} {what}.")


def _row(row: ExperimentRow) -> Sequence[str]:
    variants = ", ".join(f"{one.name} {one.share:.0%}" for one in row.variants)
    kind = " beside it, to nobody" if row.is_shadow else ", by the figures" if row.is_adaptive else ""
    return (
        escape(row.name),
        _subject(row),
        _state(row),
        escape(variants + kind),
        row.unit,
        escape(row.reason) or "-",
    )


def _subject(row: ExperimentRow) -> str:
    return f"the prompt {escape(row.prompt)}" if row.prompt else escape(", ".join(row.models))


def _state(row: ExperimentRow) -> str:
    if row.state == "running":
        return "[green]running[/]" if row.is_running else "[dim]not its time[/]"
    return f"promoted: {escape(row.promoted_variant)}" if row.state == "promoted" else "[red]stopped[/]"


def _show(found: ExperimentResults) -> None:
    out, row = console(), found.experiment
    units = ", ".join(f"{one.name} {one.units}" for one in row.variants)
    reason = f" ({escape(row.reason)})" if row.reason else ""
    out.print(f"[bold]{escape(row.name)}[/] on {_subject(row)}: {_state(row)}{reason}")
    out.print(f"units, each a {row.unit}: {escape(units)}")
    if found.has_mismatch:
        out.print(
            "[bold red]Units do not come in the shares that were set"
            f" (p = {found.mismatch_probability:.2g}): do not believe what follows before you know why.[/]"
        )
    for result in found.results:
        out.print(f"\n[{_VERDICT_COLOURS.get(result.verdict, 'default')}]{escape(result.words)}[/]")
        for line in interval_lines(_bars(result), shutil.get_terminal_size().columns):
            out.print(escape(line))
    out.print()
    print_table(
        _METRIC_TITLES,
        [_metric(result, one) for result in found.results for one in result.comparisons],
        to_the_right={"control", "its own", "of requests"},
    )


def _bars(result: ResultRow) -> list[Bar]:
    """Return the bars in percent, points where the metric is a ratio itself; one scale, so that they compare."""
    bars: list[Bar] = []
    for one in result.comparisons:
        is_points = one.metric in _POINTS
        interval, unit = (one.difference, "points") if is_points else (one.relative, "%")
        if interval is not None:
            estimate, low, high = (100 * value for value in (interval.estimate, interval.low, interval.high))
            text = f"{estimate:+.1f} {unit} ({low:+.1f} to {high:+.1f})"
            bars.append(Bar(one.metric.replace("_", " "), estimate, low, high, text))
    return bars


def _metric(result: ResultRow, one: ComparisonRow) -> Sequence[str]:
    return (
        escape(result.variant),
        one.metric.replace("_", " ") + (", more is better" if one.more_is_better else ""),
        f"{one.control_mean:.6g}",
        f"{one.variant_mean:.6g}",
        f"{one.control_count} / {one.variant_count}",
        "-" if one.guardrail is None else f"{'broken, ' if one.is_harmful else ''}{one.guardrail:g}",
    )
