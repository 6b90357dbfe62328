"""Files, where they are attached, and batches of them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = ("files",)


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "files",
        sa.Column("tenant", sa.String(128), nullable=False),
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("filename", sa.String(512), nullable=False),
        sa.Column("purpose", sa.String(64), nullable=False),
        sa.Column("bytes", sa.BigInteger, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("deleting", sa.Boolean, nullable=False),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("tenant", "id", name="pk_files"),
    )
    op.create_table(
        "file_uses",
        sa.Column("tenant", sa.String(128), nullable=False),
        sa.Column("file", sa.String(64), nullable=False),
        sa.Column("base", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "file", "base", name="pk_file_uses"),
    )
    op.create_table(
        "file_batches",
        sa.Column("tenant", sa.String(128), nullable=False),
        sa.Column("base", sa.String(64), nullable=False),
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("cancelled", sa.Boolean, nullable=False),
        sa.Column("documents", sa.JSON, nullable=False),
        sa.PrimaryKeyConstraint("tenant", "base", "id", name="pk_file_batches"),
    )
    op.create_index("ix_file_batches_created_at", "file_batches", ["created_at"])


def downgrade() -> None:
    """Drop the tables."""
    for name in ("file_batches", "file_uses", "files"):
        op.drop_table(name)
