"""Uploaded files: they lie where documents do, and open with them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from penstock_embedding.app.knowledge import DeferredKnowledge
    from penstock_embedding.domain.knowledge.files import Files
    from penstock_embedding.settings import KnowledgeSettings


async def files_of(documents: DeferredKnowledge, settings: KnowledgeSettings) -> Files:
    """Return what keeps files, opened now where it is not.

    Raises:
        ResourceState, ServiceUnavailable: as ``DeferredKnowledge.opened``.
    """
    opened = await documents.opened()
    # Only those who keep files import it.
    from penstock_embedding.adapters.sql.files.store import SqlFiles
    from penstock_embedding.domain.knowledge.files import FileLimits, Files

    limits = FileLimits(
        max_file_bytes=settings.max_document_bytes,
        max_files=settings.max_files_of_a_tenant,
        max_bytes=settings.max_file_bytes_of_a_tenant,
    )
    return Files(SqlFiles(opened.engine), opened.sealer, opened.knowledge.documents, limits)
