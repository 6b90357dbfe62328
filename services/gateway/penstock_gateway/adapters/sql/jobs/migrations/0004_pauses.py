"""Pauses: whose jobs, or those for what, do not begin."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "job_pauses",
        sa.Column("tenant", sa.String(64), primary_key=True),
        sa.Column("target", sa.String(256), primary_key=True),
        sa.Column("reason", sa.String(200), nullable=False),
        sa.Column("since_ms", sa.BigInteger, nullable=False),
    )


def downgrade() -> None:
    """Drop it."""
    op.drop_table("job_pauses")
