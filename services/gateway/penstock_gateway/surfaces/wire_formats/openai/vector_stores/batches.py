"""Files that are attached to a vector store together."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from penstock_common.contract import file_calls
from penstock_common.contract.knowledge import Document
from penstock_common.errors import InternalError, InvalidRequest
from penstock_gateway.domain.knowledge.files import Stores
from penstock_gateway.surfaces.wire_formats.json_body import read_members, read_object
from penstock_gateway.surfaces.wire_formats.keeping import StoresCall
from penstock_gateway.surfaces.wire_formats.openai.vector_stores import wire
from penstock_gateway.surfaces.wire_formats.openai.vector_stores.attached import attachment_of, state_in
from penstock_gateway.surfaces.wire_formats.openai.vector_stores.common import object_in, spec_of, store_in, tenant_of
from penstock_gateway.surfaces.wire_formats.openai.vector_stores.paging import page_of, read_cursor
from penstock_gateway.surfaces.wire_formats.openai.vector_stores.render import batch_told, file_told
from penstock_gateway.surfaces.wire_formats.openai.vector_stores.sight import of_seen
from penstock_gateway.surfaces.wire_formats.openai.vector_stores.strategy import (
    check_same,
    splitter_of,
    strategy_told,
)

MAX_FILES = 2000
_CREATION = msgspec.json.Decoder(wire.BatchCreation)
_STRATEGIES = "'auto' or 'static'"
_CHOICES = {"chunking_strategy.type": _STRATEGIES, "files[].chunking_strategy.type": _STRATEGIES}
_KIND = "file batch"


def parse_creation(body: bytes) -> list[wire.FileAttachment]:
    """Return which files are to be attached, each with what is its own.

    Raises:
        InvalidRequest, UnsupportedParameter: if that cannot be had.
    """
    read_members(body)
    creation = read_object(_CREATION, body, _CHOICES)
    if (creation.file_ids is None) == (creation.files is None):
        raise InvalidRequest("Give 'file_ids' or 'files', and not both.", field="file_ids")
    if creation.files is None:
        files = _alike(creation)
    else:
        _refuse_beside_files(creation)
        files = creation.files
    field = "files" if creation.file_ids is None else "file_ids"
    if not 0 < len(files) <= MAX_FILES:
        raise InvalidRequest(f"'{field}' must name 1 to {MAX_FILES} files, not {len(files)}.", field=field)
    for file in files:
        splitter_of(file.chunking_strategy)
    return files


async def create(stores: Stores, call: StoresCall) -> wire.FileBatchObject:
    """Have files taken in."""
    files: list[wire.FileAttachment] = call.body
    tenant, store = tenant_of(call), store_in(call)
    attachments = [attachment_of(file, f"files[{number}].attributes") for number, file in enumerate(files)]
    spec = await spec_of(stores, tenant, store)
    for file in files:
        check_same(file.chunking_strategy, spec)
    request = file_calls.AttachFilesRequest(tenant=tenant, base=store, files=attachments, batch=True)
    batch = (await stores.files.attach(request)).batch
    if batch is None:
        raise InternalError
    return batch_told(batch)


async def get(stores: Stores, call: StoresCall) -> wire.FileBatchObject:
    """Return how far a batch is."""
    request = file_calls.GetBatchRequest(tenant_of(call), store_in(call), object_in(call, "batch", _KIND))
    return batch_told((await stores.files.batch(request)).batch)


async def cancel(stores: Stores, call: StoresCall) -> wire.FileBatchObject:
    """End the taking in of what is pending of a batch."""
    request = file_calls.CancelBatchRequest(tenant_of(call), store_in(call), object_in(call, "batch", _KIND))
    return batch_told((await stores.files.cancel_batch(request)).batch)


async def list_files(stores: Stores, call: StoresCall) -> wire.ObjectList:
    """Return a page of a batch's files."""
    tenant, store, batch = tenant_of(call), store_in(call), object_in(call, "batch", _KIND)
    cursor = read_cursor(call.query, further=("filter",))
    state = state_in(cursor)

    async def fetch(after: str, descending: bool, size: int) -> tuple[Sequence[Document], bool]:
        request = file_calls.ListBatchDocumentsRequest(
            tenant=tenant, base=store, id=batch, after=after, page_size=size, descending=descending, state=state
        )
        page = await stores.files.batch_documents(request)
        return page.documents, page.more

    strategy = strategy_told(await spec_of(stores, tenant, store))
    return await page_of(cursor, of_seen(call, fetch), lambda document: file_told(document, strategy))


def _alike(creation: wire.BatchCreation) -> list[wire.FileAttachment]:
    return [
        wire.FileAttachment(
            file_id=file,
            attributes=creation.attributes,
            chunking_strategy=creation.chunking_strategy,
            penstock_labels=creation.penstock_labels,
        )
        for file in creation.file_ids or ()
    ]


def _refuse_beside_files(creation: wire.BatchCreation) -> None:
    for name in ("attributes", "chunking_strategy", "penstock_labels"):
        if getattr(creation, name) is not None:
            raise InvalidRequest(f"'{name}' is given beside 'files'; give each file its own.", field=name)
