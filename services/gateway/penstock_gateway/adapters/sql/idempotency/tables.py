"""The table of calls that were made under a key, as its own migrations leave it. Moments are milliseconds since 1970."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, LargeBinary, MetaData, String, Table

metadata = MetaData()

calls = Table(
    "idempotent_calls",
    metadata,
    # Digests: neither the key nor what was asked can be read from them.
    Column("mark", String(64), primary_key=True),
    Column("tenant", String(64), nullable=False),
    Column("fingerprint", String(64), nullable=False),
    Column("owner", String(32), nullable=False),
    Column("request_id", String(128), nullable=False),
    # Of an answer: until when it is kept. Of a call without one: until when it is its owner's.
    Column("until_ms", BigInteger, nullable=False),
    Column("sealed", LargeBinary),
    Index("ix_idempotent_calls_until", "until_ms"),
)
