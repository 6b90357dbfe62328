"""Feedback's table, as its own migrations leave it."""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Date,
    DateTime,
    Float,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

metadata = MetaData()

feedback = Table(
    "feedback",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("tenant", String(128), nullable=False),
    Column("generation_id", String(64), nullable=False),
    Column("public_model", String(128), nullable=False),
    Column("upstream", String(128), nullable=False),
    Column("model", String(256), nullable=False),
    Column("task", String(64), nullable=False),
    Column("prompt", String(160), nullable=False),
    # By meaning, where it says nothing of the model, or as an equal request's.
    Column("cache_entry", String(64), nullable=False),
    Column("was_cached", Boolean, nullable=False),
    Column("author", String(272), nullable=False),
    Column("key_id", String(160), nullable=False),
    Column("user", String(256), nullable=False),
    Column("thumb", String(4), nullable=False),
    Column("score", Float),
    # What score and thumb come to.
    Column("value", Float),
    Column("correction", Text, nullable=False),
    Column("reason", String(16), nullable=False),
    Column("comment", Text, nullable=False),
    Column("tags", JSON, nullable=False),
    # None where none was sent: those are as many as there are.
    Column("idempotency_key", String(128)),
    Column("said", String(64), nullable=False),
    Column("disputed_entry", String(64), nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("day", Date, nullable=False),
    UniqueConstraint("tenant", "key_id", "idempotency_key", name="uq_feedback_idempotency"),
    Index("ix_feedback_answer", "tenant", "generation_id", "author", "id"),
    Index("ix_feedback_key", "key_id", "created_at"),
    Index("ix_feedback_tenant", "tenant", "id"),
    Index("ix_feedback_day", "day"),
    Index("ix_feedback_disputed_entry", "disputed_entry"),
    Index("ix_feedback_created_at", "created_at"),
)
