"""No index of tenants: nothing looks for a tenant's calls, and each call paid for it."""

from __future__ import annotations

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Drop the index."""
    op.drop_index("ix_idempotent_calls_tenant", "idempotent_calls")


def downgrade() -> None:
    """Create it again."""
    op.create_index("ix_idempotent_calls_tenant", "idempotent_calls", ["tenant"])
