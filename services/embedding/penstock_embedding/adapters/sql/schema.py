"""Documents' part of the database: their tables, and the branch of migrations that leads to them."""

from __future__ import annotations

from pathlib import Path

from penstock_common.sql.schema import Schema
from penstock_embedding.adapters.sql.tables import metadata

KNOWLEDGE = Schema(
    branch="knowledge",
    metadata=metadata,
    revisions=Path(__file__).with_name("migrations"),
    version_table="knowledge_version",
)
