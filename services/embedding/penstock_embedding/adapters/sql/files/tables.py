"""The tables of files, as their own migrations leave them."""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Index,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
)

metadata = MetaData()

files = Table(
    "files",
    metadata,
    Column("tenant", String(128), nullable=False),
    Column("id", String(64), nullable=False),
    Column("filename", String(512), nullable=False),
    Column("purpose", String(64), nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False),
    # Found no more; its documents may still be on their way out.
    Column("deleting", Boolean, nullable=False),
    Column("sealed", LargeBinary, nullable=False),
    PrimaryKeyConstraint("tenant", "id", name="pk_files"),
)

file_uses = Table(
    "file_uses",
    metadata,
    Column("tenant", String(128), nullable=False),
    Column("file", String(64), nullable=False),
    Column("base", String(64), nullable=False),
    PrimaryKeyConstraint("tenant", "file", "base", name="pk_file_uses"),
)

file_batches = Table(
    "file_batches",
    metadata,
    Column("tenant", String(128), nullable=False),
    Column("base", String(64), nullable=False),
    Column("id", String(64), nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("cancelled", Boolean, nullable=False),
    # Ids in order: at most 2,000.
    Column("documents", JSON, nullable=False),
    PrimaryKeyConstraint("tenant", "base", "id", name="pk_file_batches"),
    Index("ix_file_batches_created_at", "created_at"),
)
