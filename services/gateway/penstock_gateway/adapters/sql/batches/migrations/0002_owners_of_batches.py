"""Whose a batch is: what rotation keeps of the key that began it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column."""
    op.add_column("batches", sa.Column("owner", sa.String(64), nullable=False, server_default=""))
    op.execute("UPDATE batches SET owner = key_id")


def downgrade() -> None:
    """Drop the column."""
    op.drop_column("batches", "owner")
