"""Batches, and the files that they read and write."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = ("batches",)

_OPEN = sa.text("is_open")
_MOMENTS = ("in_progress", "finalizing", "completed", "failed", "expired", "cancelling", "cancelled")


def upgrade() -> None:
    """Create the tables."""
    _create_files()
    _create_batches()
    _create_indexes()


def _create_files() -> None:
    op.create_table(
        "batch_files",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("tenant", sa.String(64), nullable=False),
        sa.Column("key_id", sa.String(64), nullable=False),
        sa.Column("purpose", sa.String(16), nullable=False),
        sa.Column("filename", sa.String(256), nullable=False),
        sa.Column("bytes", sa.BigInteger, nullable=False),
        sa.Column("created_ms", sa.BigInteger, nullable=False),
        sa.Column("expires_ms", sa.BigInteger),
        sa.Column("state", sa.String(8), nullable=False),
        sa.Column("batch", sa.String(64), nullable=False),
    )
    op.create_table(
        "batch_file_pieces",
        sa.Column("file", sa.String(64), primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
    )


def _create_batches() -> None:
    op.create_table(
        "batches",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("tenant", sa.String(64), nullable=False),
        sa.Column("key_id", sa.String(64), nullable=False),
        sa.Column("job", sa.String(40), nullable=False),
        sa.Column("endpoint", sa.String(64), nullable=False),
        sa.Column("input_file", sa.String(64), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("is_open", sa.Boolean, nullable=False),
        sa.Column("created_ms", sa.BigInteger, nullable=False),
        sa.Column("expires_ms", sa.BigInteger, nullable=False),
        sa.Column("output_ttl_ms", sa.BigInteger),
        sa.Column("model", sa.String(256), nullable=False),
        sa.Column("metadata", sa.JSON, nullable=False),
        sa.Column("request_id", sa.String(128), nullable=False),
        sa.Column("errors", sa.LargeBinary),
        sa.Column("output_file", sa.String(64), nullable=False),
        sa.Column("error_file", sa.String(64), nullable=False),
        *(sa.Column(f"{name}_ms", sa.BigInteger) for name in _MOMENTS),
        sa.Column("total", sa.Integer, nullable=False),
        sa.Column("completed", sa.Integer, nullable=False),
        sa.Column("failed", sa.Integer, nullable=False),
        sa.Column("input_tokens", sa.BigInteger, nullable=False),
        sa.Column("cached_tokens", sa.BigInteger, nullable=False),
        sa.Column("output_tokens", sa.BigInteger, nullable=False),
        sa.Column("reasoning_tokens", sa.BigInteger, nullable=False),
        sa.Column("submitted", sa.Integer, nullable=False),
        sa.Column("read_to", sa.BigInteger, nullable=False),
        sa.Column("read_lines", sa.Integer, nullable=False),
        sa.Column("refused", sa.Integer, nullable=False),
        sa.Column("epoch", sa.Integer, nullable=False),
        sa.Column("halted_reason", sa.String(64)),
        sa.Column("halted_message", sa.String(1024)),
    )


def _create_indexes() -> None:
    op.create_index("ix_batch_files_tenant", "batch_files", ["tenant", "id"])
    op.create_index("ix_batch_files_batch", "batch_files", ["batch"])
    op.create_index("ix_batch_files_state", "batch_files", ["state", "created_ms"])
    op.create_index("ix_batch_files_expires", "batch_files", ["expires_ms"])
    op.create_index("ix_batches_tenant", "batches", ["tenant", "id"])
    op.create_index("ix_batches_open", "batches", ["tenant"], sqlite_where=_OPEN, postgresql_where=_OPEN)
    op.create_index("ix_batches_input", "batches", ["input_file"], sqlite_where=_OPEN, postgresql_where=_OPEN)


def downgrade() -> None:
    """Drop the tables."""
    for name in ("batches", "batch_file_pieces", "batch_files"):
        op.drop_table(name)
