"""Uploaded files."""

from __future__ import annotations

from collections.abc import Sequence

from penstock_common.contract import file_calls
from penstock_common.contract.file_calls import StoredFile
from penstock_gateway.domain.knowledge.files import Stores
from penstock_gateway.surfaces.wire_formats.format import StoresAnswer, StoresCall
from penstock_gateway.surfaces.wire_formats.openai.vector_stores import wire
from penstock_gateway.surfaces.wire_formats.openai.vector_stores.common import not_there, object_in, tenant_of
from penstock_gateway.surfaces.wire_formats.openai.vector_stores.form import Upload
from penstock_gateway.surfaces.wire_formats.openai.vector_stores.paging import page_of, read_cursor
from penstock_gateway.surfaces.wire_formats.openai.vector_stores.render import upload_told

_MOST_OF_A_PAGE = 10_000
# Whatever it is, no browser is to show it.
_CONTENT_LINES = (
    b"content-type: application/octet-stream\r\ncontent-disposition: attachment\r\nx-content-type-options: nosniff\r\n"
)


async def upload(stores: Stores, call: StoresCall) -> wire.FileObject:
    """Keep a file."""
    given: Upload = call.body
    request = file_calls.PutFileRequest(
        tenant=tenant_of(call), filename=given.filename, purpose=given.purpose, content=given.content
    )
    return upload_told((await stores.files.put(request)).file)


async def list_all(stores: Stores, call: StoresCall) -> wire.ObjectList:
    """Return a page of the tenant's files."""
    cursor = read_cursor(call.query, further=("purpose",), default=_MOST_OF_A_PAGE, most=_MOST_OF_A_PAGE)

    async def fetch(after: str, descending: bool, size: int) -> tuple[Sequence[StoredFile], bool]:
        request = file_calls.ListFilesRequest(
            tenant=tenant_of(call),
            after=after,
            page_size=size,
            descending=descending,
            purpose=cursor.others.get("purpose", ""),
        )
        page = await stores.files.list(request)
        return page.files, page.more

    return await page_of(cursor, fetch, upload_told)


async def get(stores: Stores, call: StoresCall) -> wire.FileObject:
    """Return a file."""
    request = file_calls.GetFileRequest(tenant_of(call), object_in(call, "file", "file"))
    return upload_told((await stores.files.get(request)).file)


async def content(stores: Stores, call: StoresCall) -> StoresAnswer:
    """Return a file's bytes."""
    request = file_calls.GetFileContentRequest(tenant_of(call), object_in(call, "file", "file"))
    return StoresAnswer((await stores.files.content(request)).content, _CONTENT_LINES)


async def delete(stores: Stores, call: StoresCall) -> wire.Deleted:
    """Delete a file, and have it found no more in any store."""
    file = object_in(call, "file", "file")
    if not (await stores.files.delete(file_calls.DeleteFileRequest(tenant_of(call), file))).existed:
        raise not_there("file", file)
    return wire.Deleted(id=file, object="file")
