"""By how many tokens a request's context was made shorter.

Expands only: what an older gateway writes still fits, and was not compressed.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
_COLUMN = "compressed_tokens"


def upgrade() -> None:
    """Add the column."""
    op.add_column("ledger", sa.Column(_COLUMN, sa.BigInteger, nullable=False, server_default="0"))


def downgrade() -> None:
    """Drop what was added."""
    op.drop_column("ledger", _COLUMN)
