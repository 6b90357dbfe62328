"""A copy of an SQLite database as it is at one moment, for databases whose rows are too large for an archive."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from penstock_common.sql.archive import BackupError, new_file


def copy_sqlite(file: Path, to: Path) -> None:
    """Write what is in ``file`` to a database at ``to``, which its owner alone reads; whoever uses ``file`` goes on. Blocks.

    Raises:
        BackupError: if it cannot be copied; what was at ``to`` stays.
    """
    if not file.is_file():
        raise BackupError(f"there is no database at {file}")
    with new_file(to) as unfinished:
        try:
            with closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True)) as database:
                # In WAL mode a reader sees the moment of its first read, and writers go on (sqlite.org/lang_vacuum.html).
                database.execute("VACUUM INTO ?", [str(unfinished)])
        except sqlite3.Error as error:
            raise BackupError(f"{file} cannot be copied: {error}") from error
