"""Documents, as a command of this machine asks for them: in the contract's own values."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from penstock_common.contract import knowledge_calls as calls
from penstock_common.contract.knowledge import (
    Chunk,
    Document,
    IndexVersion,
    IngestProgress,
    KnowledgeBase,
    SearchResult,
)


class Knowledge(Protocol):
    """Knowledge bases, as far as they are administered and searched. What it refuses is a ``SuiteFailure``.

    An empty tenant is the key's own.
    """

    async def create_base(self, wanted: calls.PutBaseRequest) -> KnowledgeBase:
        """Return the new one."""
        ...

    async def base(self, tenant: str, base: str) -> KnowledgeBase:
        """Return one."""
        ...

    async def bases(self, tenant: str) -> list[KnowledgeBase]:
        """Return the tenant's, by id."""
        ...

    async def delete_base(self, tenant: str, base: str) -> bool:
        """Return whether there was one."""
        ...

    async def put_document(self, wanted: calls.PutDocumentRequest) -> calls.PutDocumentResponse:
        """Return the accepted document."""
        ...

    async def change_document(self, wanted: calls.ChangeDocumentRequest) -> Document:
        """Return the changed document."""
        ...

    async def document(self, tenant: str, base: str, document: str) -> Document:
        """Return one, without its text."""
        ...

    async def documents(self, wanted: calls.ListDocumentsRequest) -> list[Document]:
        """Return those of every page, by id."""
        ...

    async def chunks(self, wanted: calls.ListChunksRequest) -> list[Chunk]:
        """Return those of every page, in their order."""
        ...

    async def delete_document(self, tenant: str, base: str, document: str) -> bool:
        """Return whether there was one."""
        ...

    def ingest_progress(self, tenant: str, base: str) -> AbstractAsyncContextManager[AsyncIterator[IngestProgress]]:
        """Return how far the taking in is, until nothing is pending."""
        ...

    async def search(self, wanted: calls.SearchRequest) -> SearchResult:
        """Return what is found."""
        ...

    async def build_index(self, wanted: calls.BuildIndexRequest) -> IndexVersion:
        """Return the version that was begun."""
        ...

    async def indexes(self, tenant: str, base: str) -> list[IndexVersion]:
        """Return the versions, the newest first."""
        ...

    async def switch_index(self, wanted: calls.SwitchIndexRequest, reason: str = "") -> IndexVersion:
        """Return the version that serves now; the reason is for the audit log."""
        ...

    async def drop_index(self, tenant: str, base: str, version: int) -> bool:
        """Return whether there was one."""
        ...

    async def put_evaluation(self, wanted: calls.PutEvaluationRequest) -> int:
        """Return how many questions there are now."""
        ...
