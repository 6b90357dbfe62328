"""The database of documents, for the command line: its schema, and copies of it."""

from __future__ import annotations

import asyncio
from pathlib import Path

from penstock_common.sql.address import DatabaseAddress
from penstock_common.sql.archive import BackupError
from penstock_common.sql.schema import upgrade_database
from penstock_common.sql.sqlite_copy import copy_sqlite
from penstock_embedding.adapters.sql.files.schema import FILES
from penstock_embedding.adapters.sql.schema import KNOWLEDGE
from penstock_embedding.app.knowledge_places import database_url
from penstock_embedding.settings import StorageSettings


async def upgrade_schema(settings: StorageSettings) -> None:
    """Bring the tables of documents to the newest version; a file that nobody has used is not made.

    Raises:
        OSError: if the database is away or refuses.
    """
    url = database_url(settings)
    if not url:
        return
    file = DatabaseAddress.parse(url).file
    if file is None or file.is_file():
        await upgrade_database(url, KNOWLEDGE, FILES)


async def back_up(settings: StorageSettings, path: Path) -> None:
    """Write documents, their texts and indexes, as they are at one moment, to ``path``; what uses them goes on.

    Raises:
        BackupError: if there is nothing to copy, or it is not in a file.
    """
    url = database_url(settings)
    file = DatabaseAddress.parse(url).file if url else None
    if file is None:
        where = "lie in PostgreSQL: back that database up with its own tools" if url else "are not kept here"
        raise BackupError(f"documents {where}")
    await asyncio.to_thread(copy_sqlite, file, path)
