"""`penstock estimate`: what a load would cost, from what the ledger knows or from what is assumed."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from penstock_suite.domain.administration import OpenAdministration
from penstock_suite.domain.failure import Misconfigured
from penstock_suite.domain.requests import Selection
from penstock_suite.domain.usage import UsageRequest
from penstock_suite.surfaces.cli.administering import Ask, administering
from penstock_suite.surfaces.cli.options import command, read_choice, read_words
from penstock_suite.surfaces.cli.output import console, escape, failures_told, note, print_json, print_table
from penstock_suite.surfaces.cli.usage import Format, PlotOption, ZoneOption, check_plot, span, write_plot

if TYPE_CHECKING:
    from penstock_suite.domain.estimate.backtest import Backtest
    from penstock_suite.domain.estimate.capacity import Capacity
    from penstock_suite.domain.estimate.costs import Cpu, Sizes, UnitCosts
    from penstock_suite.domain.estimate.observed import Observed
    from penstock_suite.domain.estimate.projection import Estimate, Figure, Load, Machines
    from penstock_suite.domain.estimate.what_if import WhatIf


class Known(NamedTuple):
    """What the configuration says."""

    prices_of: Callable[[Selection, str], tuple[float, float]]
    """Returns what a model costs, in dollars for a million tokens of input and of output."""
    machines_of: Callable[[Selection], tuple[UnitCosts, Sizes]]
    """Returns what machines cost and take."""


_HELP = """Project what a load would cost: models, vCPUs, whole GPUs, Redis, storage, operations; with ranges.

