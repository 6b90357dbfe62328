"""Experiments: what part a request has in one, and what was done to them.

Expands only: what an older gateway writes still fits, and has no part in any.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
_TEXTS = {"experiment": 64, "variant": 64, "experiment_phase": 16, "experiment_unit": 16}
_INDEX = "ix_ledger_experiment"


def upgrade() -> None:
    """Add the columns, their index and the table."""
    for name, length in _TEXTS.items():
        op.add_column("ledger", sa.Column(name, sa.String(length), nullable=False, server_default=""))
    op.add_column("ledger", sa.Column("shadow", sa.Boolean, nullable=False, server_default=sa.false()))
    taking_part = sa.text("experiment <> ''")
    columns = ["experiment", "experiment_phase"]
    op.create_index(_INDEX, "ledger", columns, sqlite_where=taking_part, postgresql_where=taking_part)
    op.create_table(
        "experiments",
        sa.Column("name", sa.String(64), primary_key=True),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("promoted", sa.String(64), nullable=False),
        sa.Column("reason", sa.String(1024), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True)),
        sa.Column("shares", sa.JSON, nullable=False),
        sa.Column("looked_at", sa.DateTime(timezone=True)),
    )


def downgrade() -> None:
    """Drop what was added."""
    op.drop_table("experiments")
    op.drop_index(_INDEX, "ledger")
    op.drop_column("ledger", "shadow")
    for name in reversed(_TEXTS):
        op.drop_column("ledger", name)
