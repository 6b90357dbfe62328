from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import msgspec
import pytest

from penstock_cache.app import build
from penstock_cache.settings import Settings
from penstock_common.configuration import ConfigurationError
from penstock_common.contract.cache import (
    Deletion,
    Dispute,
    EntryFilter,
    EntryQuery,
    EntryRecord,
    ExplainRequest,
    LookupRequest,
    Origin,
    Probe,
    Scope,
    StoreRequest,
    meaning_of,
    probe_of,
)
from penstock_common.contract.wire.cache import GET_STATS, LOOKUP, STORE
from penstock_common.contract.wire.cache_entries import (
    DELETE_ENTRIES,
    DISPUTE,
    EXPLAIN,
    LIST_ENTRIES,
    ROTATE_KEYS,
    SHRED_TENANT,
)
from penstock_common.errors import InvalidRequest, ResourceState, ServiceUnavailable
from penstock_common.llm.types import (
    Candidate,
    Finished,
    FinishReason,
    GenerationEvent,
    GenerationInput,
    Message,
    Role,
    Started,
    Text,
    TextDelta,
    Usage,
)
from penstock_common.rpc.client import Channel
from penstock_common.rpc.in_process import InProcessChannel
from penstock_common.testing.transports import channel_to
from penstock_embedding.app import build as build_embedding
from penstock_embedding.settings import Settings as EmbeddingSettings

SCOPE = Scope("acme", "fast")
QUESTION, SPACED = "What is the capital city of France?", "What is the  capital city of France?"


def _probe(text: str) -> Probe:
    turn = Message(role=Role.USER, parts=(Text(text=text),))
    request = GenerationInput(model="fast", messages=(turn,))
    return msgspec.structs.replace(probe_of(request), meaning=meaning_of(request))


def _events(text: str) -> tuple[GenerationEvent, ...]:
    candidate = Candidate(upstream="openai", model="gpt-4o-mini")
    return (
        Started(generation_id="g", answered_by=candidate),
        TextDelta(text=text),
        Usage(input_tokens=7, output_tokens=3),
        Finished(reason=FinishReason.STOP, answered_by=candidate, cost_nano_usd=5),
    )


def _settings(tmp_path: Path, **cache: object) -> Settings:
    key_file = tmp_path / "cache.key"
    key_file.write_bytes(os.urandom(32).hex().encode())
    return Settings.model_validate(
        {
            "secrets": {"cache_key_file": str(key_file)},
            "cache": {"mode": "semantic", **cache},
            "qdrant": {"path": str(tmp_path / "points"), "timeout": "20s"},
        }
    )


@pytest.fixture
async def semantic(transport: str, tmp_path: Path) -> AsyncIterator[Channel]:
    settings = _settings(tmp_path, semantic={"timeout": "20s"})
    async with (
        build_embedding(EmbeddingSettings()) as embedding,
        build(settings, InProcessChannel(embedding.handlers)) as service,
        channel_to(service, transport) as channel,
    ):
        yield channel


async def _stored(channel: Channel, question: str = QUESTION, answer: str = "Paris.") -> EntryRecord:
    """Return the entry that stands for a stored answer, as soon as it is kept."""
    request = StoreRequest(SCOPE, _probe(question), _events(answer), tags=("geo",), origin=Origin.IMPORTED)
    while True:
        assert await channel.call(STORE, request) == ""
        page = await channel.call(LIST_ENTRIES, EntryQuery(EntryFilter(SCOPE), with_content=True))
        found = [entry for entry in page.entries if entry.question == question]
        if found:
            return found[0]
        await asyncio.sleep(0)


