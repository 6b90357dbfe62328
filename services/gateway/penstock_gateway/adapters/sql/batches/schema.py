"""Batches' part of the database: its tables, and the branch of migrations that leads to them."""

from __future__ import annotations

from pathlib import Path

from penstock_common.sql.schema import Schema
from penstock_gateway.adapters.sql.batches.tables import metadata

BATCHES = Schema(
    branch="batches",
    metadata=metadata,
    revisions=Path(__file__).with_name("migrations"),
    version_table="batches_version",
)
