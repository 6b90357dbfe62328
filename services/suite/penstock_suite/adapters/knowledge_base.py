"""A knowledge base that is to hold what a folder holds, by the embedding service's KnowledgeService."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from penstock_common.contract.knowledge_calls import (
    DeleteDocumentRequest,
    ListDocumentsRequest,
    PutBaseRequest,
    PutDocumentRequest,
)
from penstock_common.contract.wire.knowledge import DELETE_DOCUMENT, LIST_DOCUMENTS, PUT_BASE, PUT_DOCUMENT
from penstock_common.rpc.client import Channel

_SECONDS = 60.0
_PAGE = 100


class Kept(NamedTuple):
    """How many documents there are, and how many of them are new or other than before."""

    documents: int
    changed: int
    deleted: int


class KnowledgeBaseOf:
    """One knowledge base of a tenant; each method raises the domain error that says why it could not be done."""

    def __init__(self, channel: Channel, tenant: str, base: str) -> None:
        self._channel = channel
        self._tenant = tenant
        self._base = base

    async def hold(self, name: str, documents: Mapping[str, bytes]) -> Kept:
        """Have it hold these documents by their ids and no others; what is as it was costs nothing.

        They are accepted then, and found once they were taken in.
        """
        base = PutBaseRequest(tenant=self._tenant, id=self._base, name=name)
        await self._channel.call(PUT_BASE, base, timeout=_SECONDS)
        changed = 0
        for document, content in documents.items():
            request = PutDocumentRequest(
                tenant=self._tenant, base=self._base, id=document, content=content, filename=document
            )
            changed += not (await self._channel.call(PUT_DOCUMENT, request, timeout=_SECONDS)).unchanged
        gone = [document for document in await self._held() if document not in documents]
        for document in gone:
            deletion = DeleteDocumentRequest(self._tenant, self._base, document)
            await self._channel.call(DELETE_DOCUMENT, deletion, timeout=_SECONDS)
        return Kept(len(documents), changed, len(gone))

    async def _held(self) -> list[str]:
        found: list[str] = []
        token = ""
        while True:
            page = ListDocumentsRequest(self._tenant, self._base, page_size=_PAGE, page_token=token)
            listed = await self._channel.call(LIST_DOCUMENTS, page, timeout=_SECONDS)
            found += [document.id for document in listed.documents]
            token = listed.next_page_token
            if not token:
                return found
