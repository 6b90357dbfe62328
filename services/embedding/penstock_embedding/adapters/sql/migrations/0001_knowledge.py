"""Knowledge bases, their documents and indexes."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = ("knowledge",)


def _text(length: int) -> sa.types.TypeEngine[str]:
    return sa.String(length).with_variant(sa.String(length, collation="C"), "postgresql")


def upgrade() -> None:
    """Create the tables."""
    _create_bases()
    _create_documents()
    _create_waiting()
    _create_indexed()
    _create_garbage()


def _create_bases() -> None:
    op.create_table(
        "knowledge_bases",
        sa.Column("tenant", _text(128), primary_key=True),
        sa.Column("id", _text(64), primary_key=True),
        sa.Column("name", _text(256), nullable=False),
        sa.Column("attributes", sa.JSON, nullable=False),
        sa.Column("serving", sa.Integer, nullable=False),
        sa.Column("previous", sa.Integer, nullable=False),
        sa.Column("next_index", sa.Integer, nullable=False),
        sa.Column("generation", sa.BigInteger, nullable=False),
        sa.Column("evaluation", sa.LargeBinary),
        sa.Column("evaluation_queries", sa.Integer, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("deleted_at", sa.DateTime(timezone=True)),
    )
    op.create_table(
        "knowledge_indexes",
        sa.Column("tenant", _text(128), primary_key=True),
        sa.Column("base", _text(64), primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("spec", sa.JSON, nullable=False),
        sa.Column("model_revision", _text(256), nullable=False),
        sa.Column("dimension", sa.Integer, nullable=False),
        sa.Column("state", _text(16), nullable=False),
        sa.Column("error", sa.Text, nullable=False),
        sa.Column("quality", sa.JSON, nullable=False),
        sa.Column("chunks", sa.BigInteger, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("retired_at", sa.DateTime(timezone=True)),
        sa.Column("owner", _text(64), nullable=False),
        sa.Column("leased_until", sa.Float, nullable=False),
    )
    op.create_index("ix_knowledge_indexes_state", "knowledge_indexes", ["state", "leased_until"])


def _create_documents() -> None:
    op.create_table(
        "knowledge_documents",
        sa.Column("tenant", _text(128), primary_key=True),
        sa.Column("base", _text(64), primary_key=True),
        sa.Column("id", _text(128), primary_key=True),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("current", sa.BigInteger, nullable=False),
        sa.Column("state", _text(16), nullable=False),
        sa.Column("filename", sa.Text, nullable=False),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("media_type", _text(128), nullable=False),
        sa.Column("language", _text(64), nullable=False),
        sa.Column("content_hash", _text(64), nullable=False),
        sa.Column("fingerprint", _text(64), nullable=False),
        sa.Column("current_fingerprint", _text(64), nullable=False),
        sa.Column("found_since", sa.BigInteger, nullable=False),
        sa.Column("bytes", sa.BigInteger, nullable=False),
        sa.Column("characters", sa.BigInteger, nullable=False),
        sa.Column("chunks", sa.Integer, nullable=False),
        sa.Column("attributes", sa.JSON, nullable=False),
        sa.Column("labels", sa.JSON, nullable=False),
        sa.Column("changes", sa.BigInteger, nullable=False),
        sa.Column("failure", sa.JSON),
        sa.Column("original_kept", sa.Boolean, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("deleted_at", sa.DateTime(timezone=True)),
    )
    op.create_index("ix_knowledge_documents_state", "knowledge_documents", ["tenant", "base", "state"])
    op.create_index("ix_knowledge_documents_deleted", "knowledge_documents", ["deleted_at"])


def _create_waiting() -> None:
    op.create_table(
        "knowledge_pending",
        sa.Column("tenant", _text(128), primary_key=True),
        sa.Column("base", _text(64), primary_key=True),
        sa.Column("document", _text(128), primary_key=True),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("language", _text(64), nullable=False),
        sa.Column("media_type", _text(128), nullable=False),
        sa.Column("put_at", sa.Float, nullable=False),
        sa.Column("not_before", sa.Float, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("owner", _text(64), nullable=False),
        sa.Column("leased_until", sa.Float, nullable=False),
    )
    op.create_index("ix_knowledge_pending_due", "knowledge_pending", ["not_before", "put_at"])
    op.create_table(
        "knowledge_contents",
        sa.Column("tenant", _text(128), primary_key=True),
        sa.Column("base", _text(64), primary_key=True),
        sa.Column("document", _text(128), primary_key=True),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("content", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "knowledge_texts",
        sa.Column("tenant", _text(128), primary_key=True),
        sa.Column("base", _text(64), primary_key=True),
        sa.Column("document", _text(128), primary_key=True),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("content", sa.LargeBinary, nullable=False),
    )


def _create_indexed() -> None:
    op.create_table(
        "knowledge_indexed",
        sa.Column("tenant", _text(128), primary_key=True),
        sa.Column("base", _text(64), primary_key=True),
        sa.Column("index_version", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("document", _text(128), primary_key=True),
        sa.Column("document_version", sa.BigInteger, nullable=False),
        sa.Column("chunks", sa.Integer, nullable=False),
        sa.Column("terms", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "knowledge_chunks",
        sa.Column("tenant", _text(128), primary_key=True),
        sa.Column("base", _text(64), primary_key=True),
        sa.Column("index_version", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("id", _text(36), primary_key=True),
        sa.Column("document", _text(128), nullable=False),
        sa.Column("document_version", sa.BigInteger, nullable=False),
        sa.Column("ordinal", sa.Integer, nullable=False),
        sa.Column("start", sa.BigInteger, nullable=False),
        sa.Column("end", sa.BigInteger, nullable=False),
        sa.Column("page", sa.Integer, nullable=False),
        sa.Column("tokens", sa.Integer, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
    )
    op.create_index(
        "ix_knowledge_chunks_document", "knowledge_chunks", ["tenant", "base", "document", "index_version", "ordinal"]
    )
    op.create_table(
        "knowledge_terms",
        sa.Column("tenant", _text(128), primary_key=True),
        sa.Column("base", _text(64), primary_key=True),
        sa.Column("index_version", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("term", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("chunks", sa.BigInteger, nullable=False),
    )


def _create_garbage() -> None:
    op.create_table(
        "knowledge_garbage",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=True),
        sa.Column("tenant", _text(128), nullable=False),
        sa.Column("base", _text(64), nullable=False),
        sa.Column("kind", _text(16), nullable=False),
        sa.Column("index_ref", sa.JSON, nullable=False),
        sa.Column("document", _text(128), nullable=False),
        sa.Column("before_version", sa.BigInteger, nullable=False),
        sa.Column("made_at", sa.Float, nullable=False),
    )


def downgrade() -> None:
    """Drop the tables."""
    for table in (
        "knowledge_garbage",
        "knowledge_terms",
        "knowledge_chunks",
        "knowledge_indexed",
        "knowledge_texts",
        "knowledge_contents",
        "knowledge_pending",
        "knowledge_documents",
        "knowledge_indexes",
        "knowledge_bases",
    ):
        op.drop_table(table)
