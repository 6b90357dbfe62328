"""`penstock cache`: the group, voiding, and what the cache has done."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated

import typer

from penstock_suite.domain.administration import OpenAdministration
from penstock_suite.domain.cache_entries import CacheCounts
from penstock_suite.domain.failure import Misconfigured
from penstock_suite.domain.interval import share
from penstock_suite.surfaces.cli.administering import Ask, administering
from penstock_suite.surfaces.cli.cache_entries import add_entries
from penstock_suite.surfaces.cli.cache_files import add_files
from penstock_suite.surfaces.cli.options import JsonOption, YesOption, group
from penstock_suite.surfaces.cli.output import escape, failures_told, note, print_json, print_table

_HELP = """Answers that were kept: what is there, why it is given, putting it in, and taking it out."""
# Fewer judged hits say nothing that anybody should act on.
_ENOUGH = 30
_NANO = 1_000_000_000


def cache(opened: OpenAdministration) -> typer.Typer:
    """Return the commands."""
    cli = group(_HELP)
    add_entries(cli, opened)
    add_files(cli, opened)
    _add_clear(cli, opened)
    _add_stats(cli, opened)
    return cli


def _add_clear(cli: typer.Typer, opened: OpenAdministration) -> None:
    @cli.command("clear", help="Void kept answers, matched by meaning or not: no process serves them after a second.")
    @administering(opened)
    def clear(
        ask: Ask,
        *,
        tenant: Annotated[str, typer.Option(metavar="NAME", help="Of this tenant only.")] = "",
        model: Annotated[str, typer.Option(metavar="NAME", help="Of this public model only, present or past.")] = "",
        yes: YesOption = False,
        as_json: JsonOption = False,
    ) -> None:
        with failures_told(as_json=as_json):
            if not (tenant or model or yes):
                raise Misconfigured("this voids every answer of every tenant: say --yes, or name --tenant or --model")
            deleted = ask(lambda administration: administration.clear_cache(tenant, model))
            if as_json:
                print_json({"deleted_entries": deleted})
                return
            whose = f"the tenant {tenant}" if tenant else "every tenant"
            which = f"the model {model}" if model else "every model"
            note(f"Voided what was kept for {whose} and {which}: {deleted} entries deleted.")


def _add_stats(cli: typer.Typer, opened: OpenAdministration) -> None:
    @cli.command("stats", help="Count what one process of the cache has done since it started.")
    @administering(opened)
    def stats(ask: Ask, *, as_json: JsonOption = False) -> None:
        with failures_told(as_json=as_json):
            counts = ask(lambda administration: administration.cache_counts())
            if as_json:
                import msgspec

                told = msgspec.structs.asdict(counts)
                print_json({**told, "false_hit_rate": share(counts.false_hits, counts.judged_hits)})
                return
            print_table(("what", "how many"), [(what, escape(told)) for what, told in _lines(counts)])


def _lines(counts: CacheCounts) -> Iterator[tuple[str, str]]:
    asked = counts.hits + counts.misses
    yield "hits", _of(counts.hits, asked)
    yield "  from memory", _of(counts.memory_hits, asked)
    yield "  from Redis", _of(counts.redis_hits, asked)
    yield "  by meaning", _of(counts.semantic_hits, asked)
    yield "misses", f"{counts.misses:,}"
    yield "answers kept", f"{counts.stores:,}"
    yield "answers not kept", f"{counts.refusals:,}"
    yield "near, and not given", _by_reason(counts.refused_by_guard)
    yield "not compared", _by_reason(counts.not_compared)
    yield "texts embedded", f"{counts.embedded:,}"
    yield "false hits", _false_hits(counts)
    yield "saved", f"{counts.saved_tokens:,} tokens, {counts.saved_nano_usd / _NANO:,.4f} USD"
    yield "entries in memory", f"{counts.memory_entries:,}"
    yield "entries by meaning", "not known" if counts.semantic_entries is None else f"{counts.semantic_entries:,}"
    if counts.semantic_trouble:
        yield "nothing is matched by meaning", counts.semantic_trouble


def _of(count: int, whole: int) -> str:
    return f"{count:,} of {whole:,} ({count / whole:.1%})" if whole else "none asked yet"


def _by_reason(counts: Mapping[str, int]) -> str:
    most_first = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{count:,} {reason}" for reason, count in most_first) or "0"


def _false_hits(counts: CacheCounts) -> str:
    if counts.judged_hits < _ENOUGH:
        return f"not enough data: {counts.judged_hits} hits judged, {counts.false_hits} of them false"
    measured = share(counts.false_hits, counts.judged_hits)
    return (
        f"{measured.ratio:.2%} of {measured.n:,} judged hits (95 % interval {measured.low:.2%} to {measured.high:.2%})"
    )
