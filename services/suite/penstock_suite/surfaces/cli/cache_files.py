"""`penstock cache import|export`: questions and answers in a file."""

from __future__ import annotations

import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, BinaryIO

import typer

from penstock_suite.domain.administration import Administration, OpenAdministration
from penstock_suite.domain.cache_entries import CacheFilter, ImportedRow
from penstock_suite.domain.cache_rows import BadLine, exported_line, read_rows
from penstock_suite.domain.failure import ExitCode, Misconfigured, SuiteFailure
from penstock_suite.surfaces.cli.administering import Ask, administering
from penstock_suite.surfaces.cli.cache_entries import ModelOption, TagOption, TenantOption, UserOption
from penstock_suite.surfaces.cli.options import DryRunOption, JsonOption
from penstock_suite.surfaces.cli.output import console, failures_told, note, print_json

_IMPORT_HELP = """Put questions and answers in, each as if a model had answered a request of it. `-` reads standard input.

JSON lines, or CSV with a line of titles: question, answer, tags (a list, or texts with ';' between), model, system,
language (kept as the tag language:NAME), ttl (such as 30d). An answer is given to requests of the row's model with its
system prompt, or without any, and the model's own sampling. What is wrong with a line is said with its number, the rest
goes in, and the command ends with 1. Importing a file again changes nothing.
"""
_EXPORT_HELP = """Write a tenant's entries as JSON lines, which `penstock cache import` reads. They hold questions and answers in plain text.

Of a system prompt the cache keeps a hash alone: to import the answers to requests with one, add `system` to their lines.
Entries that serve one user alone are in the file, and are not imported.
"""
_MOST_ROWS, _MOST_BYTES = 100, 1024 * 1024
_PAGE = 200

Advance = Callable[[int], None]


def add_files(cli: typer.Typer, opened: OpenAdministration) -> None:
    """Add the commands to the group."""
    _add_import(cli, opened)
    _add_export(cli, opened)


def _add_import(cli: typer.Typer, opened: OpenAdministration) -> None:
    @cli.command("import", help=_IMPORT_HELP)
    @administering(opened)
    def take(
        ask: Ask,
        *,
        file: Annotated[str, typer.Argument(metavar="FILE", help="JSON lines or CSV, UTF-8; - is standard input.")],
        tenant: TenantOption = "",
        model: Annotated[str, typer.Option(metavar="NAME", help="Of lines that name no model.")] = "",
        strict: Annotated[bool, typer.Option("--strict", help="All of it or nothing.")] = False,
        dry_run: DryRunOption = False,
        as_json: JsonOption = False,
    ) -> None:
        from penstock_common.configuration import parse_duration

        with failures_told(as_json=as_json):
            rows = read_rows(_content(file), model, parse_duration)
            if strict and rows.bad:
                _tell(Counter(), rows.bad, as_json=as_json, dry_run=True)
                raise typer.Exit(ExitCode.FAILED)

            async def work(administration: Administration) -> tuple[Counter[str], list[BadLine]]:
                with _progress(len(rows.good) * (1 + (strict and not dry_run)), as_json=as_json) as advance:
                    if strict or dry_run:
                        found = await _imported(administration, tenant, rows.good, advance, dry_run=True)
                        if dry_run or found[1]:
                            return found
                    return await _imported(administration, tenant, rows.good, advance, dry_run=False)

            outcomes, refused = ask(work)
            bad = sorted((*rows.bad, *refused), key=lambda one: one.line)
            _tell(outcomes, bad, as_json=as_json, dry_run=dry_run or (strict and bool(refused)))
            if bad:
                raise typer.Exit(ExitCode.FAILED)


