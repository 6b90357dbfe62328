"""Which labelled documents a key may find.

Expands only: what an older gateway writes still fits, and finds none of them.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
_COLUMN = "labels"


def upgrade() -> None:
    """Add the column."""
    op.add_column("api_keys", sa.Column(_COLUMN, sa.JSON))


def downgrade() -> None:
    """Drop what was added."""
    op.drop_column("api_keys", _COLUMN)
