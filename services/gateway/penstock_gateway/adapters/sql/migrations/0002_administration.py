"""Created tenants, users, the audit log, and what keys have to do with them.

Expands only: what an older gateway writes still fits, as every new column may be empty.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Create the tables, and the columns of keys."""
    _create_tenants()
    _create_users()
    _create_audit_log()
    op.add_column("api_keys", sa.Column("user_id", sa.String(32)))
    op.add_column("api_keys", sa.Column("networks", sa.JSON))
    op.add_column("api_keys", sa.Column("replaced_by", sa.String(32)))


def _create_tenants() -> None:
    op.create_table(
        "tenants",
        sa.Column("name", sa.String(128), primary_key=True),
        sa.Column("tier", sa.String(128), nullable=False),
        sa.Column("models", sa.JSON, nullable=False),
        sa.Column("regions", sa.JSON, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("disabled_at", sa.DateTime(timezone=True)),
    )


def _create_users() -> None:
    op.create_table(
        "users",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("tenant", sa.String(128), nullable=False),
        sa.Column("name", sa.String(256), nullable=False),
        sa.Column("role", sa.String(16), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("disabled_at", sa.DateTime(timezone=True)),
        sa.UniqueConstraint("tenant", "name", name="uq_users_tenant_name"),
    )


def _create_audit_log() -> None:
    op.create_table(
        "audit_log",
        # SQLite numbers rows by itself only where the type is this very word.
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=True),
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("actor_key_id", sa.String(160), nullable=False),
        sa.Column("actor_user_id", sa.String(32), nullable=False),
        sa.Column("actor_tenant", sa.String(128), nullable=False),
        sa.Column("action", sa.String(32), nullable=False),
        sa.Column("tenant", sa.String(256), nullable=False),
        sa.Column("target", sa.String(256), nullable=False),
        sa.Column("client_address", sa.String(64), nullable=False),
        sa.Column("request_id", sa.String(128), nullable=False),
        sa.Column("outcome", sa.String(32), nullable=False),
        sa.Column("details", sa.JSON, nullable=False),
    )
    op.create_index("ix_audit_log_tenant", "audit_log", ["tenant"])


def downgrade() -> None:
    """Drop what was added."""
    for column in ("replaced_by", "networks", "user_id"):
        op.drop_column("api_keys", column)
    for table in ("audit_log", "users", "tenants"):
        op.drop_table(table)
