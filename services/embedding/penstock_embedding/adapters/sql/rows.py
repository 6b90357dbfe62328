"""Rows as the values that they stand for, and back."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, TypeVar

import msgspec

from penstock_common.contract.knowledge import (
    Attribute,
    Chunk,
    Document,
    DocumentFailure,
    IndexSpec,
    IndexState,
    IndexVersion,
    RetrievalQuality,
)
from penstock_embedding.adapters.sql.database import Database, place
from penstock_embedding.domain.documents.parsed import Block, Parsed
from penstock_embedding.domain.knowledge.ports import IndexRef
from penstock_embedding.domain.knowledge.records import Readout

Row = Mapping[Any, Any]
ValueT = TypeVar("ValueT")


def converted(raw: Any, kind: type[ValueT]) -> ValueT:
    """Return the value of a column of JSON."""
    return msgspec.convert(raw, kind)


def in_utc(moment: datetime) -> datetime:
    """Return a moment with its zone: SQLite knows none, and everything is written in UTC."""
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def now() -> datetime:
    """Return what a row is written with."""
    return datetime.now(UTC)


def document_of(row: Row) -> Document:
    """Return the document of a row."""
    return Document(
        id=row["id"],
        knowledge_base=row["base"],
        filename=row["filename"],
        title=row["title"],
        media_type=row["media_type"],
        attributes=converted(row["attributes"], tuple[Attribute, ...]),
        labels=tuple(row["labels"]),
        language=row["language"],
        content_hash=row["content_hash"],
        version=row["version"],
        bytes=row["bytes"],
        characters=row["characters"],
        chunks=row["chunks"],
        state=row["state"],
        failure=None if row["failure"] is None else converted(row["failure"], DocumentFailure),
        created_at=in_utc(row["created_at"]),
        updated_at=in_utc(row["updated_at"]),
        original_kept=row["original_kept"],
    )


def index_of(row: Row, serving: int, documents: int, total: int) -> IndexVersion:
    """Return the index version of a row; ``serving`` is the number of the one that serves."""
    state: IndexState = "serving" if row["number"] == serving else row["state"]
    return IndexVersion(
        number=row["number"],
        spec=converted(row["spec"], IndexSpec),
        model_revision=row["model_revision"],
        dimension=row["dimension"],
        state=state,
        documents=documents,
        documents_total=total,
        chunks=row["chunks"],
        error=row["error"],
        created_at=in_utc(row["created_at"]),
        quality=converted(row["quality"], tuple[RetrievalQuality, ...]),
    )


def ref_of(row: Row, generation: int) -> IndexRef:
    """Return what names the index version of a row."""
    return IndexRef(
        tenant=row["tenant"],
        base=row["base"],
        version=row["number"],
        spec=converted(row["spec"], IndexSpec),
        model_revision=row["model_revision"],
        dimension=row["dimension"],
        generation=generation,
        chunks=row["chunks"],
        analysis=row["analysis"],
    )


def sealed_body(database: Database, index: IndexRef, chunk: Chunk) -> bytes:
    """Return a chunk's text and headings, sealed."""
    bound_to = place("chunk", index.base, index.version, chunk.id)
    return database.sealer.seal(index.tenant, bound_to, msgspec.msgpack.encode((chunk.text, list(chunk.headings))))


def chunk_of(database: Database, row: Row) -> Chunk:
    """Return the chunk of a row."""
    bound_to = place("chunk", row["base"], row["index_version"], row["id"])
    body = database.sealer.open(row["tenant"], bound_to, row["body"])
    text, headings = msgspec.msgpack.decode(body, type=tuple[str, list[str]])
    return Chunk(
        id=row["id"],
        document=row["document"],
        document_version=row["document_version"],
        ordinal=row["ordinal"],
        text=text,
        start=row["start"],
        end=row["end"],
        headings=tuple(headings),
        page=row["page"],
        tokens=row["tokens"],
    )


def readout_bytes(readout: Readout) -> bytes:
    """Return what was read out of a document, to be sealed."""
    parsed = readout.parsed
    blocks = [tuple(block) for block in parsed.blocks]
    named = (parsed.text, parsed.media_type, parsed.title, parsed.language, blocks, list(parsed.pages))
    return msgspec.msgpack.encode((named, readout.title, readout.language))


def readout_of(content: bytes) -> Readout:
    """Return what was read out of a document."""
    (text, media_type, own_title, own_language, blocks, pages), title, language = msgspec.msgpack.decode(content)
    parsed = Parsed(text, media_type, own_title, own_language, [Block(*block) for block in blocks], pages)
    return Readout(parsed, title, language)
