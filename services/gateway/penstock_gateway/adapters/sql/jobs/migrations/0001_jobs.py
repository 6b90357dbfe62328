"""Jobs: the queue, what they ask, what came of them, and what happened to them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = ("jobs",)

_QUEUED, _RUNNING = sa.text("state = 'queued'"), sa.text("state = 'running'")


def upgrade() -> None:
    """Create the tables."""
    _create_jobs()
    _create_the_others()
    _create_indexes()


def _create_jobs() -> None:
    op.create_table(
        "jobs",
        sa.Column("id", sa.String(40), primary_key=True),
        sa.Column("tenant", sa.String(64), nullable=False),
        sa.Column("key_id", sa.String(64), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("target", sa.String(256), nullable=False),
        sa.Column("priority", sa.SmallInteger, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("surface", sa.String(32), nullable=False),
        sa.Column("request_id", sa.String(128), nullable=False),
        sa.Column("created_ms", sa.BigInteger, nullable=False),
        sa.Column("due_ms", sa.BigInteger, nullable=False),
        sa.Column("deadline_ms", sa.BigInteger, nullable=False),
        sa.Column("max_attempts", sa.SmallInteger, nullable=False),
        sa.Column("result_ttl_ms", sa.BigInteger, nullable=False),
        sa.Column("attempts", sa.SmallInteger, nullable=False),
        sa.Column("epoch", sa.Integer, nullable=False),
        sa.Column("worker", sa.String(64), nullable=False),
        sa.Column("leased_until_ms", sa.BigInteger),
        sa.Column("started_ms", sa.BigInteger),
        sa.Column("ended_ms", sa.BigInteger),
        sa.Column("result_expires_ms", sa.BigInteger),
        sa.Column("cancels", sa.Boolean, nullable=False),
        sa.Column("error_reason", sa.String(64)),
        sa.Column("error_message", sa.String(1024)),
        sa.Column("done", sa.BigInteger, nullable=False),
        sa.Column("total", sa.BigInteger, nullable=False),
        sa.Column("last_event", sa.Integer, nullable=False),
        sa.Column("traceparent", sa.String(64), nullable=False),
        sa.Column("webhook", sa.String(132), nullable=False),
        sa.Column("metadata", sa.JSON, nullable=False),
        sa.Column("batch", sa.String(40), nullable=False),
        sa.Column("line", sa.Integer, nullable=False),
        sa.Column("unlisted", sa.Boolean, nullable=False),
        sa.Column("idempotency", sa.String(64), unique=True),
        sa.Column("fingerprint", sa.String(64), nullable=False),
    )


def _create_the_others() -> None:
    op.create_table(
        "job_lanes",
        sa.Column("tenant", sa.String(64), primary_key=True),
        sa.Column("priority", sa.SmallInteger, primary_key=True),
        sa.Column("target", sa.String(256), primary_key=True),
        sa.Column("served_ms", sa.BigInteger),
    )
    op.create_table(
        "job_contents",
        sa.Column("job", sa.String(40), primary_key=True),
        sa.Column("part", sa.String(8), primary_key=True),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "job_events",
        sa.Column("job", sa.String(40), primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("at_ms", sa.BigInteger, nullable=False),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
    )


def _create_indexes() -> None:
    op.create_index(
        "ix_jobs_queued",
        "jobs",
        ["tenant", "priority", "target", "due_ms", "id"],
        sqlite_where=_QUEUED,
        postgresql_where=_QUEUED,
    )
    op.create_index("ix_jobs_deadline", "jobs", ["deadline_ms"], sqlite_where=_QUEUED, postgresql_where=_QUEUED)
    op.create_index("ix_jobs_running", "jobs", ["leased_until_ms"], sqlite_where=_RUNNING, postgresql_where=_RUNNING)
    op.create_index("ix_jobs_tenant", "jobs", ["tenant", "id"])
    op.create_index("ix_jobs_batch", "jobs", ["batch", "line"])
    op.create_index("ix_jobs_ended", "jobs", ["ended_ms"])
    op.create_index("ix_jobs_result_expires", "jobs", ["result_expires_ms"])


def downgrade() -> None:
    """Drop the tables."""
    for name in ("job_events", "job_contents", "job_lanes", "jobs"):
        op.drop_table(name)