It is made of what the ledger knows of the requests of --from to --to, or, with --assume, of nothing but what you say.
"""
_TITLES = ("what", "amount", "unit", "$", "p10", "p90")
_POD_TITLES = ("role", "pods", "p10", "p90", "MB", "MB p10", "MB p90")
_ASSUMED = ("tokens_in", "tokens_out", "hit_rate", "price", "seconds", "peak")
_USUAL_PEAK = 3.0


def estimate(opened: OpenAdministration, known: Known) -> typer.Typer:
    """Return the command."""
    cli = command()

    @cli.command(help=_HELP)
    @administering(opened)
    def estimate(
        ask: Ask,
        *,
        since: Annotated[str, typer.Option("--from", metavar="TIME", help="Such as 30d, or 2026-10-01.")] = "30d",
        until: Annotated[str, typer.Option("--to", metavar="TIME", help="The first moment that is not of it.")] = "",
        zone: ZoneOption = "UTC",
        tenant: Annotated[str, typer.Option(metavar="NAME", help="Of this tenant's requests only.")] = "",
        per_day: Annotated[
            str, typer.Option("--requests-per-day", metavar="NUMBER", help="The load; else what it was.")
        ] = "",
        rps: Annotated[str, typer.Option(metavar="NUMBER", help="The load, in requests a second on average.")] = "",
        days: Annotated[str, typer.Option(metavar="NUMBER", help="For how many days.")] = "30",
        what_if: Annotated[
            str,
            typer.Option(metavar="WORDS", help="Between commas: model=NAME, hit_rate=0.4, price=+20%, price=2.5/10."),
        ] = "",
        assume: Annotated[
            str, typer.Option(metavar="WORDS", help=f"In the place of the ledger: {', '.join(_ASSUMED)}.")
        ] = "",
        own: Annotated[
            str, typer.Option(metavar="NAMES", help="Upstreams, between commas, that run on GPUs of your own.")
        ] = "",
        cpu: Annotated[
            str, typer.Option("--cpu-per-request", metavar="SECONDS", help="Of all roles together; else the bench's.")
        ] = "",
        bench: Annotated[
            Path | None, typer.Option(metavar="FILE", help="Figures of bench/overhead.py of your own machine.")
        ] = None,
        unit_cost: Annotated[
            list[str] | None,
            typer.Option(
                "--unit-cost",
                metavar="NAME=USD",
                help="vcpu_hour, gpu_hour, redis_month, storage_gb_month, operations_month. May be repeated.",
            ),
        ] = None,
        size: Annotated[
            list[str] | None,
            typer.Option(
                "--size",
                metavar="NAME=NUMBER",
                help="cpu_utilisation, gpu_utilisation, gpu_streams, row_bytes. May be repeated.",
            ),
        ] = None,
        backtest: Annotated[
            str, typer.Option(metavar="MONTH", help="Project this month from the one before, and compare.")
        ] = "",
        capacity: Annotated[
            bool, typer.Option("--capacity", help="Also say the pods of each role and their memory.")
        ] = False,
        form: Annotated[str, typer.Option("--format", metavar="table|json", help="How it is written.")] = "table",
        plot: PlotOption = None,
    ) -> None:
        chosen = read_choice(form, "--format", Format)
        with failures_told(as_json=chosen is Format.JSON):
            if chosen is Format.CSV:
                raise Misconfigured("--format: an estimate is a table or json")
            check_plot(plot)
            reading = _Reading(ask, zone, tenant, frozenset(read_words(own)))
            if backtest:
                _show_backtest(_sayable(lambda: _backtest(reading, backtest)), chosen)
                return
            observed = _sayable(lambda: _assumed(assume)) if assume else reading.observed(*span("", since, until, zone))
            wanted = _sayable(lambda: _what_if(what_if, known, ask.selection))
            machines = _sayable(
                lambda: _machines(known.machines_of(ask.selection), (unit_cost or (), size or ()), cpu, bench)
            )
            found = _sayable(lambda: _estimate(observed, wanted, (per_day, rps, days), machines))
            pods = _capacity(_as_it_would_be(wanted, observed), found.load, machines) if capacity else None
            _show(found, wanted, chosen, pods)
            if plot is not None:
                _draw(found, plot)

    return cli


class _Reading:
    """Reads days of the ledger."""

    def __init__(self, ask: Ask, zone: str, tenant: str, own: frozenset[str]) -> None:
        self._ask = ask
        self.zone = zone
        self._tenant = tenant
        self._own = own

    def observed(self, since: datetime, until: datetime | None) -> Observed:
        """Return what the ledger says of a time."""
        from penstock_suite.domain.estimate.observed import (
            DAYS_BY,
            Observed,
            days_of,
            hours_before,
            length_in_days,
            peak_of,
        )

        end = min(until or datetime.now(UTC), datetime.now(UTC))
        end = end if end > since else until or end
        days = UsageRequest(by=DAYS_BY, since=since, until=end, zone=self.zone, tenant=self._tenant)
        length = length_in_days(since, end)
        by_day = self._ask(lambda administration: administration.usage(days))
        first = hours_before(since, end)
        hours = UsageRequest(by=("hour",), since=first, until=end, zone=self.zone, tenant=self._tenant)
        by_hour = self._ask(lambda administration: administration.usage(hours))
        peak = peak_of(by_hour, length_in_days(first, end), _USUAL_PEAK)
        return Observed(since=since, until=end, days=days_of(by_day, self._own), length_days=length, peak=peak)


def _sayable(make: Callable[[], Any]) -> Any:
    """Return what is made; what cannot be meant ends the command."""
    try:
        return make()
    except ValueError as error:
        raise Misconfigured(str(error)) from None


def _pairs(texts: Iterable[str], option: str) -> dict[str, str]:
    parted = [text.partition("=") for text in texts]
    if not all(equals for _, equals, _ in parted):
        raise ValueError(f"{option}: NAME=VALUE is expected")
    return {name.strip(): value.strip() for name, _, value in parted}


def _assumed(words: str) -> Observed:
    from penstock_suite.domain.estimate.observed import assumed
    from penstock_suite.domain.estimate.what_if import Prices, number, prices, share

    given = _pairs(read_words(words), "--assume")
    unknown = sorted(set(given) - set(_ASSUMED))
    if unknown:
        raise ValueError(f"--assume: there is no '{unknown[0]}'; there are {', '.join(_ASSUMED)}")
    price = prices(given["price"]) if "price" in given else Prices(0.0, 0.0)
    return assumed(
        tokens_in=number(given.get("tokens_in", "0"), "tokens_in"),
        tokens_out=number(given.get("tokens_out", "0"), "tokens_out"),
        hit_rate=share(given.get("hit_rate", "0"), "hit_rate"),
        price_in=price.input,
        price_out=price.output,
        seconds=number(given.get("seconds", "0"), "seconds"),
        peak=number(given.get("peak", str(_USUAL_PEAK)), "peak"),
    )


def _what_if(words: str, known: Known, selection: Selection) -> WhatIf:
    import msgspec

    from penstock_suite.domain.estimate.what_if import Prices, read_what_if

    wanted = read_what_if(_pairs(read_words(words), "--what-if"))
    if wanted.model and wanted.prices is None:
        return msgspec.structs.replace(wanted, prices=Prices(*known.prices_of(selection, wanted.model)))
    return wanted


def _machines(
    said: tuple[UnitCosts, Sizes], typed: tuple[Sequence[str], Sequence[str]], cpu: str, bench: Path | None
) -> Machines:
    import msgspec

    from penstock_suite.domain.estimate.costs import Sizes, UnitCosts
    from penstock_suite.domain.estimate.projection import Machines

    costs = msgspec.structs.replace(said[0], **_numbers(typed[0], "--unit-cost", UnitCosts.__struct_fields__))
    sizes = msgspec.structs.replace(said[1], **_numbers(typed[1], "--size", Sizes.__struct_fields__))
    if min(sizes.cpu_utilisation, sizes.gpu_utilisation, sizes.gpu_streams) <= 0:
        raise ValueError("--size: utilisations and gpu_streams must be above 0")
    return Machines(costs=costs, sizes=sizes, cpu=_cpu(cpu, bench))


def _cpu(seconds: str, bench: Path | None) -> Cpu:
    from penstock_suite.domain.estimate.costs import Cpu, cpu_of_bench
    from penstock_suite.domain.estimate.what_if import number

    if seconds:
        measured = {"all": number(seconds, "--cpu-per-request")}
        return Cpu(measured, measured)
    if bench is None:
        return Cpu()
    try:
        return cpu_of_bench(json.loads(bench.read_text(encoding="utf-8")))
    except OSError as error:
        raise ValueError(f"cannot read '{bench}': {error.strerror}") from None


def _numbers(texts: Sequence[str], option: str, known: Sequence[str]) -> Mapping[str, float]:
    from penstock_suite.domain.estimate.what_if import number

    given = _pairs(texts, option)
    unknown = sorted(set(given) - set(known))
    if unknown:
        raise ValueError(f"{option}: there is no '{unknown[0]}'; there are {', '.join(known)}")
    return {name: number(value, option) for name, value in given.items()}


def _estimate(observed: Observed, wanted: WhatIf, load: tuple[str, str, str], machines: Machines) -> Estimate:
    from penstock_suite.domain.estimate.projection import Load, estimate
    from penstock_suite.domain.estimate.what_if import applied, number

    per_day, rps, days = load
    if per_day and rps:
        raise ValueError("say --requests-per-day or --rps, not both")
    if observed.is_assumed and not (per_day or rps):
        raise ValueError("--assume says nothing of the load: say --requests-per-day or --rps")
    daily = number(per_day, "--requests-per-day") if per_day else observed.requests_per_day
    daily = number(rps, "--rps") * 86_400 if rps else daily
    length = number(days, "--days")
    if not daily or not length:
        raise ValueError("there is nothing to project: no request, or no day")
    return estimate(applied(wanted, observed), Load(requests_per_day=daily, days=length), machines)


def _backtest(reading: _Reading, month: str) -> Backtest:
    from penstock_suite.domain.estimate.backtest import backtest
    from penstock_suite.domain.times import month_before, month_of, zone_named

    clocks = zone_named(reading.zone)
    came = month_of(month, clocks)
    before = month_of(month_before(month), clocks)
    return backtest(month, reading.observed(*before), reading.observed(*came))


def _as_it_would_be(wanted: WhatIf, observed: Observed) -> Observed:
    from penstock_suite.domain.estimate.what_if import applied

    return applied(wanted, observed)


def _capacity(observed: Observed, load: Load, machines: Machines) -> Capacity:
    from penstock_suite.domain.estimate.capacity import capacity, carried

    return capacity(observed, load, machines.sizes, carried())


def _show(found: Estimate, wanted: WhatIf, chosen: Format, pods: Capacity | None) -> None:
    if chosen is Format.JSON:
        print_json({"estimate": found, "what_if": wanted, **({"capacity": pods} if pods is not None else {})})
        return
    out = console()
    source = "what is assumed" if found.is_assumed else f"{found.sample:,} requests of {found.sample_days:,} days"
    load = found.load
    out.print(
        f"{load.requests:,.0f} requests in {load.days:g} days ({load.requests_per_day:,.0f} a day), "
        f"{found.hit_rate:.0%} of them hits, from {source}:"
    )
    rows = [
        (
            item.name,
            f"{item.amount.value:,.0f}" if item.amount.value == int(item.amount.value) else f"{item.amount.value:,.2f}",
            item.unit,
            *_dollars(item.usd),
        )
        for item in found.items
    ]
    rows += [
        ("[bold]all of it[/]", "", "", *_dollars(found.total_usd)),
        ("for a million requests", "", "", *_dollars(found.per_million_usd)),
        ("  of it models", "", "", *_dollars(found.model_per_million_usd)),
    ]
    print_table(_TITLES, rows, to_the_right={"amount", "$", "p10", "p90"})
    if pods is not None:
        _show_pods(pods)
    for warning in found.warnings:
        note(f"{warning[0].upper()}{warning[1:]}.")


def _show_pods(found: Capacity) -> None:
    table = found.table
    console().print(
        f"{found.per_second:,.1f} requests a second in the busiest hour, by what {table.commit} took on "
        f"{escape(table.machine)} ({table.measured_at[:10]}):"
    )
    rows = [
        (each.role, *(f"{value:,.0f}" for value in (*_three(each.pods), *_three(each.memory_mb))))
        for each in found.roles
    ]
    print_table(_POD_TITLES, rows, to_the_right=frozenset(_POD_TITLES[1:]))


def _three(figure: Figure) -> tuple[float, float, float]:
    return figure.value, figure.p10, figure.p90


def _dollars(figure: Figure) -> tuple[str, str, str]:
    return f"{figure.value:,.2f}", f"{figure.p10:,.2f}", f"{figure.p90:,.2f}"


def _show_backtest(found: Backtest, chosen: Format) -> None:
    if chosen is Format.JSON:
        print_json(found)
        return
    projected, error = found.projected_usd, found.error_ratio
    where = "within" if found.is_within else "outside"
    console().print(
        f"{escape(found.month)}: {found.requests:,} requests cost ${found.actual_usd:,.2f} at models; the month before said "
        f"${projected.value:,.2f} (${projected.p10:,.2f} to ${projected.p90:,.2f}): "
        f"{'-' if error is None else f'{error:+.1%}'}, {where} the range."
    )
    for warning in found.warnings:
        note(f"{warning[0].upper()}{warning[1:]}.")


def _draw(found: Estimate, plot: Path) -> None:
    from penstock_suite.domain.estimate.plot import estimate_svg

    load = found.load
    write_plot(plot, estimate_svg(found, f"{load.requests:,.0f} requests in {load.days:g} days, in dollars"))