async def test_an_entry_is_served_explained_counted_deleted_disputed_and_shredded(semantic: Channel) -> None:
    entry = await _stored_when_ready(semantic)
    assert (entry.model, entry.answer, entry.tags, entry.origin) == ("fast", "Paris.", ("geo",), Origin.IMPORTED)
    response = await semantic.call(LOOKUP, LookupRequest(SCOPE, _probe(SPACED)))
    assert response.hit is not None and response.hit.by_meaning
    assert (response.hit.entry_id, response.hit.origin) == (entry.entry_id, Origin.IMPORTED)
    assert response.vector_model and len(response.vector) == 4 * 384
    stats = await semantic.call(GET_STATS, None)
    assert (stats.semantic_hits, stats.saved_tokens, stats.saved_nano_usd, stats.semantic_trouble) == (1, 10, 5, "")
    told = await semantic.call(EXPLAIN, ExplainRequest(SCOPE, QUESTION, "What is the capital city of Germany?"))
    assert (told.served, told.reason) == (False, "entity")
    assert 0.5 < told.similarity < 1 and told.floor == 0.5 and told.threshold > 0.5
    for text in ("", "   ", "x" * 8193):
        with pytest.raises(InvalidRequest) as refused:
            await semantic.call(EXPLAIN, ExplainRequest(SCOPE, QUESTION, text))
        assert refused.value.field == "asked"
    assert await semantic.call(ROTATE_KEYS, "acme") == 1
    assert (await semantic.call(LOOKUP, LookupRequest(SCOPE, _probe(SPACED)))).hit is not None
    only = EntryFilter(Scope("acme", ""), entry_ids=(entry.entry_id,))
    assert await semantic.call(DELETE_ENTRIES, Deletion(only, dry_run=True)) == 1
    assert await semantic.call(DELETE_ENTRIES, Deletion(only)) == 1
    assert (await semantic.call(LOOKUP, LookupRequest(SCOPE, _probe(SPACED)))).hit is None
    again = await _stored(semantic)
    assert await semantic.call(DISPUTE, Dispute(SCOPE, again.entry_id))
    assert not await semantic.call(DISPUTE, Dispute(SCOPE, again.entry_id))
    await _stored(semantic, "How high is Mont Blanc?", "4,806 m.")
    assert await semantic.call(SHRED_TENANT, "acme") >= 1
    assert (await semantic.call(LIST_ENTRIES, EntryQuery(EntryFilter(SCOPE)))).entries == ()


async def _stored_when_ready(channel: Channel) -> EntryRecord:
    while True:
        # The embedding model is asked for the first time.
        with suppress(ServiceUnavailable):
            return await _stored(channel)
        await asyncio.sleep(0)


async def test_a_cache_of_equal_requests_has_no_entries(channel: Channel) -> None:
    assert (await channel.call(LIST_ENTRIES, EntryQuery(EntryFilter(SCOPE)))).entries == ()
    entry_id = "11111111-2222-3333-4444-555555555555"
    assert await channel.call(DELETE_ENTRIES, Deletion(EntryFilter(SCOPE, entry_ids=(entry_id,)))) == 0
    for others in (EntryFilter(SCOPE), EntryFilter(SCOPE, tag="faq"), EntryFilter(SCOPE, user="ann")):
        with pytest.raises(ResourceState, match="penstock cache clear"):
            await channel.call(DELETE_ENTRIES, Deletion(others))
    assert not await channel.call(DISPUTE, Dispute(SCOPE, entry_id))
    with pytest.raises(ResourceState, match="cache.mode: semantic"):
        await channel.call(EXPLAIN, ExplainRequest(SCOPE, "a", "b"))


@pytest.mark.parametrize("method", [LIST_ENTRIES, DELETE_ENTRIES])
async def test_a_tenant_is_required(channel: Channel, method: object) -> None:
    nobody = EntryFilter(Scope("", "fast"))
    with pytest.raises(InvalidRequest, match="names no tenant"):
        if method is LIST_ENTRIES:
            await channel.call(LIST_ENTRIES, EntryQuery(nobody))
        else:
            await channel.call(DELETE_ENTRIES, Deletion(nobody))


async def test_without_an_embedding_service_nothing_starts(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"services\.embedding\.target' is missing"):
        async with build(_settings(tmp_path)):
            pass
