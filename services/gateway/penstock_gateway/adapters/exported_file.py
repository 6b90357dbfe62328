"""A file of exported rows: there under its name once it is whole, and never over another."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


class ExportError(Exception):
    """Rows cannot be exported; the message is a sentence."""


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
