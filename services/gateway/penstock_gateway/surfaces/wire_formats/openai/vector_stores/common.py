"""What the actions on vector stores and files have in common: whose they are, what they name, how failures are told."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable

import msgspec

from penstock_common.contract import knowledge_calls as calls
from penstock_common.contract.knowledge import IndexSpec
from penstock_common.errors import InvalidRequest, ResourceNotFound, UnsupportedParameter
from penstock_gateway.domain.knowledge.files import Stores
from penstock_gateway.surfaces.wire_formats.answer_head import JSON_LINE
from penstock_gateway.surfaces.wire_formats.keeping import StoresAnswer, StoresCall
from penstock_gateway.surfaces.wire_formats.openai.vector_stores import wire

Run = Callable[[Stores, StoresCall], Awaitable[object]]
_encode = msgspec.json.Encoder().encode
_STORE_ID = re.compile(r"[a-z0-9_-]{1,64}")
_OBJECT_ID = re.compile(r"[!-~]{1,128}")
_ATTRIBUTE = re.compile(r"attributes\[")
# The contract's paths, to OpenAI's; the longest first.
_PARAMS = (
    ("spec.splitter.max_tokens", "chunking_strategy.static.max_chunk_size_tokens"),
    ("splitter.max_tokens", "chunking_strategy.static.max_chunk_size_tokens"),
    ("spec.splitter.overlap_tokens", "chunking_strategy.static.chunk_overlap_tokens"),
    ("splitter.overlap_tokens", "chunking_strategy.static.chunk_overlap_tokens"),
    ("spec.splitter", "chunking_strategy"),
    ("options.filter", "filters"),
    ("options.limit", "max_num_results"),
    ("options.min_score", "ranking_options.score_threshold"),
    ("labels", "penstock_labels"),
    ("content", "file_id"),
)


def answering(run: Run) -> Callable[[Stores, StoresCall], Awaitable[StoresAnswer]]:
    """Return what answers with the object that ``run`` returns."""

    async def answer(stores: Stores, call: StoresCall) -> StoresAnswer:
        return StoresAnswer(_encode(await run(stores, call)), JSON_LINE)

    return answer


def tenant_of(call: StoresCall) -> str:
    """Return whose documents a request is about."""
    return call.caller.tenant.name


def store_in(call: StoresCall) -> str:
    """Return the vector store that the path names.

    Raises:
        ResourceNotFound: if nothing could have such an id.
    """
    store = call.names["store"]
    if not _STORE_ID.fullmatch(store):
        raise no_store(store)
    return store


def object_in(call: StoresCall, name: str, kind: str) -> str:
    """Return the id that the path names.

    Raises:
        ResourceNotFound: if nothing could have it.
    """
    value = call.names[name]
    if not _OBJECT_ID.fullmatch(value):
        raise not_there(kind, value)
    return value


def no_store(store: str) -> ResourceNotFound:
    """Return why a store is not found, whether it is another's or nobody's."""
    return not_there("vector store", store)


def not_there(kind: str, name: str) -> ResourceNotFound:
    """Return why something is not found, whether it is another's or nobody's."""
    return ResourceNotFound(f"There is no {kind} '{name[:128]}'.", kind=kind, name=name)


async def spec_of(stores: Stores, tenant: str, store: str) -> IndexSpec | None:
    """Return what a store's files are cut by: its serving index, else its newest; None while there is none."""
    indexes = (await stores.knowledge.list_indexes(calls.ListIndexesRequest(tenant, store))).indexes
    serving = next((index for index in indexes if index.state == "serving"), None)
    return serving.spec if serving is not None else indexes[0].spec if indexes else None


def in_openais_words(error: Exception, call: StoresCall) -> Exception:
    """Return the error with OpenAI's names for what was asked."""
    if isinstance(error, ResourceNotFound):
        return _missing(error, call)
    if isinstance(error, UnsupportedParameter):
        return UnsupportedParameter(*_renamed(error.message, error.parameter, call))
    # Those of its kinds have a status of their own.
    return InvalidRequest(*_renamed(error.message, error.field, call)) if type(error) is InvalidRequest else error


def _missing(error: ResourceNotFound, call: StoresCall) -> ResourceNotFound:
    if error.kind == "knowledge base":
        return no_store(error.name or call.names.get("store", ""))
    if error.kind == "document":
        return not_there("file", error.name or call.names.get("file", ""))
    return error


def _renamed(message: str, field: str, call: StoresCall) -> tuple[str, str]:
    if _ATTRIBUTE.match(field):
        # The message names which of them.
        return message, "metadata" if isinstance(call.body, wire.StoreCreation | wire.StoreChange) else "attributes"
    for ours, theirs in _PARAMS:
        if field == ours or field.startswith((f"{ours}.", f"{ours}[")):
            param = theirs + field.removeprefix(ours)
            return message.replace(field, f"'{param}'"), param
    return message, field
