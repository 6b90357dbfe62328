"""What stood in for a model's own answer.

Expands only: what an older gateway writes still fits, and counts as the model's own.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Add the column."""
    op.add_column("ledger", sa.Column("degraded", sa.String(16), nullable=False, server_default=""))


def downgrade() -> None:
    """Drop what was added."""
    op.drop_column("ledger", "degraded")
