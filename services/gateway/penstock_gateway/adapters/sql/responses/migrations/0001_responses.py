"""Kept answers."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = ("responses",)


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "responses",
        sa.Column("id", sa.String(128), primary_key=True),
        sa.Column("tenant", sa.String(128), nullable=False),
        sa.Column("owner", sa.String(64), nullable=False),
        sa.Column("previous", sa.String(128), nullable=False),
        sa.Column("depth", sa.Integer, nullable=False),
        sa.Column("chain_bytes", sa.BigInteger, nullable=False),
        sa.Column("created_ms", sa.BigInteger, nullable=False),
        sa.Column("expires_ms", sa.BigInteger, nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("job", sa.String(64), nullable=False),
        sa.Column("streams", sa.Boolean, nullable=False),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
    )
    op.create_index("ix_responses_expires", "responses", ["expires_ms"])
    op.create_index("ix_responses_tenant", "responses", ["tenant"])
    op.create_index("ix_responses_previous", "responses", ["previous"])
    op.create_index("ix_responses_job", "responses", ["job"])
    op.create_index("ix_responses_status", "responses", ["status", "id"])


def downgrade() -> None:
    """Drop the table."""
    op.drop_table("responses")
