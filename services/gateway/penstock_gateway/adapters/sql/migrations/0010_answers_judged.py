"""What feedback must know of an answer: what it was taken for, and which of the cache's entries it was given from.

Expands only: what an older gateway writes still fits, and says neither.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
_COLUMNS = ("task", "cache_entry")


def upgrade() -> None:
    """Add the columns."""
    for name in _COLUMNS:
        op.add_column("ledger", sa.Column(name, sa.String(64), nullable=False, server_default=""))


def downgrade() -> None:
    """Drop what was added."""
    for name in reversed(_COLUMNS):
        op.drop_column("ledger", name)
