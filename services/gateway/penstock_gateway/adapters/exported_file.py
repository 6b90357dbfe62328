"""A file of exported rows, a JSON object a line: there under its name once it is whole, and never over another."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

import msgspec


class ExportError(Exception):
    """Rows cannot be exported; the message is a sentence."""


def line_of(row: Mapping[Any, Any]) -> bytes:
    """Return a row as a line: times in RFC 3339 and UTC, money and tokens as whole numbers."""
    return msgspec.json.encode({name: _portable(value) for name, value in row.items()}) + b"\n"


def _portable(value: Any) -> Any:
    if isinstance(value, datetime):
        # SQLite keeps no time zone; everything is written in UTC.
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    return value


@contextmanager
def new_export(path: Path) -> Generator[BinaryIO]:
    """Yield a stream that becomes the file at ``path``, readable by its owner alone, once the block ends well.

    Raises:
        ExportError: if there is a file of this name, or it cannot be written.
    """
    if path.exists():
        raise _taken(path)
    try:
        descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    except OSError as error:
        raise ExportError(f"{path.parent}: {error.strerror}: name another place") from None
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        _publish(Path(name), path)
    finally:
        Path(name).unlink(missing_ok=True)


def _publish(written: Path, path: Path) -> None:
    try:
        # Not renamed: what was there may be all that is left of rows that are cut.
        os.link(written, path)
        descriptor = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except FileExistsError:
        raise _taken(path) from None
    except OSError as error:
        raise ExportError(f"{path}: {error.strerror}: name another place") from None


def _taken(path: Path) -> ExportError:
    return ExportError(f"{path} is there already, and may hold rows that are nowhere else: name another file")


def keys_in(path: Path, name: str, size: int) -> Iterator[list[Any]]:
    """Yield what the lines of a file have under a name, ``size`` at a time."""
    keys: list[Any] = []
    with path.open("rb") as file:
        for line in file:
            keys.append(msgspec.json.decode(line)[name])
            if len(keys) == size:
                yield keys
                keys = []
    if keys:
        yield keys
