"""What is done with files that are there: an id tells whether they are a batch's, or for vector stores."""

from __future__ import annotations

import heapq
from collections.abc import Sequence

import msgspec

from penstock_common.contract import file_calls
from penstock_gateway.domain.access.identity import KeyScope
from penstock_gateway.domain.batches import files as kept
from penstock_gateway.domain.batches.files import FileFilter, KeptFile
from penstock_gateway.surfaces.wire_formats.answer_head import JSON_LINE
from penstock_gateway.surfaces.wire_formats.keeping import KeptCall, KeptParts, StoresAnswer, StreamedAnswer
from penstock_gateway.surfaces.wire_formats.openai.files.render import kept_told, upload_told
from penstock_gateway.surfaces.wire_formats.openai.vector_stores import wire
from penstock_gateway.surfaces.wire_formats.openai.vector_stores.common import not_there, object_in, tenant_of
from penstock_gateway.surfaces.wire_formats.openai.vector_stores.paging import Cursor, page_of, read_cursor

_MOST_OF_A_PAGE = 10_000
# Whatever it is, no browser is to show it.
_CONTENT_LINES = b"content-type: application/octet-stream\r\nx-content-type-options: nosniff\r\n"
_ATTACHED_LINE = b"content-disposition: attachment\r\n"
_encode = msgspec.json.Encoder().encode


async def list_all(parts: KeptParts, call: KeptCall) -> StoresAnswer:
    """Return a page of the files that the caller sees, those of batches and those for vector stores in one order."""
    cursor = read_cursor(call.query, further=("purpose",), default=_MOST_OF_A_PAGE, most=_MOST_OF_A_PAGE)

    async def fetch(after: str, descending: bool, size: int) -> tuple[Sequence[wire.FileObject], bool]:
        found = [
            *await _of_batches(parts, call, cursor, FileFilter(tenant="", after=after, descending=descending), size)
        ]
        others, more = await _of_stores(parts, call, cursor, (after, descending, size))
        merged = list(heapq.merge(found, others, key=lambda file: file.id, reverse=descending))
        return merged[:size], more or len(merged) > size

    return StoresAnswer(_encode(await page_of(cursor, fetch, lambda file: file)), JSON_LINE)


async def get(parts: KeptParts, call: KeptCall) -> StoresAnswer:
    """Return a file."""
    file = object_in(call, "file", "file")
    if kept.is_here(file):
        return StoresAnswer(_encode(kept_told(await parts.desk.file(call.caller, file))), JSON_LINE)
    _check_sight(parts, call, file)
    request = file_calls.GetFileRequest(tenant_of(call), file)
    return StoresAnswer(_encode(upload_told((await parts.stores.files.get(request)).file)), JSON_LINE)


async def content(parts: KeptParts, call: KeptCall) -> StoresAnswer | StreamedAnswer:
    """Return a file's bytes."""
    file = object_in(call, "file", "file")
    if kept.is_here(file):
        found = await parts.desk.file(call.caller, file)
        named = b'content-disposition: attachment; filename="%b"\r\n' % _harmless(found)
        return StreamedAnswer(kept.pieces_of(parts.desk.files, found), found.bytes, _CONTENT_LINES + named)
    _check_sight(parts, call, file)
    request = file_calls.GetFileContentRequest(tenant_of(call), file)
    whole = (await parts.stores.files.content(request)).content
    return StoresAnswer(whole, _CONTENT_LINES + _ATTACHED_LINE)


async def delete(parts: KeptParts, call: KeptCall) -> StoresAnswer:
    """Delete a file; one for vector stores is found no more in any."""
    file = object_in(call, "file", "file")
    if kept.is_here(file):
        await parts.desk.delete_file(call.caller, file)
    else:
        _check_sight(parts, call, file)
        if not (await parts.stores.files.delete(file_calls.DeleteFileRequest(tenant_of(call), file))).existed:
            raise not_there("file", file)
    return StoresAnswer(_encode(wire.Deleted(id=file, object="file")), JSON_LINE)


def _check_sight(parts: KeptParts, call: KeptCall, file: str) -> None:
    """Check that there are files for vector stores, as far as the caller may know."""
    if not _sees_stores(parts, call):
        raise not_there("file", file)


def _sees_stores(parts: KeptParts, call: KeptCall) -> bool:
    return parts.stores.has_files and KeyScope.ADMIN in call.caller.scopes


async def _of_batches(
    parts: KeptParts, call: KeptCall, cursor: Cursor, wanted: FileFilter, size: int
) -> list[wire.FileObject]:
    purpose = cursor.others.get("purpose", "")
    if purpose and purpose not in kept.PURPOSES:
        return []
    of_tenant = msgspec.structs.replace(wanted, tenant=tenant_of(call), purpose=purpose)
    return [kept_told(file) for file in await parts.desk.list_files(call.caller, of_tenant, size + 1)]


async def _of_stores(
    parts: KeptParts, call: KeptCall, cursor: Cursor, wanted: tuple[str, bool, int]
) -> tuple[list[wire.FileObject], bool]:
    """Return a page of the embedding service's files, for those who may see them, where there is such a service."""
    purpose, (after, descending, size) = cursor.others.get("purpose", ""), wanted
    if purpose in kept.PURPOSES or not _sees_stores(parts, call):
        return [], False
    request = file_calls.ListFilesRequest(
        tenant=tenant_of(call), after=after, page_size=size, descending=descending, purpose=purpose
    )
    page = await parts.stores.files.list(request)
    return [upload_told(file) for file in page.files], page.more


def _harmless(file: KeptFile) -> bytes:
    """Return a file's name as it may stand in a header's quotes."""
    return (
        "".join(letter if letter.isalnum() or letter in "._- " else "_" for letter in file.filename)
        .encode("ascii", "replace")
        .replace(b"?", b"_")
    )
