"""What the ledger's rows say besides."""

from __future__ import annotations

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    """Add nothing yet."""


def downgrade() -> None:
    """Drop nothing."""
