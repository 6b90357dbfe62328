"""The table of kept answers, as its own migrations leave it. Moments are milliseconds since 1970."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, LargeBinary, MetaData, String, Table

metadata = MetaData()

responses = Table(
    "responses",
    metadata,
    Column("id", String(128), primary_key=True),
    Column("tenant", String(128), nullable=False),
    Column("owner", String(64), nullable=False),
    # The one that it went on from; empty where it begins.
    Column("previous", String(128), nullable=False),
    Column("depth", Integer, nullable=False),
    Column("chain_bytes", BigInteger, nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    Column("expires_ms", BigInteger, nullable=False),
    Column("status", String(16), nullable=False),
    # The job that makes it; empty where the request did.
    Column("job", String(64), nullable=False),
    Column("streams", Boolean, nullable=False),
    Column("sealed", LargeBinary, nullable=False),
    Index("ix_responses_expires", "expires_ms"),
    Index("ix_responses_tenant", "tenant"),
    Index("ix_responses_previous", "previous"),
    Index("ix_responses_job", "job"),
    Index("ix_responses_status", "status", "id"),
)
