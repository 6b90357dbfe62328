"""Idempotency's part of the database: its table, and the branch of migrations that leads to it."""

from __future__ import annotations

from pathlib import Path

from penstock_common.sql.schema import Schema
from penstock_gateway.adapters.sql.idempotency.tables import metadata

IDEMPOTENCY = Schema(
    branch="idempotency",
    metadata=metadata,
    revisions=Path(__file__).with_name("migrations"),
    version_table="idempotency_version",
)
