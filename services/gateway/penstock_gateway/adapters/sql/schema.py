"""The gateway's part of the database: its tables, and the branch of migrations that leads to them."""

from __future__ import annotations

from pathlib import Path

from penstock_common.sql.schema import Schema
from penstock_gateway.adapters.sql.batches.schema import BATCHES
from penstock_gateway.adapters.sql.budgets.schema import BUDGETS
from penstock_gateway.adapters.sql.feedback.schema import FEEDBACK
from penstock_gateway.adapters.sql.idempotency.schema import IDEMPOTENCY
from penstock_gateway.adapters.sql.jobs.schema import JOBS
from penstock_gateway.adapters.sql.reviews.schema import REVIEWS
from penstock_gateway.adapters.sql.tables import metadata
from penstock_gateway.adapters.sql.webhooks.schema import WEBHOOKS

GATEWAY = Schema(
    branch="gateway",
    metadata=metadata,
    revisions=Path(__file__).with_name("migrations"),
    # Alembic's own name: databases had this schema before there were others.
    version_table="alembic_version",
)
SCHEMAS = (GATEWAY, FEEDBACK, BUDGETS, WEBHOOKS, JOBS, BATCHES, IDEMPOTENCY, REVIEWS)
"""All that a gateway keeps."""
