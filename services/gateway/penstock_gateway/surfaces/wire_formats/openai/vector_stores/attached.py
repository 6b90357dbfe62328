"""Files of a vector store: documents of a knowledge base in OpenAI's words."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from penstock_common.contract import file_calls, knowledge_calls
from penstock_common.contract.knowledge import Document
from penstock_common.errors import InvalidRequest
from penstock_gateway.domain.knowledge.files import Stores
from penstock_gateway.surfaces.wire_formats.json_body import read_members, read_object
from penstock_gateway.surfaces.wire_formats.keeping import StoresCall
from penstock_gateway.surfaces.wire_formats.openai.vector_stores import wire
from penstock_gateway.surfaces.wire_formats.openai.vector_stores.attributes import read_attributes
from penstock_gateway.surfaces.wire_formats.openai.vector_stores.common import (
    not_there,
    object_in,
    spec_of,
    store_in,
    tenant_of,
)
from penstock_gateway.surfaces.wire_formats.openai.vector_stores.paging import Cursor, page_of, read_cursor
from penstock_gateway.surfaces.wire_formats.openai.vector_stores.render import STATES, file_told
from penstock_gateway.surfaces.wire_formats.openai.vector_stores.sight import of_seen, seen_file
from penstock_gateway.surfaces.wire_formats.openai.vector_stores.strategy import (
    check_same,
    splitter_of,
    strategy_told,
)

_ATTACHMENT = msgspec.json.Decoder(wire.FileAttachment)
_CHANGE = msgspec.json.Decoder(wire.FileChange)
_CHOICES = {"chunking_strategy.type": "'auto' or 'static'"}
_CHUNKS_AT_ONCE = 100


def parse_attachment(body: bytes) -> wire.FileAttachment:
    """Return which file is to be attached.

    Raises:
        InvalidRequest, UnsupportedParameter: if that cannot be had.
    """
    read_members(body)
    attachment = read_object(_ATTACHMENT, body, _CHOICES)
    splitter_of(attachment.chunking_strategy)
    return attachment


def parse_change(body: bytes) -> wire.FileChange:
    """Return what is to change of a file.

    Raises:
        InvalidRequest, UnsupportedParameter: if that cannot be had.
    """
    read_members(body)
    change = read_object(_CHANGE, body)
    if change.attributes is msgspec.UNSET and change.penstock_labels is msgspec.UNSET:
        raise InvalidRequest("'attributes' is required, but it is missing.", field="attributes")
    return change


def attachment_of(given: wire.FileAttachment, field: str = "attributes") -> file_calls.Attachment:
    """Return what a file is attached with."""
    return file_calls.Attachment(
        given.file_id, read_attributes(given.attributes, field), tuple(given.penstock_labels or ())
    )


async def attach(stores: Stores, call: StoresCall) -> wire.VectorStoreFile:
    """Have a file taken in."""
    given: wire.FileAttachment = call.body
    tenant, store = tenant_of(call), store_in(call)
    attachment = attachment_of(given)
    spec = await spec_of(stores, tenant, store)
    check_same(given.chunking_strategy, spec)
    request = file_calls.AttachFilesRequest(tenant=tenant, base=store, files=[attachment])
    return file_told((await stores.files.attach(request)).document, strategy_told(spec))


async def list_all(stores: Stores, call: StoresCall) -> wire.ObjectList:
    """Return a page of a store's files."""
    tenant, store = tenant_of(call), store_in(call)
    cursor = read_cursor(call.query, further=("filter",))
    state = state_in(cursor)

    async def fetch(after: str, descending: bool, size: int) -> tuple[Sequence[Document], bool]:
        request = knowledge_calls.ListDocumentsRequest(tenant, store, size, after, state, descending)
        page = await stores.knowledge.list_documents(request)
        return page.documents, bool(page.next_page_token)

    strategy = strategy_told(await spec_of(stores, tenant, store))
    return await page_of(cursor, of_seen(call, fetch), lambda document: file_told(document, strategy))


def state_in(cursor: Cursor) -> knowledge_calls.DocumentState:
    """Return which documents ``filter`` asks for.

    Raises:
        InvalidRequest: if it names no status.
    """
    word = cursor.others.get("filter")
    if word is None:
        return ""
    if word not in STATES:
        raise InvalidRequest(f"'filter' must be one of {', '.join(STATES)}.", field="filter")
    return STATES[word]


async def get(stores: Stores, call: StoresCall) -> wire.VectorStoreFile:
    """Return a file."""
    found = await seen_file(stores, call)
    return file_told(found, strategy_told(await spec_of(stores, tenant_of(call), store_in(call))))


async def change(stores: Stores, call: StoresCall) -> wire.VectorStoreFile:
    """Change a file's attributes, all at once, and its labels."""
    asked: wire.FileChange = call.body
    tenant, store = tenant_of(call), store_in(call)
    attributes, labels = asked.attributes, asked.penstock_labels
    request = knowledge_calls.ChangeDocumentRequest(
        tenant=tenant,
        base=store,
        id=object_in(call, "file", "file"),
        attributes=() if attributes is msgspec.UNSET else read_attributes(attributes, "attributes"),
        replace_attributes=attributes is not msgspec.UNSET,
        labels=() if labels is msgspec.UNSET else tuple(labels),
        replace_labels=labels is not msgspec.UNSET,
    )
    changed = await stores.knowledge.change_document(request)
    return file_told(changed.document, strategy_told(await spec_of(stores, tenant, store)))


async def remove(stores: Stores, call: StoresCall) -> wire.Deleted:
    """Have a file found no more in a store; the file stays."""
    file = object_in(call, "file", "file")
    request = knowledge_calls.DeleteDocumentRequest(tenant_of(call), store_in(call), file)
    if not (await stores.knowledge.delete_document(request)).existed:
        raise not_there("file", file)
    return wire.Deleted(id=file, object="vector_store.file.deleted")


async def content(stores: Stores, call: StoresCall) -> wire.ContentPage:
    """Return the text that was read out of a file, a piece for each chunk, none of it twice."""
    await seen_file(stores, call)
    tenant, store, file = tenant_of(call), store_in(call), object_in(call, "file", "file")
    pieces: list[wire.TextContent] = []
    token, end = "", 0
    while True:
        request = knowledge_calls.ListChunksRequest(tenant, store, file, _CHUNKS_AT_ONCE, token)
        page = await stores.knowledge.list_chunks(request)
        for chunk in page.chunks:
            text = chunk.text[max(0, end - chunk.start) :]
            end = max(end, chunk.end)
            if text:
                pieces.append(wire.TextContent(text=text))
        token = page.next_page_token
        if not token:
            # Its labels may have been taken from whoever reads meanwhile.
            await seen_file(stores, call)
            return wire.ContentPage(data=pieces)
