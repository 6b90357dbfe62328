"""What people make of answers."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = ("feedback",)

_INDEXES = {
    "ix_feedback_answer": ["tenant", "generation_id", "author", "id"],
    "ix_feedback_key": ["key_id", "created_at"],
    "ix_feedback_tenant": ["tenant", "id"],
    "ix_feedback_day": ["day"],
    "ix_feedback_disputed_entry": ["disputed_entry"],
    "ix_feedback_created_at": ["created_at"],
}


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "feedback",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=True),
        sa.Column("tenant", sa.String(128), nullable=False),
        sa.Column("generation_id", sa.String(64), nullable=False),
        sa.Column("public_model", sa.String(128), nullable=False),
        sa.Column("upstream", sa.String(128), nullable=False),
        sa.Column("model", sa.String(256), nullable=False),
        sa.Column("task", sa.String(64), nullable=False),
        sa.Column("prompt", sa.String(160), nullable=False),
        sa.Column("cache_entry", sa.String(64), nullable=False),
        sa.Column("was_cached", sa.Boolean, nullable=False),
        sa.Column("author", sa.String(272), nullable=False),
        sa.Column("key_id", sa.String(160), nullable=False),
        sa.Column("user", sa.String(256), nullable=False),
        sa.Column("thumb", sa.String(4), nullable=False),
        sa.Column("score", sa.Float),
        sa.Column("value", sa.Float),
        sa.Column("correction", sa.Text, nullable=False),
        sa.Column("reason", sa.String(16), nullable=False),
        sa.Column("comment", sa.Text, nullable=False),
        sa.Column("tags", sa.JSON, nullable=False),
        sa.Column("idempotency_key", sa.String(128)),
        sa.Column("said", sa.String(64), nullable=False),
        sa.Column("disputed_entry", sa.String(64), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("day", sa.Date, nullable=False),
        sa.UniqueConstraint("tenant", "key_id", "idempotency_key", name="uq_feedback_idempotency"),
    )
    for name, columns in _INDEXES.items():
        op.create_index(name, "feedback", columns)


def downgrade() -> None:
    """Drop the table."""
    op.drop_table("feedback")
