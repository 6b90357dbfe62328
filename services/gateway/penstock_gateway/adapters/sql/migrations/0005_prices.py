"""Prices of what is written to prompt caches, and costs that nobody knows.

Expands only: what an older gateway writes still fits, and is known, with nothing kept for an hour.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

_COUNTS = ("cache_write_1h_input_tokens", "cache_write_price_nano_usd", "cache_write_1h_price_nano_usd")


def upgrade() -> None:
    """Add the columns."""
    op.add_column("ledger", sa.Column("cost_unknown", sa.Boolean, nullable=False, server_default=sa.false()))
    for name in _COUNTS:
        op.add_column("ledger", sa.Column(name, sa.BigInteger, nullable=False, server_default="0"))


def downgrade() -> None:
    """Drop what was added."""
    for name in reversed(_COUNTS):
        op.drop_column("ledger", name)
    op.drop_column("ledger", "cost_unknown")
