"""`penstock cache list|show|delete|dispute|explain|shred|rotate-keys`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated

import typer

from penstock_suite.domain.administration import Administration, OpenAdministration
from penstock_suite.domain.cache_entries import CacheEntry, CacheExplanation, CacheFilter
from penstock_suite.domain.failure import Misconfigured
from penstock_suite.surfaces.cli.administering import Ask, administering
from penstock_suite.surfaces.cli.options import DryRunOption, JsonOption, YesOption, read_number
from penstock_suite.surfaces.cli.output import console, escape, failures_told, note, print_json, print_table

TenantOption = Annotated[str, typer.Option(metavar="NAME", help="Whose entries; an operator names it.")]
ModelOption = Annotated[str, typer.Option(metavar="NAME", help="Of this public model only.")]
TagOption = Annotated[str, typer.Option(metavar="TAG", help="With this tag only.")]
UserOption = Annotated[str, typer.Option(metavar="USER", help="Made for this end user only.")]
IdArgument = Annotated[str, typer.Argument(metavar="ID", help="As in the header of a hit, or 'penstock cache list'.")]

_TITLES = ("id", "model", "origin", "question", "tags", "hits", "threshold", "same", "different", "created", "expires")
_TO_THE_RIGHT = {"hits", "threshold", "same", "different"}
_PAGE = 500
_MOST_LISTED = 100_000
_WIDTH = 60


def add_entries(cli: typer.Typer, opened: OpenAdministration) -> None:
    """Add the commands to the group."""
    _add_list(cli, opened)
    _add_show(cli, opened)
    _add_delete(cli, opened)
    _add_dispute(cli, opened)
    _add_explain(cli, opened)
    _add_shred(cli, opened)
    _add_rotate(cli, opened)


def _add_list(cli: typer.Typer, opened: OpenAdministration) -> None:
    @cli.command("list", help="List a tenant's entries that are matched by meaning, in the order of their ids.")
    @administering(opened)
    def list_entries(
        ask: Ask,
        *,
        tenant: TenantOption = "",
        model: ModelOption = "",
        tag: TagOption = "",
        user: UserOption = "",
        content: Annotated[
            bool, typer.Option("--content", help="Questions and answers, too; that is in the audit log.")
        ] = False,
        limit: Annotated[str, typer.Option(metavar="NUMBER", help="At most so many.")] = "100",
        as_json: JsonOption = False,
    ) -> None:
        most = read_number(limit, "--limit", _MOST_LISTED)
        wanted = CacheFilter(tenant=tenant, model=model, tag=tag, user=user)
        with failures_told(as_json=as_json):
            entries, is_all = ask(lambda administration: _listed(administration, wanted, most, with_content=content))
            if as_json:
                print_json(entries)
                return
            print_table(_TITLES, map(_row, entries), to_the_right=_TO_THE_RIGHT)
            if not is_all:
                note(f"There are more than {most}: say --limit.")


async def _listed(
    administration: Administration, wanted: CacheFilter, most: int, *, with_content: bool
) -> tuple[list[CacheEntry], bool]:
    found: list[CacheEntry] = []
    token = ""
    while True:
        size = min(_PAGE, most - len(found))
        page = await administration.cache_page(wanted, size, token, with_content=with_content)
        found += page.entries
        token = page.next_token
        if not token or len(found) >= most:
            return found, not token


def _add_show(cli: typer.Typer, opened: OpenAdministration) -> None:
    @cli.command("show", help="Show an entry with its question and answer; that is in the audit log.")
    @administering(opened)
    def show(ask: Ask, *, entry_id: IdArgument, tenant: TenantOption = "", as_json: JsonOption = False) -> None:
        with failures_told(as_json=as_json):
            entry = ask(lambda administration: administration.cache_entry(tenant, entry_id))
            if as_json:
                print_json(entry)
                return
            for name in entry.__struct_fields__:
                console().print(f"[bold]{name.replace('_', ' ')}[/]: {escape(_said(getattr(entry, name)))}")


def _add_delete(cli: typer.Typer, opened: OpenAdministration) -> None:
    @cli.command("delete", help="Delete what fits all that is named: no process serves it after a second.")
    @administering(opened)
    def delete(
        ask: Ask,
        *,
        ids: Annotated[list[str] | None, typer.Argument(metavar="[ID]...", help="These entries only.")] = None,
        tenant: TenantOption = "",
        model: ModelOption = "",
        tag: TagOption = "",
        user: UserOption = "",
        dry_run: DryRunOption = False,
        yes: YesOption = False,
        as_json: JsonOption = False,
    ) -> None:
        wanted = CacheFilter(tenant=tenant, model=model, ids=tuple(ids or ()), tag=tag, user=user)
        with failures_told(as_json=as_json):
            if not wanted.names_some:
                if not (yes or dry_run):
                    raise Misconfigured(
                        "this deletes every entry of the tenant: say --yes, or name an ID, --tag, --user or --model"
                    )
                wanted = CacheFilter(tenant=tenant, every=True)
            deleted = ask(lambda administration: administration.delete_cache_entries(wanted, dry_run=dry_run))
            if as_json:
                print_json({"deleted_entries": deleted, "dry_run": dry_run})
                return
            note(f"{deleted:,} entries {'would be deleted' if dry_run else 'deleted'}.")


def _add_dispute(cli: typer.Typer, opened: OpenAdministration) -> None:
    @cli.command(
        "dispute", help="Say that an entry was given, and was wrong: it goes, and what led to it is believed less."
    )
    @administering(opened)
    def dispute(ask: Ask, *, entry_id: IdArgument, tenant: TenantOption = "", as_json: JsonOption = False) -> None:
        with failures_told(as_json=as_json):
            ask(lambda administration: administration.dispute_cache_entry(tenant, entry_id))
            if as_json:
                print_json({"disputed": entry_id})
                return
            note(f"The entry {entry_id} is removed.")


def _add_explain(cli: typer.Typer, opened: OpenAdministration) -> None:
    @cli.command(
        "explain", help="Say whether the answer to one question is given to another, and why. Nothing is kept."
    )
    @administering(opened)
    def explain(
        ask: Ask,
        *,
        stored: Annotated[str, typer.Argument(metavar="STORED", help="The question that was answered before.")],
        asked: Annotated[str, typer.Argument(metavar="ASKED", help="The question that is asked now.")],
        tenant: TenantOption = "",
        model: Annotated[str, typer.Option(metavar="NAME", help="With the thresholds of this public model.")] = "",
        as_json: JsonOption = False,
    ) -> None:
        with failures_told(as_json=as_json):
            told = ask(lambda administration: administration.explain_cache(tenant, model, stored, asked))
            if as_json:
                print_json(told)
                return
            for line in _explained(told):
                console().print(line)


def _explained(told: CacheExplanation) -> Sequence[str]:
    detail = f" ({escape(told.detail)})" if told.detail else ""
    verdict = "[green]served[/]" if told.served else "[red]not served[/]"
    return (
        f"{verdict}: {escape(told.reason) or 'no reason given'}{detail}",
        f"similarity {told.similarity:.3f}, of which {told.floor:.3f} is needed to be judged at all",
        f"score {told.score:.3f}, of which {told.threshold:.3f} is needed where nothing was learned yet",
    )


def _add_shred(cli: typer.Typer, opened: OpenAdministration) -> None:
    @cli.command("shred", help="Destroy a tenant's keys in the cache: what it keeps is read by nobody again.")
    @administering(opened)
    def shred(ask: Ask, *, tenant: TenantOption = "", yes: YesOption = False, as_json: JsonOption = False) -> None:
        with failures_told(as_json=as_json):
            if not yes:
                raise Misconfigured("this cannot be undone, and keeps nothing of the tenant's: say --yes")
            deleted = ask(lambda administration: administration.shred_cache(tenant))
            if as_json:
                print_json({"deleted_entries": deleted})
                return
            note(f"The keys of the tenant {tenant or 'of the key'} are destroyed, and {deleted:,} entries deleted.")


def _add_rotate(cli: typer.Typer, opened: OpenAdministration) -> None:
    @cli.command(
        "rotate-keys", help="Have what is kept from now on sealed with new keys; what is there stays readable."
    )
    @administering(opened)
    def rotate(
        ask: Ask,
        *,
        tenant: Annotated[str, typer.Option(metavar="NAME", help="Of this tenant only; else of every one.")] = "",
        as_json: JsonOption = False,
    ) -> None:
        with failures_told(as_json=as_json):
            tenants = ask(lambda administration: administration.rotate_cache_keys(tenant))
            if as_json:
                print_json({"tenants": tenants})
                return
            note(f"{tenants:,} tenants have a new key.")


def _row(entry: CacheEntry) -> Sequence[str]:
    return (
        escape(entry.id),
        escape(entry.model),
        entry.origin + (" (private)" if entry.is_private else ""),
        escape(_short(entry.question)) or "-",
        escape(" ".join(entry.tags)) or "-",
        f"{entry.hits:,}",
        f"{entry.threshold:.3f}",
        str(entry.same_answers),
        str(entry.different_answers),
        _said(entry.created_at),
        _said(entry.expires_at),
    )


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _WIDTH else line[: _WIDTH - 1] + "…"


def _said(value: object) -> str:
    if value is None or value in ("", ()):
        return "-"
    if isinstance(value, datetime):
        return value.isoformat(timespec="seconds")
    if isinstance(value, tuple):
        return " ".join(map(str, value))
    return str(value)
