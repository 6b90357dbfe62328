"""What a hit has saved: what its answer cost when it was made.

Expands only: what an older gateway writes still fits, and has saved nothing.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
_COLUMNS = ("saved_tokens", "saved_nano_usd")


def upgrade() -> None:
    """Add the columns."""
    for name in _COLUMNS:
        op.add_column("ledger", sa.Column(name, sa.BigInteger, nullable=False, server_default="0"))


def downgrade() -> None:
    """Drop what was added."""
    for name in reversed(_COLUMNS):
        op.drop_column("ledger", name)
