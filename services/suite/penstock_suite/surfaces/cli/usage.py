"""`penstock usage`: what was used and what it cost, by whom and by when; and `penstock usage export`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from penstock_suite.domain.administration import OpenAdministration
from penstock_suite.domain.failure import Misconfigured
from penstock_suite.domain.requests import Exports
from penstock_suite.domain.usage import STEPS, UsageLine, UsageRequest, names_of, total_of, usd
from penstock_suite.surfaces.cli.administering import Ask, administering
from penstock_suite.surfaces.cli.exporting import LEDGER_HELP, ExportRows, add_export
from penstock_suite.surfaces.cli.options import group, read_choice, read_words
from penstock_suite.surfaces.cli.output import escape, failures_told, note, print_json, print_table

_HELP = """What requests have used and cost, out of the ledger: by tenant, team, model, tag, day, and more.

The lines add up to the total; '(none)' stands for what is attributed to nobody. Without a time it is this month.
"""
_FIGURES = ("requests", "errors", "hits", "input", "output", "cost $", "saved $", "share")
_MOST_LINES = 1000
_FILTERED = ("team", "user", "key", "feature", "model", "requested_model", "upstream", "task")

ZoneOption = Annotated[
    str, typer.Option("--tz", "--time-zone", metavar="ZONE", help="Whose clocks count, such as Europe/Berlin.")
]
PlotOption = Annotated[
    Path | None, typer.Option("--plot", metavar="FILE", help="Draw it, too: a file that ends with .svg.")
]


class Format(StrEnum):
    """How a report is written."""

    TABLE = "table"
    CSV = "csv"
    JSON = "json"


def usage(opened: OpenAdministration, export_rows: ExportRows) -> typer.Typer:
    """Return the group; ``export_rows`` writes a file."""
    cli = group(_HELP)
    cli.callback(invoke_without_command=True, no_args_is_help=False)(_reporting(opened))
    add_export(cli, export_rows, Exports.LEDGER, LEDGER_HELP)
    return cli


def _reporting(opened: OpenAdministration):  # noqa: ANN202 - what typer takes
    @administering(opened)
    def report(
        ask: Ask,
        *,
        context: typer.Context,
        by: Annotated[
            str,
            typer.Option(
                metavar="WORDS",
                help="Between commas: tenant, team, user, end_user, key, feature, model, requested_model, upstream, "
                "surface, prompt, prompt_version, experiment, variant, task, operation, outcome, cache, usage_source, run_as, "
                "tag:KEY, and one of hour, day, week, month.",
            ),
        ] = "tenant,requested_model",
        month: Annotated[str, typer.Option(metavar="MONTH", help="Such as 2026-10.")] = "",
        since: Annotated[
            str, typer.Option("--from", metavar="TIME", help="Such as 2026-10-01, 2026-10-01T12:00Z or 30d.")
        ] = "",
        until: Annotated[str, typer.Option("--to", metavar="TIME", help="The first moment that is not of it.")] = "",
        zone: ZoneOption = "UTC",
        tenant: Annotated[str, typer.Option(metavar="NAME", help="Of this tenant only.")] = "",
        where: Annotated[
            list[str] | None,
            typer.Option(
                metavar="WORD=VALUE",
                help=f"Of these only, such as model=m1 or tag:env=prod; {', '.join(_FILTERED)}, tag:KEY. May be repeated.",
            ),
        ] = None,
        form: Annotated[str, typer.Option("--format", metavar="table|csv|json", help="How it is written.")] = "table",
        plot: PlotOption = None,
    ) -> None:
        if context.invoked_subcommand is not None:
            return
        chosen = read_choice(form, "--format", Format)
        with failures_told(as_json=chosen is Format.JSON):
            check_plot(plot)
            begin, end = span(month, since, until, zone)
            fields, tags = _filters(where or ())
            wanted = UsageRequest(
                by=read_words(by), since=begin, until=end, zone=zone, tenant=tenant, where=fields, tags=tags
            )
            lines = ask(lambda administration: administration.usage(wanted))
            _write(lines, wanted, chosen)
            if plot is not None:
                draw(lines, wanted, plot)

    return report


def span(month: str, since: str, until: str, zone: str) -> tuple[datetime, datetime | None]:
    """Return the time that is meant: this month where nothing is said.

    Raises:
        Misconfigured: if it is none.
    """
    from penstock_suite.domain.times import moment_of, month_of, zone_named

    if month and (since or until):
        raise Misconfigured("say --month, or --from and --to")
    now = datetime.now(UTC)
    try:
        clocks = zone_named(zone)
        if month:
            return month_of(month, clocks)
        end = moment_of(until, clocks, now) if until else None
        begin = moment_of(since, clocks, now) if since else month_of(f"{now.astimezone(clocks):%Y-%m}", clocks)[0]
    except (ValueError, OverflowError) as error:
        raise Misconfigured(str(error)) from None
    if end is not None and end <= begin:
        raise Misconfigured("--to must be after --from")
    return begin, end


def check_plot(plot: Path | None) -> None:
    """Raise Misconfigured unless a drawing can be written so."""
    if plot is not None and plot.suffix.lower() != ".svg":
        raise Misconfigured(f"--plot draws SVG: name a file that ends with .svg, not '{plot.name}'")


def write_plot(plot: Path, svg: str) -> None:
    """Write a drawing.

    Raises:
        Misconfigured: if there is no place for it.
    """
    try:
        plot.write_text(svg, encoding="utf-8")
    except OSError as error:
        raise Misconfigured(f"cannot write '{plot}': {error.strerror}") from None


def draw(lines: Sequence[UsageLine], wanted: UsageRequest, plot: Path) -> None:
    """Draw the costs of a report."""
    from penstock_suite.domain.usage_plot import usage_svg

    title = f"Cost by {', '.join(wanted.by) or 'all'}: ${usd(total_of(lines).cost_nano_usd, 2)}"
    write_plot(plot, usage_svg(lines, wanted, title))


def _filters(texts: Sequence[str]) -> tuple[dict[str, tuple[str, ...]], dict[str, str]]:
    fields: dict[str, tuple[str, ...]] = {}
    tags: dict[str, str] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or (name not in _FILTERED and not name.startswith("tag:")):
            raise Misconfigured(f"--where: WORD=VALUE is expected, of {', '.join(_FILTERED)} or tag:KEY, not '{text}'")
        if name.startswith("tag:"):
            tags[name.removeprefix("tag:")] = value
        else:
            fields[name] = (*fields.get(name, ()), value)
    return fields, tags


def _write(lines: Sequence[UsageLine], wanted: UsageRequest, chosen: Format) -> None:
    if chosen is Format.JSON:
        print_json({"lines": lines, "total": total_of(lines)})
    elif chosen is Format.CSV:
        from penstock_suite.domain.usage_text import usage_csv

        sys.stdout.write(usage_csv(lines, wanted))
    else:
        _write_table(lines, wanted)


def _write_table(lines: Sequence[UsageLine], wanted: UsageRequest) -> None:
    from penstock_suite.domain.usage_plot import bar
    from penstock_suite.domain.usage_text import turn_text

    total = total_of(lines)
    step = [word for word in wanted.by if word in STEPS]
    names = [word for word in wanted.by if word not in STEPS]
    most = max([line.sums.cost_nano_usd for line in lines], default=0) or 1
    dearest = sorted(lines, key=lambda line: (line.start or datetime.min.replace(tzinfo=UTC), -line.sums.cost_nano_usd))
    rows = [
        (
            *([turn_text(line.start, wanted.by, wanted.zone)] if line.start is not None else ()),
            *[escape(name) for name in names_of(line, wanted.by)],
            *_figures(line),
            bar(line.sums.cost_nano_usd / most),
        )
        for line in dearest[:_MOST_LINES]
    ]
    all_of_it = UsageLine(groups={}, sums=total)
    blank = ["" for _ in (*step, *names)]
    rows.append((*(["[bold]total[/]", *blank[1:]] if blank else []), *_figures(all_of_it), ""))
    print_table((*step, *names, *_FIGURES), rows, to_the_right={*_FIGURES[:-1]})
    if len(lines) > _MOST_LINES:
        note(f"There are {len(lines):,} lines: say --format csv for all of them.")
    if total.unpriced:
        note(f"{total.unpriced:,} requests have no price, and count as 0: see 'penstock models show'.")


def _figures(line: UsageLine) -> Sequence[str]:
    sums = line.sums
    return (
        f"{sums.requests:,}",
        f"{sums.errors:,}",
        f"{sums.cache_hits / sums.requests:.0%}" if sums.requests else "-",
        f"{sums.input_tokens:,}",
        f"{sums.output_tokens:,}",
        usd(sums.cost_nano_usd),
        usd(sums.saved_nano_usd),
    )
