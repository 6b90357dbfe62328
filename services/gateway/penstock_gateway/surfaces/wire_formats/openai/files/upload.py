"""Takes uploaded files in: those of batches piece by piece, those of vector stores whole."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import aclosing
from datetime import timedelta

import msgspec

from penstock_common.contract import file_calls
from penstock_common.errors import InvalidRequest
from penstock_gateway.domain.access.identity import KeyScope
from penstock_gateway.domain.access.policy import Policy
from penstock_gateway.domain.batches.desk import check_ttl
from penstock_gateway.domain.batches.files import INPUT, FileWriter, KeptFile
from penstock_gateway.surfaces.http1.failures import BodyTooLarge
from penstock_gateway.surfaces.wire_formats.answer_head import JSON_LINE
from penstock_gateway.surfaces.wire_formats.json_body import shortened
from penstock_gateway.surfaces.wire_formats.keeping import FormBody, KeptCall, KeptParts, StoresAnswer
from penstock_gateway.surfaces.wire_formats.openai.files.form import FileBegins, Part, parts_of
from penstock_gateway.surfaces.wire_formats.openai.files.render import kept_told, upload_told
from penstock_gateway.surfaces.wire_formats.openai.vector_stores.wire import FileObject

STORES = Policy.any_of(KeyScope.ADMIN)
"""Who may keep files for vector stores, and see them."""
_OF_STORES = ("assistants", "user_data")
PURPOSES = (INPUT, *_OF_STORES)
"""Others are for what is not here: training, pictures, evaluations."""
# Of a file whose purpose follows it, or that is for vector stores: the embedding service takes it whole.
MOST_WHOLE_BYTES = 32 * 1024 * 1024
_ANCHOR, _SECONDS = "expires_after[anchor]", "expires_after[seconds]"
_COPIES_OF_A_FORM = 2
_MOST_DIGITS = 9
_encode = msgspec.json.Encoder().encode


async def upload(parts: KeptParts, call: KeptCall) -> StoresAnswer:
    """Keep a file."""
    body: FormBody = call.body
    taken = _Taken(parts, call, body)
    try:
        async with aclosing(parts_of(body.pieces(), body.content_type)) as form:
            async for part in form:
                await taken.take(part)
    finally:
        await taken.give_up()
    return StoresAnswer(_encode(taken.told), JSON_LINE)


class _Taken:
    """A file that is being uploaded: to where batches' files are kept, or in memory while its purpose is not known to be that."""

    def __init__(self, parts: KeptParts, call: KeptCall, body: FormBody) -> None:
        self._parts = parts
        self._call = call
        self._body = body
        self._filename = ""
        self._writer: FileWriter | None = None
        self._held = bytearray()
        self.told: FileObject | None = None
        """The file as it is kept, once it is."""

    async def take(self, part: Part) -> None:
        """Take the form's next part."""
        if isinstance(part, FileBegins):
            await self.begin(part)
        elif isinstance(part, bytes):
            await self.write(part)
        else:
            self.told = await self.end(part.fields)

    async def begin(self, head: FileBegins) -> None:
        """See the file begin; where its purpose is known to be a batch's, it is kept as it comes."""
        self._filename = head.filename
        purpose = head.fields.get("purpose")
        if purpose is not None:
            _check_purpose(purpose)
        if purpose == INPUT:
            # What is not there yet may follow the file.
            ttl = _ttl_in(head.fields) if head.fields.keys() >= {_ANCHOR, _SECONDS} else None
            self._writer = await self._parts.desk.new_file(self._call.caller, head.filename, ttl)
        elif purpose is not None:
            STORES.require(self._call.caller.scopes)

    async def write(self, piece: bytes) -> None:
        """Take the file's next bytes."""
        most = self._parts.desk.terms.max_file_bytes
        if self._writer is not None:
            if self._writer.size_bytes + len(piece) > most:
                raise BodyTooLarge(f"'file' is larger than {most} bytes (batches.max_file_bytes).")
            await self._writer.write(piece)
            return
        size = len(self._held) + len(piece)
        if size > MOST_WHOLE_BYTES:
            text = (
                f"'file' is larger than {MOST_WHOLE_BYTES} bytes. One for a batch may be: put 'purpose' before 'file'."
            )
            raise BodyTooLarge(text)
        self._body.hold(_COPIES_OF_A_FORM * size)
        self._held += piece

    async def end(self, fields: Mapping[str, str]) -> FileObject:
        """Keep the file, and return what is told of it."""
        purpose = fields["purpose"]
        _check_purpose(purpose)
        if purpose == INPUT:
            return kept_told(await self._keep(_ttl_in(fields)))
        STORES.require(self._call.caller.scopes)
        if _ANCHOR in fields or _SECONDS in fields:
            raise InvalidRequest(f"'expires_after' is for files of purpose '{INPUT}' alone.", field=_SECONDS)
        request = file_calls.PutFileRequest(
            tenant=self._call.caller.tenant.name,
            filename=self._filename,
            purpose=purpose,
            content=bytes(self._held),
        )
        return upload_told((await self._parts.stores.files.put(request)).file)

    async def give_up(self) -> None:
        """Have nothing be left of what was not kept."""
        if self._writer is not None:
            await self._writer.discard()

    async def _keep(self, ttl: timedelta | None) -> KeptFile:
        desk = self._parts.desk
        if self._writer is None:
            self._writer = await desk.new_file(self._call.caller, self._filename, ttl)
            whole = bytes(self._held)
            # What writes it has a copy, too, and two are counted.
            self._held.clear()
            await self._writer.write(whole)
        elif ttl is not None:
            check_ttl(ttl, "expires_after.seconds")
            self._writer.expire_after(ttl)
        kept, self._writer = await desk.keep(self._writer), None
        return kept


def _check_purpose(purpose: str) -> None:
    if purpose not in PURPOSES:
        *most, last = (f"'{name}'" for name in PURPOSES)
        known = f"{', '.join(most)} or {last}"
        raise InvalidRequest(f"'purpose' must be {known}, but is '{shortened(purpose)}'.", field="purpose")


def _ttl_in(fields: Mapping[str, str]) -> timedelta | None:
    anchor, seconds = fields.get(_ANCHOR), fields.get(_SECONDS)
    if anchor is None and seconds is None:
        return None
    if anchor != "created_at":
        raise InvalidRequest(f"'{_ANCHOR}' must be 'created_at'.", field=_ANCHOR)
    if seconds is None or not (seconds.isascii() and seconds.isdecimal() and len(seconds) <= _MOST_DIGITS):
        raise InvalidRequest(f"'{_SECONDS}' must be a whole number of seconds.", field=_SECONDS)
    return timedelta(seconds=int(seconds))
