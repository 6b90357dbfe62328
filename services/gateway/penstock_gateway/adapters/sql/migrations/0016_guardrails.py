"""What guardrails have said of a request.

Expands only: what an older gateway writes still fits, and no rule has said a thing. It is fixed as all that a row says is.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
_TRIGGER = "ledger_guardrails_is_append_only"
_APPEND_ONLY = "the ledger is append-only: correct a row by an entry of its own"


def upgrade() -> None:
    """Add the column, and what keeps it as it is."""
    op.add_column("ledger", sa.Column("guardrails", sa.Text, nullable=False, server_default=""))
    trigger = f"CREATE TRIGGER {_TRIGGER} BEFORE UPDATE OF guardrails ON ledger"
    if _is_postgresql():
        op.execute(f"{trigger} FOR EACH ROW EXECUTE FUNCTION refuse_to_change_the_ledger()")
    else:
        op.execute(f"{trigger} BEGIN SELECT RAISE(ABORT, '{_APPEND_ONLY}'); END")


def downgrade() -> None:
    """Drop what was added."""
    op.execute(f"DROP TRIGGER {_TRIGGER} ON ledger" if _is_postgresql() else f"DROP TRIGGER {_TRIGGER}")
    op.drop_column("ledger", "guardrails")


def _is_postgresql() -> bool:
    return op.get_bind().dialect.name == "postgresql"
