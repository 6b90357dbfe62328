"""Whose a job is: what rotation keeps of the key that submitted it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add the column."""
    op.add_column("jobs", sa.Column("owner", sa.String(64), nullable=False, server_default=""))
    op.execute("UPDATE jobs SET owner = key_id")


def downgrade() -> None:
    """Drop the column."""
    op.drop_column("jobs", "owner")
