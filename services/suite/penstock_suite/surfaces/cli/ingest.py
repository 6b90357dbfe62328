"""`penstock ingest PATH… --base ID`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from typing import Annotated

import typer

from penstock_common.contract.knowledge import IngestProgress
from penstock_suite.domain.administration import OpenAdministration
from penstock_suite.domain.failure import ExitCode, Misconfigured
from penstock_suite.domain.ingest import (
    FileRules,
    Found,
    FoundFile,
    IngestReport,
    IngestWish,
    Sent,
    Show,
    document_id,
    ingest,
)
from penstock_suite.surfaces.cli.administering import Ask, administering
from penstock_suite.surfaces.cli.knowledge_options import TenantOption, read_attributes
from penstock_suite.surfaces.cli.options import DryRunOption, JsonOption, command, read_words
from penstock_suite.surfaces.cli.output import console, escape, failures_told, note, print_json, print_table

_HELP = """Take files into a knowledge base: folders through and through, files, patterns, or - for standard input.

A document's id is its path below the folder that was named, with : for /. What is there already, byte for byte, is not
sent again, so that the command may run from cron; what was accepted is taken in also where it is interrupted. Hidden
files, links and what .gitignore and .penstockignore say stay outside. Labels and attributes that are not said stay as they are.

Exit codes: 0 all of it is there, 6 all but those that were left out, which are named, another: it failed.
"""
_STDIN = "-"


def ingest_command(
    opened: OpenAdministration, files: Callable[[Sequence[str], FileRules], Iterator[Found]]
) -> typer.Typer:
    """Return the command; ``files`` yields what is below paths."""
    cli = command()

    @cli.command("ingest", help=_HELP)
    @administering(opened)
    def take(
        ask: Ask,
        *,
        paths: Annotated[list[str], typer.Argument(metavar="PATH")],
        base: Annotated[str, typer.Option(metavar="ID", help="The knowledge base, from 'penstock knowledge list'.")],
        tenant: TenantOption = "",
        labels: Annotated[
            str | None, typer.Option(metavar="A,B", help="Who finds them: keys with one of these; '' for every key.")
        ] = None,
        attribute: Annotated[
            list[str] | None, typer.Option(metavar="NAME=TEXT|NAME:=JSON", help="What they are found by; repeatable.")
        ] = None,
        name: Annotated[str, typer.Option(metavar="FILE", help="What standard input is called.")] = "stdin.txt",
        prune: Annotated[
            bool, typer.Option("--prune", help="Delete documents that are no file here any more.")
        ] = False,
        hidden: Annotated[bool, typer.Option("--hidden", help="Also files that begin with a dot.")] = False,
        follow_links: Annotated[bool, typer.Option("--follow-links", help="Also what links lead to.")] = False,
        no_ignore: Annotated[bool, typer.Option("--no-ignore", help="Read no .gitignore or .penstockignore.")] = False,
        no_wait: Annotated[bool, typer.Option("--no-wait", help="End once all is accepted.")] = False,
        dry_run: DryRunOption = False,
        as_json: JsonOption = False,
    ) -> None:
        with failures_told(as_json=as_json):
            if _STDIN in paths and (len(paths) > 1 or prune):
                raise Misconfigured("- is standard input alone: name no other path, and do not prune")
            wish = IngestWish(
                tenant=tenant,
                base=base,
                labels=None if labels is None else read_words(labels),
                attributes=None if attribute is None else read_attributes(attribute),
                prune=prune,
                dry_run=dry_run,
                waits=not no_wait,
            )
            rules = FileRules(hidden, follow_links, not no_ignore)
            found = _standard_input(name) if paths == [_STDIN] else files(paths, rules)
            with _progress(as_json=as_json) as show:
                report = ask(lambda administration: ingest(administration, found, wish, show))
            _tell(report, as_json=as_json, dry_run=dry_run)
            if report.left_out:
                raise typer.Exit(ExitCode.LEFT_OUT)

    return cli


def _standard_input(name: str) -> Iterator[Found]:
    yield FoundFile(name=name, id=document_id(name.encode()), path=None, content=sys.stdin.buffer.read())


@contextmanager
def _progress(*, as_json: bool) -> Generator[Show]:
    """Yield what shows how far it is; a terminal has a bar, on the side where errors go."""
    errors = console(stderr=True)
    if as_json or not errors.is_terminal:
        yield lambda _told: None
        return
    from rich.progress import BarColumn, Progress, TextColumn

    with Progress(TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[told]}"), console=errors, transient=True) as bar:  # fmt: skip
        sending, taking = bar.add_task("sending", told=""), bar.add_task("taking in", told="", total=None)

        def show(told: Sent | IngestProgress) -> None:
            if isinstance(told, Sent):
                bar.update(
                    sending, completed=told.files, total=told.total, told=f"{told.files:,} of {told.total:,} files"
                )
                return
            done = told.documents_done + told.documents_failed
            bar.update(taking, completed=done, total=told.documents_total, told=_so_far(told))

        yield show


def _so_far(told: IngestProgress) -> str:
    left = "" if told.seconds_left is None else f", {told.seconds_left:,.0f} s left"
    size = f"{told.bytes_done / 1e6:,.1f} of {told.bytes_total / 1e6:,.1f} MB"
    documents = f"{told.documents_done + told.documents_failed:,} of {told.documents_total:,} documents"
    return f"{documents}, {told.chunks:,} chunks, {size}{left}"


def _tell(report: IngestReport, *, as_json: bool, dry_run: bool) -> None:
    if as_json:
        print_json({"dry_run": dry_run, **{name: getattr(report, name) for name in report.__slots__}})
        return
    if report.left_out:
        rows = ((escape(one.name), one.reason, escape(one.place), escape(one.message)) for one in report.left_out)
        print_table(("left out", "reason", "place", "what to do"), rows)
    counts = {
        "added": report.added,
        "replaced": report.replaced,
        "relabelled": report.changed,
        "unchanged": report.unchanged,
        "pruned": report.pruned,
        "left out": report.left_out,
    }
    told = ", ".join(f"{len(some):,} {word}" for word, some in counts.items() if some or word in ("added", "unchanged"))
    rules = "".join(f"; {count:,} {rule}" for rule, count in report.ignored.items())
    note(f"{told}{rules}{'; nothing has changed' if dry_run else ''}.")
