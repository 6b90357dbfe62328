"""Teams, who is in them, service accounts, tenants' time zones, and whose tokens are refused.

Expands only: what an older gateway writes still fits, as every new column may be empty.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
_COLUMNS = {
    "tenants": (("time_zone", 64),),
    "users": (("team", 128), ("kind", 16)),
    "api_keys": (("team", 128), ("kind", 16)),
}


def upgrade() -> None:
    """Create the tables, and the columns."""
    op.create_table(
        "teams",
        sa.Column("tenant", sa.String(128), primary_key=True),
        sa.Column("name", sa.String(128), primary_key=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("archived_at", sa.DateTime(timezone=True)),
    )
    op.create_table(
        "revoked_subjects",
        sa.Column("tenant", sa.String(128), primary_key=True),
        sa.Column("issuer", sa.String(256), primary_key=True),
        sa.Column("subject", sa.String(256), primary_key=True),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=False),
    )
    for table, columns in _COLUMNS.items():
        for name, length in columns:
            op.add_column(table, sa.Column(name, sa.String(length)))


def downgrade() -> None:
    """Drop what was added."""
    for table, columns in _COLUMNS.items():
        for name, _ in columns:
            op.drop_column(table, name)
    for table in ("revoked_subjects", "teams"):
        op.drop_table(table)
