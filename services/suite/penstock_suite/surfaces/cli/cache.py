"""`penstock cache clear|stats`."""

from __future__ import annotations

from typing import Annotated

import typer

from penstock_suite.domain.administration import OpenAdministration
from penstock_suite.surfaces.cli.administering import Ask, administering
from penstock_suite.surfaces.cli.options import JsonOption, group
from penstock_suite.surfaces.cli.output import failures_told, note, print_json, print_table


def cache(opened: OpenAdministration) -> typer.Typer:
    """Return the commands."""
    cli = group("Answers that were kept: voiding them, and what the cache has done.")
    _add_clear(cli, opened)
    _add_stats(cli, opened)
    return cli


def _add_clear(cli: typer.Typer, opened: OpenAdministration) -> None:
    @cli.command(
        "clear", help="Void kept answers: no process serves them after a second. Without options, all of them."
    )
    @administering(opened)
    def clear(
        ask: Ask,
        *,
        tenant: Annotated[str, typer.Option(metavar="NAME", help="Of this tenant only.")] = "",
        model: Annotated[str, typer.Option(metavar="NAME", help="Of this public model only, present or past.")] = "",
        as_json: JsonOption = False,
    ) -> None:
        with failures_told(as_json=as_json):
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
                print_json(counts)
                return
            names = counts.__struct_fields__
            print_table(("what", "how many"), [(name.replace("_", " "), str(getattr(counts, name))) for name in names])
