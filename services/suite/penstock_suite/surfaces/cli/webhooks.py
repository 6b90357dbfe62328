"""`penstock webhooks list|create|rotate|delete|test|deliveries|redeliver`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated

import typer

from penstock_suite.domain.administration import OpenAdministration
from penstock_suite.domain.webhooks import DELIVERY_STATES, DeliveryRow, WebhookRow
from penstock_suite.surfaces.cli.administering import Ask, administering
from penstock_suite.surfaces.cli.options import JsonOption, YesOption, group, read_duration
from penstock_suite.surfaces.cli.output import escape, failures_told, note, print_json, print_table

_HELP = "Webhooks of tenants: where they are told of what has happened, and what came of it."
_TITLES = ("tenant", "webhook", "url", "events", "state")

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="From 'penstock webhooks list'.")]
TenantOption = Annotated[str, typer.Option(metavar="NAME", help="Whose; an operator must name one.")]


def webhooks(opened: OpenAdministration) -> typer.Typer:
    """Return the commands."""
    cli = group(_HELP)
    for add in (_add_list, _add_create, _add_rotate, _add_delete, _add_test, _add_deliveries, _add_redeliver):
        add(cli, opened)
    return cli


def _add_list(cli: typer.Typer, opened: OpenAdministration) -> None:
    @cli.command("list", help="List a tenant's webhooks; those of the configuration stand there.")
    @administering(opened)
    def list_webhooks(ask: Ask, *, tenant: TenantOption = "", as_json: JsonOption = False) -> None:
        with failures_told(as_json=as_json):
            found = ask(lambda administration: administration.webhooks(tenant))
            if as_json:
                print_json(found)
            elif found:
                print_table(_TITLES, map(_row, found))
            else:
                note("No webhooks yet: make one with 'penstock webhooks create NAME --url URL'.")


def _add_create(cli: typer.Typer, opened: OpenAdministration) -> None:
    @cli.command("create", help="Make a webhook; its secret is shown once.")
    @administering(opened)
    def create(
        ask: Ask,
        *,
        name: NameArgument,
        url: Annotated[str, typer.Option(metavar="URL", help="https://…")],
        event: Annotated[
            list[str] | None,
            typer.Option(metavar="TYPE", help="What it hears of unasked, such as job.dead or job.*; repeatable."),
        ] = None,
        tenant: TenantOption = "",
        as_json: JsonOption = False,
    ) -> None:
        with failures_told(as_json=as_json):
            made, secret = ask(
                lambda administration: administration.create_webhook(tenant, name, url, tuple(event or ()))
            )
            _told(made, secret, "is made", as_json=as_json)


def _add_rotate(cli: typer.Typer, opened: OpenAdministration) -> None:
    @cli.command("rotate", help="Make another secret; both sign while they overlap.")
    @administering(opened)
    def rotate(
        ask: Ask,
        *,
        name: NameArgument,
        overlap: Annotated[str, typer.Option(metavar="DURATION", help="At most 7d; 24h without it.")] = "",
        tenant: TenantOption = "",
        as_json: JsonOption = False,
    ) -> None:
        wanted = read_duration(overlap, "--overlap") if overlap else None
        with failures_told(as_json=as_json):
            rotated, secret = ask(lambda administration: administration.rotate_webhook(tenant, name, wanted))
            _told(rotated, secret, "has another secret", as_json=as_json)


def _add_delete(cli: typer.Typer, opened: OpenAdministration) -> None:
    @cli.command("delete", help="Take a webhook away, and what waits for it.")
    @administering(opened)
    def delete(ask: Ask, *, name: NameArgument, tenant: TenantOption = "", as_json: JsonOption = False) -> None:
        with failures_told(as_json=as_json):
            ask(lambda administration: administration.delete_webhook(tenant, name))
            if as_json:
                print_json({"name": name, "deleted": True})
            else:
                note(f"Webhook {name} is deleted.")


def _add_test(cli: typer.Typer, opened: OpenAdministration) -> None:
    @cli.command("test", help="Send a message of the type webhook.test.")
    @administering(opened)
    def test(ask: Ask, *, name: NameArgument, tenant: TenantOption = "", as_json: JsonOption = False) -> None:
        with failures_told(as_json=as_json):
            sent = ask(lambda administration: administration.test_webhook(tenant, name))
            if as_json:
                print_json({"delivery_id": sent})
            else:
                note(f"{sent} is on its way: 'penstock webhooks deliveries {name}' says what came of it.")


def _add_deliveries(cli: typer.Typer, opened: OpenAdministration) -> None:
    @cli.command("deliveries", help="List messages of the last 30 days, the newest first, and the last try of each.")
    @administering(opened)
    def deliveries(
        ask: Ask,
        *,
        name: NameArgument,
        tenant: TenantOption = "",
        status: Annotated[list[str] | None, typer.Option(metavar="|".join(DELIVERY_STATES), help="Repeatable.")] = None,
        most: Annotated[int, typer.Option(min=1, max=100_000, metavar="N", help="So many at most.")] = 50,
        as_json: JsonOption = False,
    ) -> None:
        for word in status or ():
            if word not in DELIVERY_STATES:
                told = f"one of {', '.join(DELIVERY_STATES)} is expected"
                raise typer.BadParameter(told, param_hint="'--status'")
        with failures_told(as_json=as_json):
            found = ask(
                lambda administration: administration.webhook_deliveries(tenant, name, tuple(status or ()), most)
            )
            if as_json:
                print_json(found)
            elif found:
                print_table(("message", "type", "state", "created", "tries", "next", "last"), map(_delivery, found))
            else:
                note("There are none.")


def _add_redeliver(cli: typer.Typer, opened: OpenAdministration) -> None:
    @cli.command("redeliver", help="Send messages again, under their ids: one, or those that were not delivered.")
    @administering(opened)
    def redeliver(
        ask: Ask,
        *,
        name: NameArgument,
        delivery: Annotated[str, typer.Option(metavar="ID", help="One, delivered or not.")] = "",
        since: Annotated[str, typer.Option(metavar="DURATION", help="Those of the last 2d, or the like.")] = "",
        tenant: TenantOption = "",
        yes: YesOption = False,
        as_json: JsonOption = False,
    ) -> None:
        if not (delivery or since or yes):
            told = "name one with --delivery, or say --since, or --yes for all that were not delivered"
            raise typer.BadParameter(told, param_hint="'--delivery'")
        after = datetime.now(UTC) - read_duration(since, "--since") if since else None
        with failures_told(as_json=as_json):
            count = ask(lambda administration: administration.redeliver_webhook(tenant, name, delivery, after))
            if as_json:
                print_json({"redelivered": count})
            else:
                note(f"{count} messages are due again.")


def _told(webhook: WebhookRow, secret: str, what: str, *, as_json: bool) -> None:
    if as_json:
        print_json({"webhook": webhook, "secret": secret})
        return
    note(f"Webhook {webhook.name} of {webhook.tenant} {what}. The secret is shown once:")
    print(secret)  # noqa: T201 - what the command gives


def _row(webhook: WebhookRow) -> Sequence[str]:
    state = "gone: it answered 410" if webhook.is_gone else ""
    if webhook.old_secret_until is not None and webhook.old_secret_until > datetime.now(UTC):
        state = f"two secrets until {webhook.old_secret_until:%Y-%m-%d %H:%M} UTC"
    what = (webhook.tenant, webhook.name, webhook.url, " ".join(webhook.events) or "when named", state)
    return tuple(map(escape, what))


def _delivery(delivery: DeliveryRow) -> Sequence[str]:
    last = delivery.tries[-1] if delivery.tries else None
    came = "" if last is None else last.error or f"{last.status} in {last.seconds:.1f} s"
    due = f"{delivery.next_at:%Y-%m-%d %H:%M:%S}" if delivery.next_at else ""
    what = (delivery.id, delivery.type, delivery.state, f"{delivery.created_at:%Y-%m-%d %H:%M:%S}")
    return *map(escape, what), str(len(delivery.tries)), due, escape(came)
