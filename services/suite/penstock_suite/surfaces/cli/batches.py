"""`penstock batches list|show|cancel`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated

import typer

from penstock_suite.domain.administration import OpenAdministration
from penstock_suite.domain.batches import BatchRow
from penstock_suite.surfaces.cli.administering import Ask, administering
from penstock_suite.surfaces.cli.options import JsonOption, group
from penstock_suite.surfaces.cli.output import escape, failures_told, note, print_json, print_table

_HELP = "Batches: files of requests that are answered within a day."
_TITLES = ("batch", "state", "endpoint", "model", "lines", "completed", "failed", "created", "ended")
_TO_THE_RIGHT = {"lines", "completed", "failed"}
_CANCEL_HELP = """Have a batch end.

What is done stays, and is written into its files; what runs is ended, and what waits is not begun.
"""

BatchArgument = Annotated[str, typer.Argument(metavar="BATCH", help="An id such as batch_0195….")]
TenantOption = Annotated[str, typer.Option(metavar="NAME", help="Whose; an operator must name one.")]


def batches(opened: OpenAdministration) -> typer.Typer:
    """Return the commands."""
    cli = group(_HELP)
    for add in (_add_list, _add_show, _add_cancel):
        add(cli, opened)
    return cli


def _add_list(cli: typer.Typer, opened: OpenAdministration) -> None:
    @cli.command("list", help="List a tenant's batches, the newest first.")
    @administering(opened)
    def list_batches(
        ask: Ask,
        *,
        tenant: TenantOption = "",
        most: Annotated[int, typer.Option(min=1, max=100_000, metavar="N", help="So many at most.")] = 50,
        as_json: JsonOption = False,
    ) -> None:
        with failures_told(as_json=as_json):
            found = ask(lambda administration: administration.batches(tenant, most))
            if as_json:
                print_json(found)
            elif found:
                print_table(_TITLES, map(_row, found), to_the_right=_TO_THE_RIGHT)
            else:
                note("There are none.")


def _add_show(cli: typer.Typer, opened: OpenAdministration) -> None:
    @cli.command("show", help="Show how a batch stands; nothing of what its lines ask or are answered.")
    @administering(opened)
    def show(ask: Ask, *, batch: BatchArgument, tenant: TenantOption = "", as_json: JsonOption = False) -> None:
        with failures_told(as_json=as_json):
            found = ask(lambda administration: administration.batch(tenant, batch))
            if as_json:
                print_json(found)
            else:
                print_table(("", ""), _facts(found))


def _add_cancel(cli: typer.Typer, opened: OpenAdministration) -> None:
    @cli.command("cancel", help=_CANCEL_HELP)
    @administering(opened)
    def cancel(ask: Ask, *, batch: BatchArgument, tenant: TenantOption = "", as_json: JsonOption = False) -> None:
        with failures_told(as_json=as_json):
            found = ask(lambda administration: administration.cancel_batch(tenant, batch))
            if as_json:
                print_json(found)
            else:
                note(f"{found.id} is {found.state}.")


def _row(batch: BatchRow) -> Sequence[str]:
    counts = map(str, (batch.total, batch.completed, batch.failed))
    when = (_moment(batch.created_at), _moment(batch.ended_at))
    return *map(escape, (batch.id, batch.state, batch.endpoint, batch.model)), *counts, *when


def _facts(batch: BatchRow) -> list[tuple[str, str]]:
    facts = {
        "id": batch.id,
        "tenant": batch.tenant,
        "key": batch.key_id,
        "state": batch.state,
        "endpoint": batch.endpoint,
        "model": batch.model,
        "lines": f"{batch.completed} completed and {batch.failed} failed of {batch.total}",
        "providers": _by_providers(batch),
        "tokens": f"{batch.input_tokens} in, {batch.output_tokens} out",
        "input": batch.input_file,
        "output": batch.output_file,
        "errors": batch.error_file,
        "created": _moment(batch.created_at),
        "expires": _moment(batch.expires_at),
        "ended": _moment(batch.ended_at),
        "job": batch.job,
        "request": batch.request_id,
        **{f"metadata {name}": value for name, value in batch.metadata.items()},
        **{f"fault {number}": words for number, words in enumerate(batch.faults, 1)},
    }
    return [(name, escape(value)) for name, value in facts.items() if value]


def _by_providers(batch: BatchRow) -> str:
    return f"{batch.answered_by_providers} answered of {batch.handed} handed over" if batch.handed else ""


def _moment(moment: datetime | None) -> str:
    return "" if moment is None else f"{moment:%Y-%m-%d %H:%M:%S} UTC"
