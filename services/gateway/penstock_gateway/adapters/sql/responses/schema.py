"""The kept answers' part of the database: their table, and the branch of migrations that leads to it."""

from __future__ import annotations

from pathlib import Path

from penstock_common.sql.schema import Schema
from penstock_gateway.adapters.sql.responses.tables import metadata

RESPONSES = Schema(
    branch="responses",
    metadata=metadata,
    revisions=Path(__file__).with_name("migrations"),
    version_table="responses_version",
)
