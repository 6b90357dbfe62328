"""How the words of an index were made.

Expands only: what an older service writes still fits, and was made in the first way.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add the column."""
    op.add_column("knowledge_indexes", sa.Column("analysis", sa.Integer, nullable=False, server_default="1"))


def downgrade() -> None:
    """Drop what was added."""
    op.drop_column("knowledge_indexes", "analysis")
