"""Calls that were made under a key."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = ("idempotency",)


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "idempotent_calls",
        sa.Column("mark", sa.String(64), primary_key=True),
        sa.Column("tenant", sa.String(64), nullable=False),
        sa.Column("fingerprint", sa.String(64), nullable=False),
        sa.Column("owner", sa.String(32), nullable=False),
        sa.Column("request_id", sa.String(128), nullable=False),
        sa.Column("until_ms", sa.BigInteger, nullable=False),
        sa.Column("sealed", sa.LargeBinary),
    )
    op.create_index("ix_idempotent_calls_until", "idempotent_calls", ["until_ms"])
    op.create_index("ix_idempotent_calls_tenant", "idempotent_calls", ["tenant"])


def downgrade() -> None:
    """Drop the table."""
    op.drop_table("idempotent_calls")
