"""Lines of batches that providers are handed, and the parts in which they are."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


_COUNTS = ("handed_lines", "provider_lines")


def upgrade() -> None:
    """Create the tables, and add what batches tell of them."""
    for name in _COUNTS:
        op.add_column("batches", sa.Column(name, sa.Integer, nullable=False, server_default="0"))
    op.create_table(
        "batch_handed_lines",
        sa.Column("job", sa.String(40), primary_key=True),
        sa.Column("batch", sa.String(64), nullable=False),
        sa.Column("tenant", sa.String(64), nullable=False),
        sa.Column("state", sa.String(8), nullable=False),
        sa.Column("part", sa.String(64), nullable=False),
        sa.Column("upstream", sa.String(128), nullable=False),
        sa.Column("model", sa.String(256), nullable=False),
        sa.Column("unsupported", sa.String(16), nullable=False),
        sa.Column("asked_bytes", sa.Integer, nullable=False),
        sa.Column("parked_ms", sa.BigInteger, nullable=False),
        sa.Column("asked", sa.LargeBinary),
        sa.Column("status", sa.Integer, nullable=False),
        sa.Column("answer", sa.LargeBinary),
    )
    op.create_index("ix_batch_handed_lines_batch", "batch_handed_lines", ["batch", "state"])
    op.create_index("ix_batch_handed_lines_part", "batch_handed_lines", ["part"])
    op.create_table(
        "batch_parts",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("batch", sa.String(64), nullable=False),
        sa.Column("upstream", sa.String(128), nullable=False),
        sa.Column("model", sa.String(256), nullable=False),
        sa.Column("unsupported", sa.String(16), nullable=False),
        sa.Column("is_open", sa.Boolean, nullable=False),
        sa.Column("upstream_id", sa.String(256), nullable=False),
        sa.Column("prepared_ms", sa.BigInteger, nullable=False),
        sa.Column("next_ms", sa.BigInteger, nullable=False),
        sa.Column("tries", sa.Integer, nullable=False),
        sa.Column("looks", sa.Integer, nullable=False),
        sa.Column("is_cancelled", sa.Boolean, nullable=False),
    )
    op.create_index("ix_batch_parts_batch", "batch_parts", ["batch"])


def downgrade() -> None:
    """Drop the tables and the columns."""
    op.drop_table("batch_parts")
    op.drop_table("batch_handed_lines")
    for name in _COUNTS:
        op.drop_column("batches", name)
