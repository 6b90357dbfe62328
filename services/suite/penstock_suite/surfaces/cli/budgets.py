"""`penstock budgets list|show|set|grant|delete|standing`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated

import msgspec
import typer

from penstock_suite.domain.administration import Administration, OpenAdministration
from penstock_suite.domain.budgets import BudgetDraft, BudgetLineRow, BudgetRow, BudgetStandingRow
from penstock_suite.domain.failure import Misconfigured, NotThere
from penstock_suite.domain.money import nano_usd_from, usd_text
from penstock_suite.surfaces.cli.administering import Ask, administering
from penstock_suite.surfaces.cli.options import JsonOption, group, read_duration, read_number
from penstock_suite.surfaces.cli.output import escape, failures_told, note, print_json, print_table

_HELP = """Budgets: how much tenants and their teams, users, keys, models and features may spend, and where that stands.

Those of the configuration are shown beside the others, and are changed there.
"""
_TITLES = ("tenant", "budget", "scope", "period", "kind", "spent", "of", "used", "projected", "resets", "from")
_MONEY = {"spent", "of", "used", "projected"}
_MOST_PERCENT = 1000
_FIELDS = {
    "amount_nano_usd": ("amount_nano_usd",),
    "period": ("period",),
    "kind": ("kind",),
    "alerts": ("alert_percents", "alerts_projected"),
    "webhook": ("webhook",),
}
_DEFAULT_ALERTS = ("50", "80", "100", "projected")

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="From 'penstock budgets list'.")]
TenantOption = Annotated[str, typer.Option(metavar="NAME", help="Whose budget; an operator must name one.")]


def budgets(opened: OpenAdministration) -> typer.Typer:
    """Return the commands."""
    cli = group(_HELP)
    for add in (_add_list, _add_show, _add_set, _add_grant, _add_delete, _add_standing):
        add(cli, opened)
    return cli


def _add_list(cli: typer.Typer, opened: OpenAdministration) -> None:
    @cli.command("list", help="List budgets and where they stand.")
    @administering(opened)
    def list_budgets(
        ask: Ask,
        *,
        tenant: Annotated[str, typer.Option(metavar="NAME", help="Of this tenant only.")] = "",
        over: Annotated[
            str, typer.Option(metavar="PERCENT", help="Only those of which so much is spent, such as 80%.")
        ] = "",
        as_json: JsonOption = False,
    ) -> None:
        least = read_number(over.removesuffix("%"), "--over", _MOST_PERCENT) if over else 0
        with failures_told(as_json=as_json):
            lines = ask(lambda administration: administration.budgets(tenant, least))
            if as_json:
                print_json(lines)
            elif lines:
                print_table(_TITLES, map(_row, lines), to_the_right=_MONEY)
            else:
                note("There are none." if over else "No budgets yet: make one with 'penstock budgets set NAME'.")


def _add_show(cli: typer.Typer, opened: OpenAdministration) -> None:
    @cli.command("show", help="Show all that a budget is.")
    @administering(opened)
    def show(ask: Ask, *, name: NameArgument, tenant: TenantOption = "", as_json: JsonOption = False) -> None:
        with failures_told(as_json=as_json):
            line = ask(lambda administration: administration.budget(tenant, name))
            if as_json:
                print_json(line)
                return
            print_table(("", ""), _facts(line.budget))
            for grace in line.budget.graces:
                until = f"until {grace.until:%Y-%m-%d %H:%M} UTC, by {grace.granted_by}: {grace.reason}"
                note(f"{usd_text(grace.amount_nano_usd)} of grace {until}")


def _add_set(cli: typer.Typer, opened: OpenAdministration) -> None:
    @cli.command("set", help="Make a budget, or change what is named of one; what was spent stays spent.")
    @administering(opened)
    def set_budget(
        ask: Ask,
        *,
        name: NameArgument,
        tenant: TenantOption = "",
        amount: Annotated[str, typer.Option(metavar="USD", help="Such as 2500; a new one needs it.")] = "",
        scope: Annotated[
            str,
            typer.Option(
                metavar="SCOPE",
                help="tenant, team/NAME, user/ID, key/ID, model/NAME or feature/NAME; of a new one, tenant without it.",
            ),
        ] = "",
        period: Annotated[
            str, typer.Option(metavar="day|week|month|total", help="Of a new one, month without it.")
        ] = "",
        kind: Annotated[
            str, typer.Option(metavar="hard|soft", help="soft alerts alone; of a new one, hard without it.")
        ] = "",
        alert: Annotated[
            list[str] | None,
            typer.Option(metavar="PERCENT|projected|none", help="Repeatable; of a new one, 50, 80, 100 and projected."),
        ] = None,
        webhook: Annotated[
            str | None, typer.Option(metavar="NAME", help="One of the configuration's; '' for none.")
        ] = None,
        as_json: JsonOption = False,
    ) -> None:
        draft = BudgetDraft(
            tenant=tenant,
            name=name,
            scope=scope or None,
            amount_nano_usd=_money(amount, "--amount") if amount else None,
            period=period or None,
            kind=kind or None,
            alerts=None if alert is None else tuple(one for one in alert if one != "none"),
            webhook=webhook,
        )
        with failures_told(as_json=as_json):
            _told(*ask(lambda administration: _set(administration, draft)), as_json=as_json)


async def _set(administration: Administration, draft: BudgetDraft) -> tuple[BudgetRow, str]:
    try:
        before = (await administration.budget(draft.tenant, draft.name)).budget
    except NotThere as missing:
        if draft.amount_nano_usd is None:
            raise NotThere(f"{missing}; say --amount to make it") from None
        alerts = _DEFAULT_ALERTS if draft.alerts is None else draft.alerts
        return await administration.create_budget(msgspec.structs.replace(draft, alerts=alerts)), "is made"
    if draft.scope not in (None, before.scope):
        raise Misconfigured(f"--scope: the budget is of {before.scope}; make another for {draft.scope}")
    fields = [field for own, names in _FIELDS.items() if getattr(draft, own) is not None for field in names]
    if not fields:
        raise Misconfigured("say what is to change: --amount, --period, --kind, --alert or --webhook")
    return await administration.change_budget(draft, fields), "is changed"


def _add_grant(cli: typer.Typer, opened: OpenAdministration) -> None:
    @cli.command("grant", help="Let a budget have more until a time; it ends by itself, and is in the audit log.")
    @administering(opened)
    def grant(
        ask: Ask,
        *,
        name: NameArgument,
        amount: Annotated[str, typer.Option(metavar="USD", help="So much more.")],
        until: Annotated[str, typer.Option(metavar="TIME", help="Such as 3d, 2026-11-03 or 2026-11-03T18:00Z.")],
        reason: Annotated[str, typer.Option(metavar="TEXT", help="Why, such as the number of an incident.")],
        tenant: TenantOption = "",
        as_json: JsonOption = False,
    ) -> None:
        more, end = _money(amount, "--amount"), _moment(until)
        with failures_told(as_json=as_json):
            budget = ask(lambda administration: administration.grant_grace(tenant, name, more, end, reason))
            _told(budget, f"has {usd_text(more)} more until {end:%Y-%m-%d %H:%M} UTC", as_json=as_json)


def _add_delete(cli: typer.Typer, opened: OpenAdministration) -> None:
    @cli.command("delete", help="Take a budget away; made again under its name, it knows what was spent.")
    @administering(opened)
    def delete(ask: Ask, *, name: NameArgument, tenant: TenantOption = "", as_json: JsonOption = False) -> None:
        with failures_told(as_json=as_json):
            ask(lambda administration: administration.delete_budget(tenant, name))
            if as_json:
                print_json({"name": name, "deleted": True})
            else:
                note(f"Budget {name} is deleted.")


def _add_standing(cli: typer.Typer, opened: OpenAdministration) -> None:
    @cli.command("standing", help="Show what of a budget is spent, reserved and left, and when it begins anew.")
    @administering(opened)
    def standing(ask: Ask, *, name: NameArgument, tenant: TenantOption = "", as_json: JsonOption = False) -> None:
        with failures_told(as_json=as_json):
            line = ask(lambda administration: administration.budget(tenant, name))
            if as_json:
                print_json(line)
            elif line.standing is None:
                note("Nobody knows where it stands.")
            else:
                print_table(("", ""), _amounts(line.standing))


def _told(budget: BudgetRow, what: str, *, as_json: bool) -> None:
    if as_json:
        print_json(budget)
    else:
        amount = f"{usd_text(budget.amount_nano_usd)} per {budget.period}"
        note(f"Budget {budget.name} of {budget.tenant} ({budget.scope}, {amount}) {what}; it holds within 5 s.")


def _row(line: BudgetLineRow) -> Sequence[str]:
    budget, standing = line.budget, line.standing
    spent, of, used, projected, resets = ("", usd_text(budget.amount_nano_usd), "", "", "")
    if standing is not None:
        spent, of, used = usd_text(standing.spent_nano_usd), usd_text(standing.limit_nano_usd), _share(standing)
        projected = "" if standing.projected_nano_usd is None else usd_text(standing.projected_nano_usd)
        resets = f"{standing.resets_at:%Y-%m-%d %H:%M}" if standing.resets_at else "never"
    source = "configuration" if budget.is_configured else "operator" if budget.is_operators else "tenant"
    what = (budget.tenant, budget.name, budget.scope, budget.period, budget.kind)
    return (*map(escape, what), spent, of, used, projected, resets, source)


def _share(standing: BudgetStandingRow) -> str:
    limit, spent = standing.limit_nano_usd, standing.spent_nano_usd
    return f"{spent * 100 // limit} %" if limit else "100 %" if spent else "0 %"


def _facts(budget: BudgetRow) -> list[tuple[str, str]]:
    facts = {
        "id": budget.id,
        "tenant": budget.tenant,
        "name": budget.name,
        "scope": budget.scope,
        "amount": usd_text(budget.amount_nano_usd),
        "period": f"{budget.period} ({budget.time_zone})",
        "kind": budget.kind,
        "alerts": " ".join(budget.alerts) or "none",
        "webhook": budget.webhook or "none",
        "from": "the configuration" if budget.is_configured else budget.created_by,
    }
    return [(name, escape(value)) for name, value in facts.items()]


def _amounts(standing: BudgetStandingRow) -> list[tuple[str, str]]:
    projected = standing.projected_nano_usd
    return [
        ("spent", f"{usd_text(standing.spent_nano_usd)} ({_share(standing)})"),
        ("reserved", usd_text(standing.reserved_nano_usd)),
        ("remaining", usd_text(standing.remaining_nano_usd)),
        ("of", usd_text(standing.limit_nano_usd)),
        ("projected", "not yet" if projected is None else usd_text(projected)),
        ("resets", f"{standing.resets_at:%Y-%m-%d %H:%M} UTC" if standing.resets_at else "never"),
    ]


def _money(text: str, option: str) -> int:
    try:
        return nano_usd_from(text)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint=f"'{option}'") from None


def _moment(text: str) -> datetime:
    if text[-1:] in ("d", "h", "m", "s"):
        return datetime.now(UTC) + read_duration(text, "--until")
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        told = "a time such as 3d, 2026-11-03 or 2026-11-03T18:00Z is expected"
        raise typer.BadParameter(told, param_hint="'--until'") from None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
