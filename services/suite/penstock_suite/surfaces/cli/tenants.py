"""`penstock tenants create|list|update|disable|enable`."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Annotated, Protocol

import typer
from rich.markup import escape

from penstock_suite.domain.requests import Selection, TenantRequest
from penstock_suite.domain.tenants import StoredTenant
from penstock_suite.surfaces.cli.options import ConfigOption, JsonOption, StateOption
from penstock_suite.surfaces.cli.output import console, failures_told, print_json
from penstock_suite.surfaces.cli.table import print_table

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="From 'penstock tenants list'.")]
TierOption = Annotated[str, typer.Option(metavar="NAME", help="free, pro, enterprise, or one of the configuration.")]
ModelOption = Annotated[list[str] | None, typer.Option(metavar="NAME", help="Repeatable; every model without it.")]
RegionOption = Annotated[list[str] | None, typer.Option(metavar="NAME", help="Repeatable; anywhere without it.")]


class TenantActions(Protocol):
    """What the commands do."""

    def create(self, selection: Selection, request: TenantRequest) -> StoredTenant:
        """Return a new tenant."""
        ...

    def list(self, selection: Selection) -> list[StoredTenant]:
        """Return every tenant."""
        ...

    def update(self, selection: Selection, request: TenantRequest, fields: Collection[str]) -> StoredTenant:
        """Return a changed tenant."""
        ...

    def switch(self, selection: Selection, name: str, *, enabled: bool) -> StoredTenant:
        """Return a tenant whose keys are accepted or refused from now on."""
        ...


@dataclass(frozen=True, slots=True)
class _Group:
    typer: typer.Typer
    actions: TenantActions


def add_tenants(cli: typer.Typer, actions: TenantActions) -> None:
    """Add the commands."""
    about = "Tenants: those of the configuration, and those that are created beside them in the database."
    group = _Group(typer.Typer(help=about, no_args_is_help=True), actions)
    cli.add_typer(group.typer, name="tenants")
    _add_create(group)
    _add_list(group)
    _add_update(group)
    _add_switch(group, "disable", "Have every key of a created tenant refused; a running stack does within 5 s.")
    _add_switch(group, "enable", "Have the keys of a disabled tenant accepted again.")


def _add_create(group: _Group) -> None:
    @group.typer.command("create", help="Make a tenant beside those of the configuration.")
    def create(
        *,
        name: Annotated[str, typer.Argument(metavar="NAME", help="Letters, digits, '.', '_' and '-'.")],
        tier: TierOption = "free",
        model: ModelOption = None,
        region: RegionOption = None,
        config: ConfigOption = None,
        state: StateOption = None,
        as_json: JsonOption = False,
    ) -> None:
        request = TenantRequest(name=name, tier=tier, models=tuple(model or ()), regions=tuple(region or ()))
        with failures_told(as_json=as_json):
            _show(group.actions.create(Selection(config, state), request), as_json=as_json)


def _add_list(group: _Group) -> None:
    @group.typer.command("list", help="List every tenant, by name.")
    def list_tenants(*, config: ConfigOption = None, state: StateOption = None, as_json: JsonOption = False) -> None:
        with failures_told(as_json=as_json):
            tenants = group.actions.list(Selection(config, state))
            if as_json:
                print_json(tenants)
            else:
                print_table(("name", "tier", "models", "regions", "created", "state"), map(_row, tenants))


def _row(tenant: StoredTenant) -> Sequence[str]:
    return (
        escape(tenant.name),
        escape(tenant.tier),
        escape(" ".join(tenant.models)) or "all",
        escape(" ".join(tenant.regions)) or "anywhere",
        f"{tenant.created_at:%Y-%m-%d}" if tenant.created_at else "in the configuration",
        "enabled" if tenant.disabled_at is None else "[red]disabled[/]",
    )


def _add_update(group: _Group) -> None:
    @group.typer.command("update", help="Change a created tenant; what is not named stays. '--model \"\"' means all.")
    def update(
        *,
        name: NameArgument,
        tier: Annotated[str | None, typer.Option(metavar="NAME", help="Its tier.")] = None,
        model: Annotated[list[str] | None, typer.Option(metavar="NAME", help="Repeatable.")] = None,
        region: Annotated[list[str] | None, typer.Option(metavar="NAME", help="Repeatable.")] = None,
        config: ConfigOption = None,
        state: StateOption = None,
        as_json: JsonOption = False,
    ) -> None:
        given = {"tier": tier, "models": model, "regions": region}
        fields = [field for field, value in given.items() if value is not None]
        if not fields:
            raise typer.BadParameter("name what to change: --tier, --model or --region")
        models, regions = (tuple(word for word in words or () if word) for words in (model, region))
        request = TenantRequest(name=name, tier=tier or "", models=models, regions=regions)
        with failures_told(as_json=as_json):
            _show(group.actions.update(Selection(config, state), request, fields), as_json=as_json)


def _add_switch(group: _Group, command: str, about: str) -> None:
    @group.typer.command(command, help=about)
    def switch(
        *, name: NameArgument, config: ConfigOption = None, state: StateOption = None, as_json: JsonOption = False
    ) -> None:
        with failures_told(as_json=as_json):
            tenant = group.actions.switch(Selection(config, state), name, enabled=command == "enable")
            _show(tenant, as_json=as_json)


def _show(tenant: StoredTenant, *, as_json: bool) -> None:
    if as_json:
        print_json(tenant)
        return
    state = "enabled" if tenant.disabled_at is None else "disabled"
    console().print(f"Tenant {escape(tenant.name)} of the tier {escape(tenant.tier)} is {state}.")
