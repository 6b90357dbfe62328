"""Teams, and who is in them."""

from __future__ import annotations

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    """Add nothing yet."""


def downgrade() -> None:
    """Drop nothing."""
