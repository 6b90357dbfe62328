"""Reviews' part of the database: its tables, and the branch of migrations that leads to them."""

from __future__ import annotations

from pathlib import Path

from penstock_common.sql.schema import Schema
from penstock_gateway.adapters.sql.reviews.tables import metadata

REVIEWS = Schema(
    branch="reviews",
    metadata=metadata,
    revisions=Path(__file__).with_name("migrations"),
    version_table="reviews_version",
)
