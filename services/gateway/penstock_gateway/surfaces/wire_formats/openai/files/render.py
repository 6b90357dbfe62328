"""Tells files as OpenAI's objects."""

from __future__ import annotations

from penstock_gateway.domain.batches.files import KeptFile
from penstock_gateway.surfaces.wire_formats.openai.vector_stores.render import upload_told
from penstock_gateway.surfaces.wire_formats.openai.vector_stores.wire import FileObject

__all__ = ["kept_told", "upload_told"]


def kept_told(file: KeptFile) -> FileObject:
    """Return a file of batches."""
    return FileObject(
        id=file.id,
        bytes=file.bytes,
        created_at=int(file.created_at.timestamp()),
        expires_at=None if file.expires_at is None else int(file.expires_at.timestamp()),
        filename=file.filename,
        purpose=file.purpose,
    )
