"""`penstock tenants create|list|update|disable|enable`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

from penstock_suite.domain.administration import OpenAdministration, StoredTenant, TenantRequest
from penstock_suite.surfaces.cli.administering import Ask, administering
from penstock_suite.surfaces.cli.options import JsonOption, group
from penstock_suite.surfaces.cli.output import escape, failures_told, note, print_json, print_table

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="From 'penstock tenants list'.")]
TierOption = Annotated[str, typer.Option(metavar="NAME", help="free, pro, enterprise, or one of the configuration.")]
ModelOption = Annotated[list[str] | None, typer.Option(metavar="NAME", help="Repeatable; every model without it.")]
RegionOption = Annotated[list[str] | None, typer.Option(metavar="NAME", help="Repeatable; anywhere without it.")]
TimeZoneOption = Annotated[
    str, typer.Option(metavar="NAME", help="Where its days and months begin, such as Europe/Berlin; UTC without it.")
]


def tenants(opened: OpenAdministration) -> typer.Typer:
    """Return the commands."""
    cli = group("Tenants: those of the configuration, and those that are created beside them in the database.")
    _add_create(cli, opened)
    _add_list(cli, opened)
    _add_update(cli, opened)
    _add_switch(cli, opened, "disable", "Have every key of a created tenant refused; a running stack does within 5 s.")
    _add_switch(cli, opened, "enable", "Have the keys of a disabled tenant accepted again.")
    return cli


def _add_create(cli: typer.Typer, opened: OpenAdministration) -> None:
    @cli.command("create", help="Make a tenant beside those of the configuration.")
    @administering(opened)
    def create(
        ask: Ask,
        *,
        name: Annotated[str, typer.Argument(metavar="NAME", help="Letters, digits, '.', '_' and '-'.")],
        tier: TierOption = "free",
        model: ModelOption = None,
        region: RegionOption = None,
        time_zone: TimeZoneOption = "",
        as_json: JsonOption = False,
    ) -> None:
        models, regions = tuple(model or ()), tuple(region or ())
        request = TenantRequest(name=name, tier=tier, models=models, regions=regions, time_zone=time_zone)
        with failures_told(as_json=as_json):
            _show(ask(lambda administration: administration.create_tenant(request)), as_json=as_json)


def _add_list(cli: typer.Typer, opened: OpenAdministration) -> None:
    @cli.command("list", help="List every tenant, by name.")
    @administering(opened)
    def list_tenants(ask: Ask, *, as_json: JsonOption = False) -> None:
        with failures_told(as_json=as_json):
            tenants = ask(lambda administration: administration.tenants())
            if as_json:
                print_json(tenants)
            else:
                print_table(("name", "tier", "models", "regions", "time zone", "created", "state"), map(_row, tenants))


def _row(tenant: StoredTenant) -> Sequence[str]:
    return (
        escape(tenant.name),
        escape(tenant.tier),
        escape(" ".join(tenant.models)) or "all",
        escape(" ".join(tenant.regions)) or "anywhere",
        tenant.time_zone,
        f"{tenant.created_at:%Y-%m-%d}" if tenant.created_at else "in the configuration",
        "enabled" if tenant.disabled_at is None else "[red]disabled[/]",
    )


def _add_update(cli: typer.Typer, opened: OpenAdministration) -> None:
    @cli.command("update", help="Change a created tenant; what is not named stays. '--model \"\"' means all.")
    @administering(opened)
    def update(
        ask: Ask,
        *,
        name: NameArgument,
        tier: Annotated[str | None, typer.Option(metavar="NAME", help="Its tier.")] = None,
        model: Annotated[list[str] | None, typer.Option(metavar="NAME", help="Repeatable.")] = None,
        region: Annotated[list[str] | None, typer.Option(metavar="NAME", help="Repeatable.")] = None,
        time_zone: Annotated[str | None, typer.Option(metavar="NAME", help="Where its days and months begin.")] = None,
        as_json: JsonOption = False,
    ) -> None:
        given = {"tier": tier, "models": model, "regions": region, "time_zone": time_zone}
        fields = [field for field, value in given.items() if value is not None]
        if not fields:
            raise typer.BadParameter("name what to change: --tier, --model, --region or --time-zone")
        models, regions = (tuple(word for word in words or () if word) for words in (model, region))
        request = TenantRequest(name=name, tier=tier or "", models=models, regions=regions, time_zone=time_zone or "")
        with failures_told(as_json=as_json):
            _show(ask(lambda administration: administration.update_tenant(request, fields)), as_json=as_json)


def _add_switch(cli: typer.Typer, opened: OpenAdministration, command: str, about: str) -> None:
    enabled = command == "enable"

    @cli.command(command, help=about)
    @administering(opened)
    def switch(ask: Ask, *, name: NameArgument, as_json: JsonOption = False) -> None:
        with failures_told(as_json=as_json):
            tenant = ask(lambda administration: administration.switch_tenant(name, enabled=enabled))
            _show(tenant, as_json=as_json)


def _show(tenant: StoredTenant, *, as_json: bool) -> None:
    if as_json:
        print_json(tenant)
        return
    state = "enabled" if tenant.disabled_at is None else "disabled"
    note(f"Tenant {tenant.name} of the tier {tenant.tier} is {state}.")
