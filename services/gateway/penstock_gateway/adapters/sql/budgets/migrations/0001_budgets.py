"""Budgets, what they were granted, and which alerts were told."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = ("budgets",)


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "budgets",
        sa.Column("tenant", sa.String(128), primary_key=True),
        sa.Column("name", sa.String(64), primary_key=True),
        sa.Column("scope_kind", sa.String(16), nullable=False),
        sa.Column("scope_name", sa.String(256), nullable=False),
        sa.Column("amount_nano_usd", sa.BigInteger, nullable=False),
        sa.Column("period", sa.String(16), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("percents", sa.JSON, nullable=False),
        sa.Column("projected", sa.Boolean, nullable=False),
        sa.Column("webhook", sa.String(64), nullable=False),
        sa.Column("is_operators", sa.Boolean, nullable=False),
        sa.Column("made_by", sa.String(160), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_table(
        "budget_graces",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=True),
        sa.Column("tenant", sa.String(128), nullable=False),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("amount_nano_usd", sa.BigInteger, nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("reason", sa.String(256), nullable=False),
        sa.Column("granted_by", sa.String(160), nullable=False),
        sa.Column("granted_at", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_index("ix_budget_graces_budget", "budget_graces", ["tenant", "name"])
    op.create_index("ix_budget_graces_until", "budget_graces", ["until"])
    _create_alerts()


def _create_alerts() -> None:
    op.create_table(
        "budget_alerts",
        sa.Column("budget_id", sa.String(32), primary_key=True),
        sa.Column("period_start", sa.DateTime(timezone=True), primary_key=True),
        sa.Column("threshold", sa.String(16), primary_key=True),
        sa.Column("limit_nano_usd", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "budget_looks",
        sa.Column("name", sa.String(16), primary_key=True),
        sa.Column("looked_at", sa.DateTime(timezone=True)),
    )


def downgrade() -> None:
    """Drop the tables."""
    for table in ("budget_looks", "budget_alerts", "budget_graces", "budgets"):
        op.drop_table(table)
