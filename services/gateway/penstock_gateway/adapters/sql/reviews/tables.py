"""The tables of reviews, as their own migrations leave them. Moments are milliseconds since 1970."""

from __future__ import annotations

from sqlalchemy import JSON, BigInteger, Boolean, Column, Index, Integer, LargeBinary, MetaData, String, Table
from sqlalchemy import text as sql_text

metadata = MetaData()

_UNDECIDED = sql_text("state <> 'decided'")

items = Table(
    "review_items",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("tenant", String(128), nullable=False),
    Column("key_id", String(160), nullable=False),
    Column("user", String(256), nullable=False),
    Column("user_id", String(64), nullable=False),
    Column("source", String(16), nullable=False),
    Column("surface", String(16), nullable=False),
    Column("rule", String(128), nullable=False),
    Column("rule_version", String(64), nullable=False),
    Column("public_model", String(128), nullable=False),
    Column("request_id", String(128), nullable=False),
    Column("generation_id", String(64), nullable=False),
    Column("kinds", JSON, nullable=False),
    Column("held", Boolean, nullable=False),
    # Of what is flagged again: a keyed digest, until it is decided.
    Column("mark", String(64), unique=True),
    Column("times", Integer, nullable=False),
    Column("state", String(16), nullable=False),
    Column("escalated", Boolean, nullable=False),
    Column("reviewer", String(192), nullable=False),
    # What a reviewer has to show; it grows with each claim.
    Column("claim", Integer, nullable=False),
    Column("claimed_until_ms", BigInteger),
    Column("created_ms", BigInteger, nullable=False),
    Column("due_ms", BigInteger, nullable=False),
    Column("expires_ms", BigInteger),
    Column("decision", String(16)),
    Column("decided_ms", BigInteger),
    # What waits: small beside all that is decided.
    Index(
        "ix_review_items_due",
        "tenant",
        "due_ms",
        "id",
        sqlite_where=_UNDECIDED,
        postgresql_where=_UNDECIDED,
    ),
    Index("ix_review_items_expires", "expires_ms", sqlite_where=_UNDECIDED, postgresql_where=_UNDECIDED),
    Index("ix_review_items_tenant", "tenant", "id"),
    Index("ix_review_items_decided", "decided_ms"),
)

contents = Table(
    "review_contents",
    metadata,
    Column("item", String(40), primary_key=True),
    Column("sealed", LargeBinary, nullable=False),
)
