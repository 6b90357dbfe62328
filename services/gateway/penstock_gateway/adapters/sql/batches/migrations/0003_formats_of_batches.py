"""The format that a batch was begun in, and why lines were not executed, which one of them tells in numbers."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_COUNTS = ("cancelled_lines", "lapsed_lines")


def upgrade() -> None:
    """Add the columns."""
    op.add_column("batches", sa.Column("surface", sa.String(16), nullable=False, server_default="openai"))
    for name in _COUNTS:
        op.add_column("batches", sa.Column(name, sa.Integer, nullable=False, server_default="0"))


def downgrade() -> None:
    """Drop the columns."""
    for name in ("surface", *_COUNTS):
        op.drop_column("batches", name)
