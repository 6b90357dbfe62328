"""What may be cut: which rows were exported, and the audit log by its time.

Expands only: what an older gateway writes still fits, and counts as not exported.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

_TABLES = ("ledger", "audit_log")


def upgrade() -> None:
    """Add the columns and the index."""
    for table in _TABLES:
        op.add_column(table, sa.Column("exported_at", sa.DateTime(timezone=True)))
    op.create_index("ix_audit_log_occurred_at", "audit_log", ["occurred_at"])


def downgrade() -> None:
    """Drop what was added."""
    op.drop_index("ix_audit_log_occurred_at", "audit_log")
    for table in _TABLES:
        op.drop_column(table, "exported_at")
