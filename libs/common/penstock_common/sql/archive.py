"""The archive of a database: one file for both engines, JSON lines in gzip.

    {"format": "penstock-backup", "version": 1, "schema": "0001", "created_at": …, "pepper": …}
    {"table": "api_keys", "columns": [["id", "text"], ["digest", "bytes"], …]}
    ["k1", "3q2+7w==", …]                                   a row of that table, and so on
    {"rows": {"api_keys": 1, …}, "sha256": …}               of all bytes before this line, unpacked

Bytes are base64, times RFC 3339 in UTC. Whoever can read JSON can read it
without Penstock. ``schema`` is the revision of the first branch of migrations,
``branches`` has those of the others, and is left out where there are none.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import tempfile
import zlib
from base64 import b64decode
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Any, BinaryIO, Literal, TypeAlias

import msgspec

FORMAT = "penstock-backup"
VERSION = 1
BATCH_ROWS = 1000

Kind: TypeAlias = Literal["text", "integer", "real", "boolean", "bytes", "time", "day", "json"]
Row: TypeAlias = list[Any]

# Level 6 takes twice the time for a tenth less.
_COMPRESSION = 3


class BackupError(Exception):
    """A copy cannot be made or used. The message is one sentence that says what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Backup:
    """An archive: which revisions it has, when it was made, and how many rows of each table it holds."""

    schema: str
    """The revision of the first branch."""
    created_at: datetime
    rows: dict[str, int]
    pepper: str = ""
    """The fingerprint of the pepper that its keys need; empty where it was not known."""
    branches: dict[str, str] = field(default_factory=dict[str, str])
    """The revisions of the other branches."""


class _Header(msgspec.Struct, frozen=True, kw_only=True):
    format: str
    version: int
    schema: str
    created_at: datetime
    pepper: str = ""
    branches: dict[str, str] | msgspec.UnsetType = msgspec.UNSET


class TableHead(msgspec.Struct, frozen=True):
    """Which table the next rows belong to, and what their places mean."""

    table: str
    columns: tuple[tuple[str, Kind], ...]


class _Trailer(msgspec.Struct, frozen=True):
    rows: dict[str, int]
    sha256: str


_encode = msgspec.json.Encoder().encode
_header_decoder = msgspec.json.Decoder(_Header)
_head_decoder = msgspec.json.Decoder(TableHead)
_row_decoder = msgspec.json.Decoder(Row)
_trailer_decoder = msgspec.json.Decoder(_Trailer)


class ArchiveWriter:
    """Writes an archive to a stream, in order: tables, each with its rows."""

    def __init__(self, sink: gzip.GzipFile, contents: Backup) -> None:
        """``contents`` says what the archive is; its rows are those that will be written."""
        self._sink = sink
        self._digest = hashlib.sha256()
        self._rows: dict[str, int] = {}
        self._table = ""
        self._write(
            _Header(
                format=FORMAT,
                version=VERSION,
                schema=contents.schema,
                created_at=contents.created_at,
                pepper=contents.pepper,
                branches=contents.branches or msgspec.UNSET,
            )
        )

    def begin_table(self, head: TableHead) -> None:
        """Begin a table; what follows are its rows."""
        self._table = head.table
        self._rows[head.table] = 0
        self._write(head)

    def write_rows(self, rows: list[Row]) -> int:
        """Write rows of the table; return how many it has so far. Times must have a zone."""
        lines = b"".join(_encode(row) + b"\n" for row in rows)
        self._digest.update(lines)
        self._sink.write(lines)
        self._rows[self._table] += len(rows)
        return self._rows[self._table]

    def end(self) -> dict[str, int]:
        """Write the checksum; return how many rows each table has."""
        self._write(_Trailer(self._rows, self._digest.hexdigest()))
        return self._rows

    def _write(self, value: object) -> None:
        line = _encode(value) + b"\n"
        self._digest.update(line)
        self._sink.write(line)


@contextmanager
def new_archive(path: Path) -> Generator[gzip.GzipFile]:
    """Yield a stream that becomes the file at ``path``; see ``new_file``.

    Raises:
        BackupError: if the file cannot be written.
    """
    with (
        new_file(path) as unfinished,
        unfinished.open("wb") as file,
        gzip.GzipFile(filename="", mode="wb", compresslevel=_COMPRESSION, fileobj=file, mtime=0) as packed,
    ):
        yield packed


@contextmanager
def new_file(path: Path) -> Generator[Path]:
    """Yield an empty file that becomes the one at ``path``, readable by its owner alone, once the block ends well.

    Until then, and when it does not, whatever was at ``path`` stays.

    Raises:
        BackupError: if the file cannot be written.
    """
    try:
        descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    except OSError as error:
        raise BackupError(f"{path.parent}: {error.strerror}: name another place") from None
    try:
        with os.fdopen(descriptor, "rb") as file:
            yield Path(name)
            os.fsync(file.fileno())
        Path(name).replace(path)
        _flush_folder(path.parent)
    except (ConnectionError, TimeoutError):
        # Not ours: the block reads a database.
        raise
    except OSError as error:
        raise BackupError(f"{path}: {error.strerror}: name another place") from None
    finally:
        Path(name).unlink(missing_ok=True)


