"""Feedback's part of the database: its table, and the branch of migrations that leads to it."""

from __future__ import annotations

from pathlib import Path

from penstock_common.sql.schema import Schema
from penstock_gateway.adapters.sql.feedback.tables import metadata

FEEDBACK = Schema(
    branch="feedback",
    metadata=metadata,
    revisions=Path(__file__).with_name("migrations"),
    version_table="feedback_version",
)
