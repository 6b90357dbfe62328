"""Files' part of the database: its tables, and the branch of migrations that leads to them."""

from __future__ import annotations

from pathlib import Path

from penstock_common.sql.schema import Schema
from penstock_embedding.adapters.sql.files.tables import metadata

FILES = Schema(
    branch="files",
    metadata=metadata,
    revisions=Path(__file__).with_name("migrations"),
    version_table="files_version",
)
