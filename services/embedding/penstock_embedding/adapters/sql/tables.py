"""The tables of documents, as their migrations leave them."""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Float,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
)
from sqlalchemy.types import TypeEngine

metadata = MetaData()


def _text(length: int) -> TypeEngine[str]:
    # Ordered by bytes in every database: pages go on behind an id.
    return String(length).with_variant(String(length, collation="C"), "postgresql")


bases = Table(
    "knowledge_bases",
    metadata,
    Column("tenant", _text(128), primary_key=True),
    Column("id", _text(64), primary_key=True),
    Column("name", _text(256), nullable=False),
    Column("attributes", JSON, nullable=False),
    Column("serving", Integer, nullable=False),
    Column("previous", Integer, nullable=False),
    Column("next_index", Integer, nullable=False),
    Column("generation", BigInteger, nullable=False),
    Column("evaluation", LargeBinary),
    Column("evaluation_queries", Integer, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("deleted_at", DateTime(timezone=True)),
)
"""Knowledge bases; ``serving`` is the whole of a switch. One that was deleted keeps the count of its indexes for a while."""

indexes = Table(
    "knowledge_indexes",
    metadata,
    Column("tenant", _text(128), primary_key=True),
    Column("base", _text(64), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("spec", JSON, nullable=False),
    Column("model_revision", _text(256), nullable=False),
    Column("dimension", Integer, nullable=False),
    Column("analysis", Integer, nullable=False, server_default="1"),
    Column("state", _text(16), nullable=False),
    Column("error", Text, nullable=False),
    Column("quality", JSON, nullable=False),
    Column("chunks", BigInteger, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("retired_at", DateTime(timezone=True)),
    Column("owner", _text(64), nullable=False),
    Column("leased_until", Float, nullable=False),
    Index("ix_knowledge_indexes_state", "state", "leased_until"),
)
"""Versions of their indexes."""

documents = Table(
    "knowledge_documents",
    metadata,
    Column("tenant", _text(128), primary_key=True),
    Column("base", _text(64), primary_key=True),
    Column("id", _text(128), primary_key=True),
    Column("version", BigInteger, nullable=False),
    Column("current", BigInteger, nullable=False),
    Column("state", _text(16), nullable=False),
    Column("filename", Text, nullable=False),
    Column("title", Text, nullable=False),
    Column("media_type", _text(128), nullable=False),
    Column("language", _text(64), nullable=False),
    Column("content_hash", _text(64), nullable=False),
    Column("fingerprint", _text(64), nullable=False),
    Column("current_fingerprint", _text(64), nullable=False),
    # The knowledge base's generation that has it first.
    Column("found_since", BigInteger, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("characters", BigInteger, nullable=False),
    Column("chunks", Integer, nullable=False),
    Column("attributes", JSON, nullable=False),
    Column("labels", JSON, nullable=False),
    Column("changes", BigInteger, nullable=False),
    Column("failure", JSON),
    Column("original_kept", Boolean, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("updated_at", DateTime(timezone=True), nullable=False),
    Column("deleted_at", DateTime(timezone=True)),
    Index("ix_knowledge_documents_state", "tenant", "base", "state"),
    Index("ix_knowledge_documents_deleted", "deleted_at"),
)
"""Documents: ``version`` is the newest, ``current`` the one that is found, 0 for none. One that was deleted keeps its count of versions for a while."""

pending = Table(
    "knowledge_pending",
    metadata,
    Column("tenant", _text(128), primary_key=True),
    Column("base", _text(64), primary_key=True),
    Column("document", _text(128), primary_key=True),
    Column("version", BigInteger, nullable=False),
    Column("title", Text, nullable=False),
    Column("language", _text(64), nullable=False),
    Column("media_type", _text(128), nullable=False),
    Column("put_at", Float, nullable=False),
    Column("not_before", Float, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("owner", _text(64), nullable=False),
    Column("leased_until", Float, nullable=False),
    Index("ix_knowledge_pending_due", "not_before", "put_at"),
)
"""Documents that are to be taken in, and who is at it."""

contents = Table(
    "knowledge_contents",
    metadata,
    Column("tenant", _text(128), primary_key=True),
    Column("base", _text(64), primary_key=True),
    Column("document", _text(128), primary_key=True),
    Column("version", BigInteger, nullable=False),
    Column("content", LargeBinary, nullable=False),
)
"""What was put, sealed; without `knowledge.keep_originals` until it was taken in."""

texts = Table(
    "knowledge_texts",
    metadata,
    Column("tenant", _text(128), primary_key=True),
    Column("base", _text(64), primary_key=True),
    Column("document", _text(128), primary_key=True),
    Column("version", BigInteger, nullable=False),
    Column("content", LargeBinary, nullable=False),
)
"""What was read out of documents, sealed: later index versions are made of it."""

indexed = Table(
    "knowledge_indexed",
    metadata,
    Column("tenant", _text(128), primary_key=True),
    Column("base", _text(64), primary_key=True),
    Column("index_version", Integer, primary_key=True, autoincrement=False),
    Column("document", _text(128), primary_key=True),
    Column("document_version", BigInteger, nullable=False),
    Column("chunks", Integer, nullable=False),
    Column("terms", LargeBinary, nullable=False),
)
"""Which version of a document is in an index, and in how many of its chunks each word is."""

chunks = Table(
    "knowledge_chunks",
    metadata,
    Column("tenant", _text(128), primary_key=True),
    Column("base", _text(64), primary_key=True),
    Column("index_version", Integer, primary_key=True, autoincrement=False),
    Column("id", _text(36), primary_key=True),
    Column("document", _text(128), nullable=False),
    Column("document_version", BigInteger, nullable=False),
    Column("ordinal", Integer, nullable=False),
    Column("start", BigInteger, nullable=False),
    Column("end", BigInteger, nullable=False),
    Column("page", Integer, nullable=False),
    Column("tokens", Integer, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Index("ix_knowledge_chunks_document", "tenant", "base", "document", "index_version", "ordinal"),
)
"""Chunks of the documents that are found; text and headings are sealed in ``body``."""

terms = Table(
    "knowledge_terms",
    metadata,
    Column("tenant", _text(128), primary_key=True),
    Column("base", _text(64), primary_key=True),
    Column("index_version", Integer, primary_key=True, autoincrement=False),
    Column("term", BigInteger, primary_key=True, autoincrement=False),
    Column("chunks", BigInteger, nullable=False),
)
"""In how many chunks of an index each word is, by the hash of its stem."""

garbage = Table(
    "knowledge_garbage",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("tenant", _text(128), nullable=False),
    Column("base", _text(64), nullable=False),
    Column("kind", _text(16), nullable=False),
    Column("index_ref", JSON, nullable=False),
    Column("document", _text(128), nullable=False),
    Column("before_version", BigInteger, nullable=False),
    Column("made_at", Float, nullable=False),
)
"""What is still to be done to vectors after a commit."""
