"""Which files of a store whoever looks sees: all with the scope ``admin``, else those that a search with its key could find."""

from __future__ import annotations

from collections.abc import Sequence

from penstock_common.contract import knowledge_calls
from penstock_common.contract.knowledge import Document
from penstock_gateway.domain.access.identity import KeyScope
from penstock_gateway.domain.knowledge.files import Stores
from penstock_gateway.domain.knowledge.sight import may_find
from penstock_gateway.surfaces.wire_formats.keeping import StoresCall
from penstock_gateway.surfaces.wire_formats.openai.vector_stores.common import (
    not_there,
    object_in,
    store_in,
    tenant_of,
)
from penstock_gateway.surfaces.wire_formats.openai.vector_stores.paging import Fetch


async def seen_file(stores: Stores, call: StoresCall) -> Document:
    """Return the file that the path names.

    Raises:
        ResourceNotFound: if there is none, or whoever looks may not see it.
    """
    file = object_in(call, "file", "file")
    wanted = knowledge_calls.GetDocumentRequest(tenant_of(call), store_in(call), file)
    document = (await stores.knowledge.get_document(wanted)).document
    if not _sees(call, document):
        raise not_there("file", file)
    return document


def of_seen(call: StoresCall, fetch: Fetch[Document]) -> Fetch[Document]:
    """Return what fetches full pages of files that whoever looks may see."""
    if KeyScope.ADMIN in call.caller.scopes:
        return fetch

    async def fetch_seen(after: str, descending: bool, size: int) -> tuple[Sequence[Document], bool]:
        seen: list[Document] = []
        more = True
        # One more than the page tells whether there are more: those that are not seen do not count.
        while more and len(seen) <= size:
            found, more = await fetch(after, descending, size)
            seen += [document for document in found if _sees(call, document)]
            after = found[-1].id if found else after
        return seen[:size], len(seen) > size

    return fetch_seen


def _sees(call: StoresCall, document: Document) -> bool:
    return KeyScope.ADMIN in call.caller.scopes or may_find(call.caller.labels, document)