async def _imported(
    administration: Administration, tenant: str, rows: Sequence[ImportedRow], advance: Advance, *, dry_run: bool
) -> tuple[Counter[str], list[BadLine]]:
    outcomes: Counter[str] = Counter()
    refused: list[BadLine] = []
    for batch in _batches(rows):
        results = await administration.import_cache(tenant, batch, dry_run=dry_run)
        for row, result in zip(batch, results, strict=True):
            outcomes[result.outcome] += 1
            if result.outcome == "refused":
                refused.append(BadLine(row.line, result.reason))
        advance(len(batch))
    return outcomes, refused


def _batches(rows: Sequence[ImportedRow]) -> Iterator[Sequence[ImportedRow]]:
    batch: list[ImportedRow] = []
    size = 0
    for row in rows:
        row_bytes = sum(len(text.encode()) for text in (row.question, row.answer, row.system))
        if batch and (len(batch) == _MOST_ROWS or size + row_bytes > _MOST_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(row)
        size += row_bytes
    if batch:
        yield batch


def _tell(outcomes: Counter[str], bad: Sequence[BadLine], *, as_json: bool, dry_run: bool) -> None:
    counts = {name: outcomes[name] for name in ("stored", "unchanged", "replaced")}
    if as_json:
        print_json({**counts, "refused": bad, "dry_run": dry_run})
        return
    for one in bad:
        note(f"line {one.line}: {one.reason.rstrip('.')}.")
    told = ", ".join(f"{count:,} {name}" for name, count in counts.items())
    note(f"{told}, {len(bad):,} refused{'; nothing has changed' if dry_run else ''}.")


def _content(file: str) -> bytes:
    if file == "-":
        return sys.stdin.buffer.read()
    try:
        return Path(file).read_bytes()
    except OSError as error:
        raise Misconfigured(f"{file} cannot be read: {error.strerror}") from None


@contextmanager
def _progress(rows: int, *, as_json: bool) -> Generator[Advance]:
    """Yield what is told of rows that are done; a terminal shows them, on the side where errors go."""
    errors = console(stderr=True)
    if as_json or not errors.is_terminal:
        yield lambda _rows: None
        return
    from rich.progress import Progress

    with Progress(console=errors, transient=True) as bar:
        task = bar.add_task("importing", total=rows)
        yield lambda done: bar.advance(task, done)


def _add_export(cli: typer.Typer, opened: OpenAdministration) -> None:
    @cli.command("export", help=_EXPORT_HELP)
    @administering(opened)
    def write(
        ask: Ask,
        *,
        file: Annotated[Path, typer.Argument(metavar="FILE", help="A new file, readable by its owner alone.")],
        tenant: TenantOption = "",
        model: ModelOption = "",
        tag: TagOption = "",
        user: UserOption = "",
        as_json: JsonOption = False,
    ) -> None:
        wanted = CacheFilter(tenant=tenant, model=model, tag=tag, user=user)
        with failures_told(as_json=as_json):
            count = ask(lambda administration: _exported(administration, wanted, file))
            if as_json:
                print_json({"file": str(file), "entries": count})
                return
            note(f"{file}: {count:,} entries, questions and answers in plain text.")


async def _exported(administration: Administration, wanted: CacheFilter, file: Path) -> int:
    # Before there is a file: what is refused leaves none.
    page = await administration.cache_page(wanted, _PAGE, "", with_content=True)
    count = 0
    with _new_file(file) as output:
        while True:
            output.writelines(exported_line(entry, time.time()) for entry in page.entries)
            count += len(page.entries)
            if not page.next_token:
                return count
            page = await administration.cache_page(wanted, _PAGE, page.next_token, with_content=True)


@contextmanager
def _new_file(file: Path) -> Generator[BinaryIO]:
    try:
        number = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise SuiteFailure(f"{file} is there already: name a new file") from None
    except OSError as error:
        raise SuiteFailure(f"{file} cannot be written: {error.strerror}") from None
    try:
        with os.fdopen(number, "wb") as output:
            yield output
    except BaseException:
        # No half of an export stays behind.
        file.unlink(missing_ok=True)
        raise