def _flush_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class ArchiveReader:
    """An archive that was read once, whole, and is what it says."""

    def __init__(self, path: Path, file: BinaryIO, contents: Backup) -> None:
        self._path = path
        self._file = file
        self.contents = contents

    def batches(self) -> Iterator[tuple[TableHead, list[dict[str, Any]]]]:
        """Yield the rows, by column, in batches of one table each."""
        self._file.seek(0)
        head: TableHead | None = None
        batch: list[dict[str, Any]] = []
        with _damage_told(self._path), gzip.GzipFile(fileobj=self._file) as lines:
            next(lines)
            for line in lines:
                if head is not None and batch and (len(batch) == BATCH_ROWS or not line.startswith(b"[")):
                    yield head, batch
                    batch = []
                if line.startswith(b"["):
                    assert head is not None
                    batch.append(_values(head, _row_decoder.decode(line)))
                elif line.startswith(b'{"table"'):
                    head = _head_decoder.decode(line)


@contextmanager
def open_archive(path: Path) -> Generator[ArchiveReader]:
    """Yield the archive at ``path`` after a look at every byte of it.

    Raises:
        BackupError: if it is none, damaged, cut short, or of a later version.
    """
    try:
        file = path.open("rb")
    except OSError as error:
        raise BackupError(f"{path}: {error.strerror}") from None
    with file:
        with _damage_told(path):
            contents = _verified(path, file)
        yield ArchiveReader(path, file, contents)


def _verified(path: Path, file: BinaryIO) -> Backup:
    verification = _Verification(path)
    with gzip.GzipFile(fileobj=file) as lines:
        header = _header_of(path, first := next(lines, b""))
        verification.digest.update(first)
        for line in lines:
            verification.take(line)
    rows = verification.end()
    return Backup(
        schema=header.schema,
        created_at=header.created_at,
        rows=rows,
        pepper=header.pepper,
        branches=header.branches or {},
    )


class _Verification:
    """What was read of an archive so far, and whether it fits."""

    def __init__(self, path: Path) -> None:
        self.digest = hashlib.sha256()
        self._path = path
        self._head: TableHead | None = None
        self._rows: dict[str, int] = {}
        self._trailer: _Trailer | None = None

    def take(self, line: bytes) -> None:
        if self._trailer is not None:
            raise _damaged(self._path, "something follows its end")
        if line.startswith(b"["):
            if self._head is None or len(_row_decoder.decode(line)) != len(self._head.columns):
                raise _damaged(self._path, "a row has another number of columns than its table")
            self._rows[self._head.table] += 1
        elif line.startswith(b'{"table"'):
            self._head = _head_decoder.decode(line)
            self._rows[self._head.table] = 0
        else:
            self._trailer = _trailer_decoder.decode(line)
            return
        self.digest.update(line)

    def end(self) -> dict[str, int]:
        """Return how many rows each table has."""
        if self._trailer is None:
            raise _damaged(self._path, "its end is missing")
        if self._trailer != _Trailer(self._rows, self.digest.hexdigest()):
            raise _damaged(self._path, "its checksum does not fit")
        return self._rows


def _header_of(path: Path, line: bytes) -> _Header:
    try:
        header = _header_decoder.decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        header = None
    if header is None or header.format != FORMAT:
        raise BackupError(f"{path} is no archive of 'penstock backup'")
    if header.version > VERSION:
        raise BackupError(f"{path} was written by a later version of Penstock: restore it with that one")
    return header


@contextmanager
def _damage_told(path: Path) -> Generator[None]:
    try:
        yield
    except gzip.BadGzipFile as error:
        if "Not a gzipped file" in str(error):
            raise BackupError(f"{path} is no archive of 'penstock backup'") from None
        raise _damaged(path, str(error)) from None
    except EOFError:
        raise _damaged(path, "its end is missing") from None
    except (zlib.error, msgspec.MsgspecError, UnicodeDecodeError, ValueError, KeyError) as error:
        raise _damaged(path, str(error)) from None


def _damaged(path: Path, what: str) -> BackupError:
    return BackupError(f"{path} is damaged ({what}): take another archive")


def _values(head: TableHead, row: Row) -> dict[str, Any]:
    return {name: _value(kind, value) for (name, kind), value in zip(head.columns, row, strict=True)}


def _value(kind: Kind, value: Any) -> Any:
    if value is None:
        return None
    if kind == "bytes":
        return b64decode(value, validate=True)
    if kind == "time":
        return datetime.fromisoformat(value)
    if kind == "day":
        return date.fromisoformat(value)
    return value
