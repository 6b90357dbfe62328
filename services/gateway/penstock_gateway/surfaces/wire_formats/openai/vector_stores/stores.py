"""Vector stores: knowledge bases in OpenAI's words."""

from __future__ import annotations

import secrets
import time
from collections.abc import Sequence
from typing import Any

import msgspec

from penstock_common.contract import file_calls, knowledge_calls
from penstock_common.contract.knowledge import IndexSpec, KnowledgeBase
from penstock_common.errors import InvalidRequest, PenstockError, UnsupportedParameter
from penstock_gateway.domain.knowledge.files import Stores
from penstock_gateway.surfaces.wire_formats.json_body import read_members, read_object
from penstock_gateway.surfaces.wire_formats.keeping import StoresCall
from penstock_gateway.surfaces.wire_formats.openai.vector_stores import wire
from penstock_gateway.surfaces.wire_formats.openai.vector_stores.attributes import read_attributes
from penstock_gateway.surfaces.wire_formats.openai.vector_stores.common import no_store, store_in, tenant_of
from penstock_gateway.surfaces.wire_formats.openai.vector_stores.paging import page_of, read_cursor
from penstock_gateway.surfaces.wire_formats.openai.vector_stores.render import store_told
from penstock_gateway.surfaces.wire_formats.openai.vector_stores.strategy import splitter_of

_CREATION = msgspec.json.Decoder(wire.StoreCreation)
_CHANGE = msgspec.json.Decoder(wire.StoreChange)
_CHOICES = {"chunking_strategy.type": "'auto' or 'static'"}
_MAX_NAME = 256
_ID_BYTES = 4


def parse_creation(body: bytes) -> wire.StoreCreation:
    """Return what a new store is to be; a body may be absent.

    Raises:
        InvalidRequest, UnsupportedParameter: if that cannot be had.
    """
    if not body:
        return wire.StoreCreation()
    read_members(body)
    creation = read_object(_CREATION, body, _CHOICES)
    _refuse(creation.expires_after, "expires_after", "Stores stay until they are deleted; leave it out.")
    _refuse(creation.description, "description", "Say it in 'metadata'.")
    _check_name(creation.name)
    splitter_of(creation.chunking_strategy)
    return creation


def parse_change(body: bytes) -> wire.StoreChange:
    """Return what is to change of a store.

    Raises:
        InvalidRequest, UnsupportedParameter: if that cannot be had.
    """
    read_members(body)
    change = read_object(_CHANGE, body)
    _refuse(change.expires_after, "expires_after", "Stores stay until they are deleted; leave it out.")
    _check_name(change.name)
    return change


async def create(stores: Stores, call: StoresCall) -> wire.VectorStore:
    """Make a store, and attach the files that it is to have; without them all, none is made."""
    creation: wire.StoreCreation = call.body
    tenant = tenant_of(call)
    request = knowledge_calls.PutBaseRequest(
        tenant=tenant,
        id=f"vs_{time.time_ns():016x}{secrets.token_hex(_ID_BYTES)}",
        name=creation.name or "",
        attributes=read_attributes(creation.metadata, "metadata"),
        spec=IndexSpec(splitter=splitter_of(creation.chunking_strategy)),
        create_only=True,
    )
    base = (await stores.knowledge.put_base(request)).base
    if not creation.file_ids:
        return store_told(base)
    attachments = [file_calls.Attachment(file) for file in creation.file_ids]
    try:
        await stores.files.attach(file_calls.AttachFilesRequest(tenant=tenant, base=base.id, files=attachments))
    except PenstockError:
        await stores.knowledge.delete_base(knowledge_calls.DeleteBaseRequest(tenant, base.id))
        raise
    return store_told(await _base(stores, tenant, base.id))


async def list_all(stores: Stores, call: StoresCall) -> wire.ObjectList:
    """Return a page of the tenant's stores."""

    async def fetch(after: str, descending: bool, size: int) -> tuple[Sequence[KnowledgeBase], bool]:
        request = knowledge_calls.ListBasesRequest(tenant_of(call), size, after, descending)
        page = await stores.knowledge.list_bases(request)
        return page.bases, bool(page.next_page_token)

    return await page_of(read_cursor(call.query), fetch, store_told)


async def get(stores: Stores, call: StoresCall) -> wire.VectorStore:
    """Return a store."""
    return store_told(await _base(stores, tenant_of(call), store_in(call)))


async def change(stores: Stores, call: StoresCall) -> wire.VectorStore:
    """Change a store's name and metadata; what is not given stays."""
    asked: wire.StoreChange = call.body
    tenant, store = tenant_of(call), store_in(call)
    base = await _base(stores, tenant, store)
    metadata = asked.metadata
    request = knowledge_calls.PutBaseRequest(
        tenant=tenant,
        id=store,
        name=base.name if asked.name is None else asked.name,
        attributes=base.attributes if metadata is None else read_attributes(metadata, "metadata"),
        change_only=True,
    )
    return store_told((await stores.knowledge.put_base(request)).base)


async def delete(stores: Stores, call: StoresCall) -> wire.Deleted:
    """Delete a store with all that is found in it; the files stay."""
    store = store_in(call)
    deleted = await stores.knowledge.delete_base(knowledge_calls.DeleteBaseRequest(tenant_of(call), store))
    if not deleted.existed:
        raise no_store(store)
    return wire.Deleted(id=store, object="vector_store.deleted")


async def _base(stores: Stores, tenant: str, store: str) -> KnowledgeBase:
    return (await stores.knowledge.get_base(knowledge_calls.GetBaseRequest(tenant, store))).base


def _refuse(value: Any, name: str, instead: str) -> None:
    if value is not None:
        raise UnsupportedParameter(f"'{name}' is not supported. {instead}", parameter=name)


def _check_name(name: str | None) -> None:
    if name is not None and (len(name) > _MAX_NAME or "\0" in name):
        raise InvalidRequest(f"'name' must have at most {_MAX_NAME} characters, none of them NUL.", field="name")
