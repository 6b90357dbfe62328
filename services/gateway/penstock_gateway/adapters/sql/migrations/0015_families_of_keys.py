"""Which key a rotated one began as, for those that were rotated before, too.

Expands only: what an older gateway writes still fits, as the new column may be empty.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
_KEYS = sa.table(
    "api_keys", sa.column("id", sa.String), sa.column("replaced_by", sa.String), sa.column("first_id", sa.String)
)


def upgrade() -> None:
    """Create the column, and fill it in."""
    op.add_column("api_keys", sa.Column("first_id", sa.String(32)))
    op.create_index("ix_api_keys_first_id", "api_keys", ["first_id"])
    rotated = sa.select(_KEYS.c.replaced_by, _KEYS.c.id).where(_KEYS.c.replaced_by.is_not(None))
    before = {row.replaced_by: row.id for row in op.get_bind().execute(rotated)}
    for key in before:
        op.execute(sa.update(_KEYS).where(_KEYS.c.id == key).values(first_id=_first(before, key)))


def _first(before: dict[str, str], key: str) -> str:
    """Return what a key began as; keys that replace one another in a ring, which no Penstock makes, end at any of them."""
    seen: set[str] = set()
    while key in before and key not in seen:
        seen.add(key)
        key = before[key]
    return key


def downgrade() -> None:
    """Drop what was added."""
    op.drop_index("ix_api_keys_first_id", "api_keys")
    op.drop_column("api_keys", "first_id")
