"""Reviews: items of the queue, and what they hold."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = ("reviews",)

_UNDECIDED = sa.text("state <> 'decided'")
_INDEXES = {
    "ix_review_items_due": (["tenant", "due_ms", "id"], _UNDECIDED),
    "ix_review_items_expires": (["expires_ms"], _UNDECIDED),
    "ix_review_items_tenant": (["tenant", "id"], None),
    "ix_review_items_decided": (["decided_ms"], None),
}


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "review_items",
        sa.Column("id", sa.String(40), primary_key=True),
        sa.Column("tenant", sa.String(128), nullable=False),
        sa.Column("key_id", sa.String(160), nullable=False),
        sa.Column("user", sa.String(256), nullable=False),
        sa.Column("user_id", sa.String(64), nullable=False),
        sa.Column("source", sa.String(16), nullable=False),
        sa.Column("surface", sa.String(16), nullable=False),
        sa.Column("rule", sa.String(128), nullable=False),
        sa.Column("rule_version", sa.String(64), nullable=False),
        sa.Column("public_model", sa.String(128), nullable=False),
        sa.Column("request_id", sa.String(128), nullable=False),
        sa.Column("generation_id", sa.String(64), nullable=False),
        sa.Column("kinds", sa.JSON, nullable=False),
        sa.Column("held", sa.Boolean, nullable=False),
        sa.Column("mark", sa.String(64), unique=True),
        sa.Column("times", sa.Integer, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("escalated", sa.Boolean, nullable=False),
        sa.Column("reviewer", sa.String(192), nullable=False),
        sa.Column("claim", sa.Integer, nullable=False),
        sa.Column("claimed_until_ms", sa.BigInteger),
        sa.Column("created_ms", sa.BigInteger, nullable=False),
        sa.Column("due_ms", sa.BigInteger, nullable=False),
        sa.Column("expires_ms", sa.BigInteger),
        sa.Column("decision", sa.String(16)),
        sa.Column("decided_ms", sa.BigInteger),
    )
    for name, (columns, where) in _INDEXES.items():
        op.create_index(name, "review_items", columns, sqlite_where=where, postgresql_where=where)
    op.create_table(
        "review_contents",
        sa.Column("item", sa.String(40), primary_key=True),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
    )


def downgrade() -> None:
    """Drop the tables."""
    op.drop_table("review_contents")
    op.drop_table("review_items")
