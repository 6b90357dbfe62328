"""The tables of batches and their files, as their own migrations leave them. Moments are milliseconds since 1970."""

from __future__ import annotations

from sqlalchemy import JSON, BigInteger, Boolean, Column, Index, Integer, LargeBinary, MetaData, String, Table
from sqlalchemy import text as sql_text

metadata = MetaData()

_OPEN = sql_text("is_open")

files = Table(
    "batch_files",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("tenant", String(64), nullable=False),
    Column("key_id", String(64), nullable=False),
    Column("purpose", String(16), nullable=False),
    Column("filename", String(256), nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    Column("expires_ms", BigInteger),
    # "begun", "kept", "gone" or "left": nobody sees any but the second; of the last, pieces may be missing.
    Column("state", String(8), nullable=False),
    Column("batch", String(64), nullable=False),
    Index("ix_batch_files_tenant", "tenant", "id"),
    Index("ix_batch_files_batch", "batch"),
    Index("ix_batch_files_state", "state", "created_ms"),
    Index("ix_batch_files_expires", "expires_ms"),
)

pieces = Table(
    "batch_file_pieces",
    metadata,
    Column("file", String(64), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("sealed", LargeBinary, nullable=False),
)

PROVIDERS = ("handed", "answered")
"""The states of lines of which a provider has the word."""

handed = Table(
    "batch_handed_lines",
    metadata,
    Column("job", String(40), primary_key=True),
    Column("batch", String(64), nullable=False),
    Column("tenant", String(64), nullable=False),
    # "waiting", "handed", "answered" or "alone".
    Column("state", String(8), nullable=False),
    # Empty while it waits for one.
    Column("part", String(64), nullable=False),
    Column("upstream", String(128), nullable=False),
    Column("model", String(256), nullable=False),
    Column("unsupported", String(16), nullable=False),
    Column("asked_bytes", Integer, nullable=False),
    Column("parked_ms", BigInteger, nullable=False),
    Column("asked", LargeBinary),
    Column("status", Integer, nullable=False),
    Column("answer", LargeBinary),
    Index("ix_batch_handed_lines_batch", "batch", "state"),
    Index("ix_batch_handed_lines_part", "part"),
)

parts = Table(
    "batch_parts",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("batch", String(64), nullable=False),
    Column("upstream", String(128), nullable=False),
    Column("model", String(256), nullable=False),
    Column("unsupported", String(16), nullable=False),
    Column("is_open", Boolean, nullable=False),
    # The provider's own name of it; empty until it is known.
    Column("upstream_id", String(256), nullable=False),
    Column("prepared_ms", BigInteger, nullable=False),
    Column("next_ms", BigInteger, nullable=False),
    Column("tries", Integer, nullable=False),
    Column("looks", Integer, nullable=False),
    Column("is_cancelled", Boolean, nullable=False),
    Index("ix_batch_parts_batch", "batch"),
)

batches = Table(
    "batches",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("tenant", String(64), nullable=False),
    Column("key_id", String(64), nullable=False),
    # What rotation keeps of the key.
    Column("owner", String(64), nullable=False, server_default=""),
    Column("job", String(40), nullable=False),
    # The format that it was begun in.
    Column("surface", String(16), nullable=False, server_default="openai"),
    Column("endpoint", String(64), nullable=False),
    Column("input_file", String(64), nullable=False),
    Column("state", String(16), nullable=False),
    # Whether it has not ended.
    Column("is_open", Boolean, nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    Column("expires_ms", BigInteger, nullable=False),
    Column("output_ttl_ms", BigInteger),
    Column("model", String(256), nullable=False),
    Column("metadata", JSON, nullable=False),
    Column("request_id", String(128), nullable=False),
    # Faults of lines quote what is in them.
    Column("errors", LargeBinary),
    Column("output_file", String(64), nullable=False),
    Column("error_file", String(64), nullable=False),
    Column("in_progress_ms", BigInteger),
    Column("finalizing_ms", BigInteger),
    Column("completed_ms", BigInteger),
    Column("failed_ms", BigInteger),
    Column("expired_ms", BigInteger),
    Column("cancelling_ms", BigInteger),
    Column("cancelled_ms", BigInteger),
    Column("total", Integer, nullable=False),
    Column("completed", Integer, nullable=False),
    Column("failed", Integer, nullable=False),
    # Of those, why they were not executed.
    Column("cancelled_lines", Integer, nullable=False, server_default="0"),
    Column("lapsed_lines", Integer, nullable=False, server_default="0"),
    # What providers were handed as batches of their own, and answered of it.
    Column("handed_lines", Integer, nullable=False, server_default="0"),
    Column("provider_lines", Integer, nullable=False, server_default="0"),
    Column("input_tokens", BigInteger, nullable=False),
    Column("cached_tokens", BigInteger, nullable=False),
    Column("output_tokens", BigInteger, nullable=False),
    Column("reasoning_tokens", BigInteger, nullable=False),
    Column("submitted", Integer, nullable=False),
    Column("read_to", BigInteger, nullable=False),
    Column("read_lines", Integer, nullable=False),
    Column("refused", Integer, nullable=False),
    # What whoever carries it on has to show.
    Column("epoch", Integer, nullable=False),
    Column("halted_reason", String(64)),
    Column("halted_message", String(1024)),
    Index("ix_batches_tenant", "tenant", "id"),
    Index("ix_batches_open", "tenant", sqlite_where=_OPEN, postgresql_where=_OPEN),
    Index("ix_batches_input", "input_file", sqlite_where=_OPEN, postgresql_where=_OPEN),
)
