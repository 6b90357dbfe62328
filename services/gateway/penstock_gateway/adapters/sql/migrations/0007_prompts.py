"""Prompts, their versions and labels; and which version stood before a request.

Expands only: what an older gateway writes still fits, and names no prompt.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Create the tables, and the columns of the ledger."""
    op.create_table(
        "prompts",
        sa.Column("tenant", sa.String(128), primary_key=True),
        sa.Column("name", sa.String(128), primary_key=True),
        sa.Column("newest_version", sa.Integer, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("archived_at", sa.DateTime(timezone=True)),
    )
    op.create_table(
        "prompt_versions",
        sa.Column("tenant", sa.String(128), primary_key=True),
        sa.Column("name", sa.String(128), primary_key=True),
        sa.Column("version", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("template", sa.JSON, nullable=False),
        sa.Column("note", sa.String(256), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_by", sa.String(160), nullable=False),
    )
    op.create_table(
        "prompt_labels",
        sa.Column("tenant", sa.String(128), primary_key=True),
        sa.Column("name", sa.String(128), primary_key=True),
        sa.Column("label", sa.String(64), primary_key=True),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("earlier", sa.JSON, nullable=False),
    )
    op.add_column("ledger", sa.Column("prompt", sa.String(128), nullable=False, server_default=""))
    op.add_column("ledger", sa.Column("prompt_version", sa.Integer, nullable=False, server_default="0"))


def downgrade() -> None:
    """Drop what was added."""
    for column in ("prompt_version", "prompt"):
        op.drop_column("ledger", column)
    for table in ("prompt_labels", "prompt_versions", "prompts"):
        op.drop_table(table)
