"""Showing what a document would be cut into."""

from __future__ import annotations

from dataclasses import dataclass

from penstock_common.contract.knowledge import Chunk, Document
from penstock_common.contract.knowledge_calls import ChunkRequest, ChunkResponse
from penstock_common.errors import InvalidRequest
from penstock_embedding.domain.chunking.piece import Chunker, Piece
from penstock_embedding.domain.documents.parsed import DocumentRefused, Parsed, Parser
from penstock_embedding.domain.knowledge.pieces import pieces_of
from penstock_embedding.domain.knowledge.ports import Models
from penstock_embedding.domain.knowledge.records import Key
from penstock_embedding.domain.knowledge.rules import chunk_id, hash_of, resolved

_SHOWN = "document"


@dataclass(frozen=True, slots=True)
class Cutting:
    """Reads and cuts; nothing is kept."""

    parser: Parser
    chunker: Chunker
    models: Models
    max_bytes: int

    async def chunk(self, request: ChunkRequest) -> ChunkResponse:
        """Return a document's chunks, and what was read.

        Raises:
            InvalidRequest: if it cannot be read, or not be cut so.
            ModelNotFound: if there is no such model.
        """
        if not 0 < len(request.content) <= self.max_bytes:
            raise InvalidRequest(f"A document has 1 to {self.max_bytes:,} bytes.", field="content")
        model = self.models.model(request.spec.model)
        spec = resolved(request.spec, model.counter.window_tokens)
        try:
            parsed = await self.parser.parse(request.content, filename=request.filename, media_type=request.media_type)
        except DocumentRefused as refused:
            place = f" ({refused.place})" if refused.place else ""
            raise InvalidRequest(f"{refused.message}{place} [{refused.reason}]", field="content") from None
        titled = parsed._replace(title=parsed.title or request.filename)
        pieces = await pieces_of(self.chunker, model, titled, spec.splitter)
        fingerprint = hash_of(request.content)

        def chunk(ordinal: int, piece: Piece) -> Chunk:
            span = piece.start, piece.end
            return Chunk(
                id=chunk_id(Key("", "", _SHOWN), fingerprint, spec.splitter, span),
                document=_SHOWN,
                document_version=1,
                ordinal=ordinal,
                text=parsed.text[piece.start : piece.end],
                start=piece.start,
                end=piece.end,
                headings=tuple(piece.headings),
                page=piece.page,
                tokens=piece.tokens,
            )

        chunks = [chunk(ordinal, piece) for ordinal, piece in enumerate(pieces)]
        return ChunkResponse(chunks, _read(request, titled, len(chunks)))


def _read(request: ChunkRequest, parsed: Parsed, chunks: int) -> Document:
    return Document(
        id=_SHOWN,
        knowledge_base="",
        filename=request.filename,
        title=parsed.title,
        media_type=parsed.media_type,
        language=parsed.language,
        content_hash=hash_of(request.content),
        bytes=len(request.content),
        characters=len(parsed.text),
        chunks=chunks,
        state="ready",
    )
