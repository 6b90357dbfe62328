"""`penstock prompts list|show|create|diff|label|rollback|render|delete`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from penstock_suite.domain.administration import OpenAdministration
from penstock_suite.domain.failure import Misconfigured
from penstock_suite.domain.prompt_file import read_draft, read_values, written_draft
from penstock_suite.domain.prompts import PromptChoice, PromptRow
from penstock_suite.surfaces.cli.administering import Ask, administering
from penstock_suite.surfaces.cli.options import JsonOption, group
from penstock_suite.surfaces.cli.output import escape, failures_told, note, print_json, print_table

_HELP = """Prompts of a tenant: versions of templates, which never change, and the labels that point to them.

A request names one by `prompt`: its version, or a label, or neither for the label production.
"""
_CREATE_HELP = """Make the next version of a prompt from a YAML file, or the first of a new one. `-` reads standard input.

messages: a list of `system: TEXT`, `user: TEXT` and `assistant: TEXT`, with {{name}} in the places of variables;
variables: by name, with type (string, integer, number, boolean, enum, json, image_url), default, required, max_length,
values, description; model and sampling hold where a request says nothing; note. `penstock prompts show` writes the same.
"""
_TITLES = ("name", "newest", "labels", "made", "state")

TenantOption = Annotated[str, typer.Option(metavar="NAME", help="Whose prompts; an operator must name one.")]
NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="From 'penstock prompts list'.")]
LabelArgument = Annotated[str, typer.Argument(metavar="LABEL", help="Such as production or canary.")]
VersionOption = Annotated[int, typer.Option(metavar="NUMBER", min=0, help="Without it, the label's.")]
LabelOption = Annotated[str, typer.Option(metavar="LABEL", help="Without it, production.")]


def prompts(opened: OpenAdministration) -> typer.Typer:
    """Return the commands."""
    cli = group(_HELP)
    for add in (_add_list, _add_show, _add_create, _add_diff, _add_label, _add_rollback, _add_render, _add_delete):
        add(cli, opened)
    return cli


def _add_list(cli: typer.Typer, opened: OpenAdministration) -> None:
    @cli.command("list", help="List a tenant's prompts and where their labels point to.")
    @administering(opened)
    def list_prompts(
        ask: Ask,
        *,
        tenant: TenantOption = "",
        archived: Annotated[bool, typer.Option("--archived", help="Also those that are deleted.")] = False,
        as_json: JsonOption = False,
    ) -> None:
        with failures_told(as_json=as_json):
            rows = ask(lambda administration: administration.prompts(tenant, with_archived=archived))
            if as_json:
                print_json(rows)
            elif rows:
                print_table(_TITLES, map(_row, rows), to_the_right={"newest"})
            else:
                note("No prompts yet: make one with 'penstock prompts create NAME FILE'.")


def _add_show(cli: typer.Typer, opened: OpenAdministration) -> None:
    @cli.command("show", help="Write a version as the YAML that 'penstock prompts create' reads.")
    @administering(opened)
    def show(
        ask: Ask,
        *,
        name: NameArgument,
        tenant: TenantOption = "",
        version: VersionOption = 0,
        label: LabelOption = "",
        as_json: JsonOption = False,
    ) -> None:
        choice = PromptChoice(tenant=tenant, name=name, version=version, label=label)
        with failures_told(as_json=as_json):
            found = ask(lambda administration: administration.prompt_version(choice))
            if as_json:
                print_json(found)
                return
            typer.echo(written_draft(found.draft), nl=False)
            made = f"{found.created_at:%Y-%m-%d %H:%M} UTC by {found.created_by}"
            note(f"{found.name}@{found.version}, made {made}.")


def _add_create(cli: typer.Typer, opened: OpenAdministration) -> None:
    @cli.command("create", help=_CREATE_HELP)
    @administering(opened)
    def create(
        ask: Ask,
        *,
        name: NameArgument,
        file: Annotated[str, typer.Argument(metavar="FILE", help="YAML, UTF-8; - is standard input.")],
        tenant: TenantOption = "",
        label: Annotated[
            list[str] | None, typer.Option(metavar="LABEL", help="Have it point to the new version; repeatable.")
        ] = None,
        as_json: JsonOption = False,
    ) -> None:
        with failures_told(as_json=as_json):
            draft, labels = read_draft(_content(file), file), tuple(label or ())
            made = ask(lambda administration: administration.create_prompt_version(tenant, name, draft, labels))
            if as_json:
                print_json(made)
                return
            pointing = f", which {' and '.join(labels)} points to" if labels else ""
            note(f"{made.name}@{made.version} is made{pointing}.")


def _add_diff(cli: typer.Typer, opened: OpenAdministration) -> None:
    @cli.command("diff", help="Show what differs between two versions; the second is the newest where it is not said.")
    @administering(opened)
    def diff(
        ask: Ask,
        *,
        name: NameArgument,
        old: Annotated[int, typer.Argument(metavar="FROM", min=1)],
        new: Annotated[int, typer.Argument(metavar="[TO]", min=0)] = 0,
        tenant: TenantOption = "",
        as_json: JsonOption = False,
    ) -> None:
        with failures_told(as_json=as_json):
            to = new or ask(lambda administration: administration.prompt(tenant, name)).newest_version
            told = ask(lambda administration: administration.prompt_difference(tenant, name, (old, to)))
            if as_json:
                print_json({"name": name, "from": old, "to": to, "diff": told})
            elif told:
                typer.echo(told)
            else:
                note(f"{name}@{old} and {name}@{to} say the same.")


def _add_label(cli: typer.Typer, opened: OpenAdministration) -> None:
    @cli.command("label", help="Have a label point to a version; a running stack goes by it after a second.")
    @administering(opened)
    def set_label(
        ask: Ask,
        *,
        name: NameArgument,
        label: LabelArgument,
        version: Annotated[int, typer.Argument(metavar="VERSION", min=1)],
        tenant: TenantOption = "",
        as_json: JsonOption = False,
    ) -> None:
        with failures_told(as_json=as_json):
            row = ask(lambda administration: administration.set_prompt_label(tenant, name, label, version))
            _show_label(row, label, as_json=as_json)


def _add_rollback(cli: typer.Typer, opened: OpenAdministration) -> None:
    @cli.command("rollback", help="Have a label point to where it pointed before; again for the version before that.")
    @administering(opened)
    def roll_back(
        ask: Ask, *, name: NameArgument, label: LabelArgument = "production", tenant: TenantOption = "",
        as_json: JsonOption = False,
    ) -> None:  # fmt: skip
        with failures_told(as_json=as_json):
            row = ask(lambda administration: administration.roll_back_prompt_label(tenant, name, label))
            _show_label(row, label, as_json=as_json)


def _add_render(cli: typer.Typer, opened: OpenAdministration) -> None:
    @cli.command("render", help="Show a version's messages with values in their places; no model is asked.")
    @administering(opened)
    def render(
        ask: Ask,
        *,
        name: NameArgument,
        var: Annotated[
            list[str] | None, typer.Option(metavar="NAME=TEXT|NAME:=JSON", help="A variable's value; repeatable.")
        ] = None,
        tenant: TenantOption = "",
        version: VersionOption = 0,
        label: LabelOption = "",
        as_json: JsonOption = False,
    ) -> None:
        choice = PromptChoice(tenant=tenant, name=name, version=version, label=label)
        with failures_told(as_json=as_json):
            values = read_values(var or ())
            messages = ask(lambda administration: administration.rendered_prompt(choice, values))
            if as_json:
                print_json({"messages": messages})
                return
            for message in messages:
                for role, text in message.items():
                    typer.echo(f"[{role}]\n{text}")


def _add_delete(cli: typer.Typer, opened: OpenAdministration) -> None:
    @cli.command("delete", help="Have nobody use a prompt. Its versions stay, and a new one brings it back.")
    @administering(opened)
    def delete(ask: Ask, *, name: NameArgument, tenant: TenantOption = "", as_json: JsonOption = False) -> None:
        with failures_told(as_json=as_json):
            row = ask(lambda administration: administration.archive_prompt(tenant, name))
            if as_json:
                print_json(row)
            else:
                note(f"The prompt {name} is deleted; 'penstock prompts create' brings it back.")


def _content(file: str) -> str:
    try:
        return sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8")
    except (OSError, UnicodeError) as error:
        raise Misconfigured(f"{file} cannot be read: {error}") from None


def _show_label(row: PromptRow, label: str, *, as_json: bool) -> None:
    if as_json:
        print_json(row)
    else:
        note(f"{label} of {row.name} points to version {row.labels[label]}.")


def _row(row: PromptRow) -> Sequence[str]:
    return (
        escape(row.name),
        str(row.newest_version),
        escape(", ".join(f"{label} {version}" for label, version in row.labels.items())) or "[dim]none[/]",
        f"{row.created_at:%Y-%m-%d}",
        "live" if row.archived_at is None else f"deleted {row.archived_at:%Y-%m-%d}",
    )
