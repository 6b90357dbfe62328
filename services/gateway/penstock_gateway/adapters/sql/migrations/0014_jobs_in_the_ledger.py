"""Of which job a ledger row is, and which of its attempts.

Expands only: what an older gateway writes still fits, as each new column has a default. Both are fixed as all that a
row says is.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
_TRIGGER = "ledger_job_is_append_only"
_APPEND_ONLY = "the ledger is append-only: correct a row by an entry of its own"


def upgrade() -> None:
    """Add the columns, what finds a job's rows, and what keeps both as they are."""
    op.add_column("ledger", sa.Column("job", sa.String(40), nullable=False, server_default=""))
    op.add_column("ledger", sa.Column("attempt", sa.Integer, nullable=False, server_default="0"))
    of_jobs = sa.text("job <> ''")
    op.create_index("ix_ledger_job", "ledger", ["job"], sqlite_where=of_jobs, postgresql_where=of_jobs)
    trigger = f"CREATE TRIGGER {_TRIGGER} BEFORE UPDATE OF job, attempt ON ledger"
    if _is_postgresql():
        op.execute(f"{trigger} FOR EACH ROW EXECUTE FUNCTION refuse_to_change_the_ledger()")
    else:
        op.execute(f"{trigger} BEGIN SELECT RAISE(ABORT, '{_APPEND_ONLY}'); END")


def downgrade() -> None:
    """Drop what was added."""
    op.execute(f"DROP TRIGGER {_TRIGGER} ON ledger" if _is_postgresql() else f"DROP TRIGGER {_TRIGGER}")
    op.drop_index("ix_ledger_job", "ledger")
    for name in ("attempt", "job"):
        op.drop_column("ledger", name)


def _is_postgresql() -> bool:
    return op.get_bind().dialect.name == "postgresql"
