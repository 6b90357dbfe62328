"""`penstock backup` and `penstock restore`."""

from __future__ import annotations

import signal
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Annotated, Protocol

import typer

from penstock_suite.domain.answers import BackedUp, Restored
from penstock_suite.domain.failure import SuiteFailure
from penstock_suite.domain.requests import Selection
from penstock_suite.surfaces.cli.options import ConfigOption, JsonOption, StateOption, command
from penstock_suite.surfaces.cli.output import console, escape, failures_told, note, print_json

ShowRows = Callable[[str, int], None]
_BACKUP_HELP = """Copy the database (keys, tenants, users, prompts, audit log, ledger), as it is at one moment, into one file.

A running stack goes on. The file is the same for SQLite and PostgreSQL, and readable by its owner alone. It holds no
prompts and no answers; the digests of keys in it are worth nothing without the pepper, which is not in it: keep
'secrets.key_pepper_file' too, in another place.

Documents are not in it. With --documents-to their SQLite file is copied, too, as it is at one moment; without
'secrets.knowledge_key_file' nobody reads it.
"""
_RESTORE_HELP = """Fill the database from a file of 'penstock backup', all of it or nothing, and bring its schema up to date.

Refuses a database that has rows, unless told to --replace them. Keys work again with the pepper they were made with.
"""


class BackUp(Protocol):
    """Writes an archive of the database, and a copy of documents."""

    def __call__(
        self, selection: Selection, file: Path, show: ShowRows, *, documents_to: Path | None = None
    ) -> BackedUp:
        """Return what they hold."""
        ...


class Restore(Protocol):
    """Fills the database from an archive."""

    def __call__(self, selection: Selection, file: Path, show: ShowRows, *, replace: bool) -> Restored:
        """Return what the database holds now."""
        ...


def backup(back_up: BackUp) -> typer.Typer:
    """Return the command; ``back_up`` writes an archive."""
    cli = command()

    @cli.command("backup", help=_BACKUP_HELP)
    def write(
        *,
        to: Annotated[Path, typer.Option("--to", metavar="FILE", help="Replaced, once the new one is complete.")],
        documents_to: Annotated[
            Path | None, typer.Option("--documents-to", metavar="FILE", help="Copy documents, too; replaced likewise.")
        ] = None,
        config: ConfigOption = None,
        state: StateOption = None,
        as_json: JsonOption = False,
    ) -> None:
        with failures_told(as_json=as_json):
            with _counting("backing up", as_json=as_json) as show:
                done = back_up(Selection(config, state), to, show, documents_to=documents_to)
            print_json(done) if as_json else note(
                f"{done.file}: {_rows(done.rows)}, {done.bytes:,} bytes, schema {done.schema}, "
                f"as of {done.created_at:%Y-%m-%d %H:%M:%S} UTC."
            )
            if done.documents and not as_json:
                note(f"{done.documents}: documents, {done.documents_bytes:,} bytes.")

    return cli


def restore(refill: Restore) -> typer.Typer:
    """Return the command."""
    cli = command()

    @cli.command("restore", help=_RESTORE_HELP)
    def read(
        *,
        source: Annotated[Path, typer.Option("--from", metavar="FILE", help="Of 'penstock backup'.")],
        replace: Annotated[bool, typer.Option("--replace", help="Lose the rows that the database has.")] = False,
        config: ConfigOption = None,
        state: StateOption = None,
        as_json: JsonOption = False,
    ) -> None:
        with failures_told(as_json=as_json):
            with _counting("restoring", as_json=as_json) as show:
                done = refill(Selection(config, state), source, show, replace=replace)
            print_json(done) if as_json else _show_restored(done)

    return cli


def _show_restored(done: Restored) -> None:
    before = "; what was there is gone" if done.replaced else ""
    since = f", upgraded from {done.archived_schema}" if done.archived_schema != done.schema else ""
    note(f"Restored {_rows(done.rows)} as of {done.created_at:%Y-%m-%d %H:%M:%S} UTC{before}.")
    note(f"The schema is {done.schema}{since}.")
    if done.keys_fit is False:
        note("! Its keys were made with another pepper, and do not work with the one that is here.")
    if done.keys_fit is None and done.rows.get("api_keys"):
        note(
            "! There is no pepper here: put the file that these keys were made with where 'secrets.key_pepper_file' names "
            "it, or as key-pepper into the state folder, before the next start. With another one the keys do not work."
        )


def _rows(rows: dict[str, int]) -> str:
    return ", ".join(f"{count:,} of {table}" for table, count in rows.items() if count) or "no rows"


@contextmanager
def _counting(what: str, *, as_json: bool) -> Generator[ShowRows]:
    """Yield what is told of rows; a terminal shows them, on the side where errors go."""
    errors = console(stderr=True)
    # SIGTERM, too, must leave no half of an archive behind.
    before = signal.signal(signal.SIGTERM, _as_interrupt)
    try:
        if as_json or not errors.is_terminal:
            yield lambda _table, _rows: None
            return
        with errors.status(what) as status:
            yield lambda table, rows: status.update(f"{what}: {rows:,} rows of {escape(table)}")
    except KeyboardInterrupt:
        # Whoever makes backups by a script must not take this one for made.
        raise SuiteFailure(f"interrupted while {what}: nothing has changed") from None
    finally:
        signal.signal(signal.SIGTERM, before)


def _as_interrupt(number: int, frame: FrameType | None) -> None:
    """Do as SIGINT would: asyncio's handler lets what is under way end at its next wait, and clean up."""
    handler = signal.getsignal(signal.SIGINT)
    if not callable(handler):
        # Ignored, as in the background of a shell script; asyncio then has no handler.
        handler = signal.default_int_handler
    handler(number, frame)
