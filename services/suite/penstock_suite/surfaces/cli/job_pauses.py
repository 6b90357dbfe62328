"""`penstock jobs pause|resume|paused`."""

from __future__ import annotations

from typing import Annotated

import typer

from penstock_suite.domain.administration import OpenAdministration
from penstock_suite.surfaces.cli.administering import Ask, administering
from penstock_suite.surfaces.cli.options import JsonOption, YesOption
from penstock_suite.surfaces.cli.output import escape, failures_told, note, print_json, print_table

_PAUSE_HELP = """Have no more jobs begin: of a tenant, for a model or knowledge base, or both.

What runs goes on. What waits is kept, and its deadlines pass.
"""
TenantOption = Annotated[str, typer.Option(metavar="NAME", help="Whose; without it everybody's, for an operator.")]
TargetOption = Annotated[str, typer.Option("--for", metavar="NAME", help="Those for this model or base.")]


def add_pauses(cli: typer.Typer, opened: OpenAdministration) -> None:
    """Add the commands."""
    for add in (_add_pause, _add_resume, _add_paused):
        add(cli, opened)


def _add_pause(cli: typer.Typer, opened: OpenAdministration) -> None:
    @cli.command("pause", help=_PAUSE_HELP)
    @administering(opened)
    def pause(
        ask: Ask,
        *,
        tenant: TenantOption = "",
        target: TargetOption = "",
        reason: Annotated[str, typer.Option(metavar="WORDS", help="Why, for whoever finds it.")] = "",
        yes: YesOption = False,
        as_json: JsonOption = False,
    ) -> None:
        if not (tenant or target or yes):
            raise typer.BadParameter("name --tenant or --for, or say --yes for all jobs", param_hint="'--tenant'")
        with failures_told(as_json=as_json):
            paused = ask(lambda administration: administration.pause_jobs(tenant, target, reason))
            if as_json:
                print_json(paused)
            else:
                note(f"Jobs of {paused.tenant or 'everybody'} for {paused.target or 'anything'} do not begin.")


def _add_resume(cli: typer.Typer, opened: OpenAdministration) -> None:
    @cli.command("resume", help="End a pause of the same tenant and target.")
    @administering(opened)
    def resume(ask: Ask, *, tenant: TenantOption = "", target: TargetOption = "", as_json: JsonOption = False) -> None:
        with failures_told(as_json=as_json):
            ask(lambda administration: administration.resume_jobs(tenant, target))
            if as_json:
                print_json({"resumed": True})
            else:
                note("They begin again.")


def _add_paused(cli: typer.Typer, opened: OpenAdministration) -> None:
    @cli.command("paused", help="List what is paused, and why.")
    @administering(opened)
    def paused(ask: Ask, *, tenant: TenantOption = "", as_json: JsonOption = False) -> None:
        with failures_told(as_json=as_json):
            found = ask(lambda administration: administration.job_pauses(tenant))
            if as_json:
                print_json(found)
            elif found:
                rows = [
                    (
                        escape(each.tenant),
                        escape(each.target),
                        f"{each.since:%Y-%m-%d %H:%M:%S} UTC",
                        escape(each.reason),
                    )
                    for each in found
                ]
                print_table(("tenant", "for", "since", "reason"), rows)
            else:
                note("Nothing is paused.")
