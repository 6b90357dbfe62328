"""The tables of jobs, as their own migrations leave them. Moments are milliseconds since 1970."""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    String,
    Table,
)
from sqlalchemy import text as sql_text

metadata = MetaData()

_QUEUED, _RUNNING = sql_text("state = 'queued'"), sql_text("state = 'running'")

jobs = Table(
    "jobs",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("tenant", String(64), nullable=False),
    Column("key_id", String(64), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("target", String(256), nullable=False),
    Column("priority", SmallInteger, nullable=False),
    Column("state", String(16), nullable=False),
    Column("surface", String(32), nullable=False),
    Column("request_id", String(128), nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    Column("due_ms", BigInteger, nullable=False),
    Column("deadline_ms", BigInteger, nullable=False),
    Column("max_attempts", SmallInteger, nullable=False),
    Column("result_ttl_ms", BigInteger, nullable=False),
    Column("attempts", SmallInteger, nullable=False),
    # What a worker has to show; it grows with each attempt.
    Column("epoch", Integer, nullable=False),
    Column("worker", String(64), nullable=False),
    Column("leased_until_ms", BigInteger),
    Column("started_ms", BigInteger),
    Column("ended_ms", BigInteger),
    Column("result_expires_ms", BigInteger),
    Column("cancels", Boolean, nullable=False),
    Column("error_reason", String(64)),
    Column("error_message", String(1024)),
    Column("done", BigInteger, nullable=False),
    Column("total", BigInteger, nullable=False),
    Column("last_event", Integer, nullable=False),
    Column("traceparent", String(64), nullable=False),
    Column("webhook", String(132), nullable=False),
    Column("metadata", JSON, nullable=False),
    Column("batch", String(40), nullable=False),
    Column("line", Integer, nullable=False),
    # Of a request that somebody waits for.
    Column("unlisted", Boolean, nullable=False),
    Column("idempotency", String(64), unique=True),
    Column("fingerprint", String(64), nullable=False),
    # What rotation keeps of the key.
    Column("owner", String(64), nullable=False, server_default=""),
    # The heads of lanes, and what runs: small beside all that has ended.
    Index(
        "ix_jobs_queued",
        "tenant",
        "priority",
        "target",
        "due_ms",
        "id",
        sqlite_where=_QUEUED,
        postgresql_where=_QUEUED,
    ),
    Index("ix_jobs_deadline", "deadline_ms", sqlite_where=_QUEUED, postgresql_where=_QUEUED),
    Index("ix_jobs_running", "leased_until_ms", sqlite_where=_RUNNING, postgresql_where=_RUNNING),
    Index("ix_jobs_tenant", "tenant", "id"),
    Index("ix_jobs_batch", "batch", "line"),
    Index("ix_jobs_ended", "ended_ms"),
    Index("ix_jobs_result_expires", "result_expires_ms"),
)

lanes = Table(
    "job_lanes",
    metadata,
    Column("tenant", String(64), primary_key=True),
    Column("priority", SmallInteger, primary_key=True),
    Column("target", String(256), primary_key=True),
    Column("served_ms", BigInteger),
)

pauses = Table(
    "job_pauses",
    metadata,
    # Empty: of all.
    Column("tenant", String(64), primary_key=True),
    Column("target", String(256), primary_key=True),
    Column("reason", String(200), nullable=False),
    Column("since_ms", BigInteger, nullable=False),
)

contents = Table(
    "job_contents",
    metadata,
    Column("job", String(40), primary_key=True),
    # What it asks, or what came of it.
    Column("part", String(8), primary_key=True),
    Column("sealed", LargeBinary, nullable=False),
)

events = Table(
    "job_events",
    metadata,
    Column("job", String(40), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("at_ms", BigInteger, nullable=False),
    Column("sealed", LargeBinary, nullable=False),
)

workers = Table(
    "job_workers",
    metadata,
    Column("worker", String(64), primary_key=True),
    Column("heard_ms", BigInteger, nullable=False),
    Column("running", Integer, nullable=False),
    Column("places", Integer, nullable=False),
)
