from __future__ import annotations

from collections.abc import Awaitable
from datetime import timedelta
from typing import Any

import grpc
import msgspec
import pytest
from google.protobuf.empty_pb2 import Empty
from google.protobuf.unknown_fields import UnknownFieldSet

from penstock.cache.v1 import cache_service_pb2 as pb
from penstock.llm.v1 import generation_pb2 as gen
from penstock_common.contract.cache import (
    Hit,
    Invalidation,
    LookupRequest,
    LookupResponse,
    Probe,
    Scope,
    Stats,
    StoreRequest,
    probe_of,
)
from penstock_common.contract.wire.cache import GET_STATS, INVALIDATE, LOOKUP, STORE
from penstock_common.contract.wire.cache_entries import ROTATE_KEYS, SHRED_TENANT
from penstock_common.errors import InvalidRequest
from penstock_common.llm.events import StreamInvariants
from penstock_common.llm.types import (
    Candidate,
    Finished,
    FinishReason,
    GenerationEvent,
    GenerationInput,
    Message,
    Role,
    SamplingParams,
    Started,
    Text,
    TextDelta,
    UnitPrices,
    Usage,
)
from penstock_common.rpc.client import Channel
from penstock_common.status import error_from_rpc
from penstock_common.telemetry.steps import Step

SCOPE = Scope("acme", "fast")
CANDIDATE = Candidate(upstream="openai", model="gpt-4o-mini")
PRICES = UnitPrices(input_nano_usd=1)
STARTED = Started(generation_id="g", answered_by=CANDIDATE, unit_prices=PRICES)
CREATED_AT = 1_700_000_000.25


def _probe(text: str = "What is a penstock?", **sampling: Any) -> Probe:
    turn = Message(role=Role.USER, parts=(Text(text=text),))
    return probe_of(GenerationInput(model="fast", messages=(turn,), sampling=SamplingParams(**sampling)))


def _events(*texts: str, reason: FinishReason = FinishReason.STOP) -> tuple[GenerationEvent, ...]:
    return (
        STARTED,
        *[TextDelta(text=text) for text in texts],
        Usage(input_tokens=4, output_tokens=2),
        Finished(reason=reason, answered_by=CANDIDATE, attempts=1, unit_prices=PRICES),
    )


def _lookup(channel: Channel, scope: Scope = SCOPE, probe: Probe | None = None, **options: Any) -> Awaitable[Any]:
    return channel.call(LOOKUP, LookupRequest(scope=scope, probe=probe or _probe()), **options)


def _store(channel: Channel, *events: GenerationEvent, scope: Scope = SCOPE, **fields: Any) -> Awaitable[str]:
    request = StoreRequest(scope=scope, probe=fields.pop("probe", _probe()), events=events, **fields)
    return channel.call(STORE, request)


async def test_a_hit_returns_the_stored_events(channel: Channel) -> None:
    assert await _store(channel, *_events("A pipe."), created_at=CREATED_AT) == ""
    for _ in range(2):
        response = await _lookup(channel)
        assert response == LookupResponse(hit=Hit(events=_events("A pipe."), created_at=CREATED_AT, similarity=1.0))


async def test_a_hit_is_canonical_and_keeps_the_stream_invariants(channel: Channel) -> None:
    await _store(channel, *_events("A ", "pi", "pe."))
    response = await _lookup(channel)
    assert response.hit.events == _events("A pipe.")
    invariants = StreamInvariants()
    for event in response.hit.events:
        invariants.observe(event)
    invariants.end()


async def test_what_is_created_now_comes_back_to_the_nanosecond(channel: Channel) -> None:
    await _store(channel, *_events("A pipe."))
    first, second = await _lookup(channel), await _lookup(channel)
    assert first.hit.created_at == second.hit.created_at > CREATED_AT


async def test_a_miss_is_a_generation_and_nothing_else(channel: Channel) -> None:
    missed = await _lookup(channel)
    assert missed.generation
    assert missed == LookupResponse(generation=missed.generation)


async def test_a_bypass_says_why(channel: Channel) -> None:
    probe = _probe(temperature=1.0)
    response = await _lookup(channel, probe=probe)
    sentence = "The temperature is above the cache's limit of 0.3."
    assert response == LookupResponse(bypass_reason=sentence, miss_reason="temperature")
    assert await _store(channel, *_events("Hm."), probe=probe) == response.bypass_reason


@pytest.mark.parametrize(
    ("events", "reason"),
    [
        ((), "not a complete stream"),
        (_events("A pipe.")[:-1], "not a complete stream"),
        (_events("A pipe.", reason=FinishReason.LENGTH), "did not finish with stop"),
        (_events("A pipe.", reason=FinishReason.CONTENT_FILTER), "did not finish with stop"),
        (_events(), "no text"),
    ],
)
async def test_an_answer_that_may_not_serve_again_is_refused(
    channel: Channel, events: tuple[GenerationEvent, ...], reason: str
) -> None:
    assert reason in await _store(channel, *events)
    assert (await _lookup(channel)).hit is None


@pytest.mark.parametrize(
    "event", [gen.GenerationEvent(), gen.GenerationEvent(finished=gen.GenerationFinished(reason=77))]
)
async def test_an_answer_of_a_later_version_is_refused(
    channel: Channel, transport: str, event: gen.GenerationEvent
) -> None:
    """It could not be judged, and must not be kept."""
    if transport != "socket":
        pytest.skip("there is one version within a process")
    message = pb.StoreRequest.FromString(
        STORE.request.encode(StoreRequest(scope=SCOPE, probe=_probe(), events=_events("A pipe.")))
    )
    message.entry.events.insert(1, event)
    assert (await _refusal_of(channel, STORE.path, message.SerializeToString())).field == "entry.events"
    assert (await _lookup(channel)).hit is None


async def test_max_age_is_counted_from_the_creation(channel: Channel) -> None:
    await _store(channel, *_events("A pipe."), created_at=CREATED_AT)
    for max_age, hit in ((timedelta(seconds=60), False), (timedelta(seconds=10**9), True)):
        response = await channel.call(LOOKUP, LookupRequest(scope=SCOPE, probe=_probe(), max_age=max_age))
        assert (response.hit is not None) is hit


async def test_a_ttl_that_is_over_is_refused(channel: Channel) -> None:
    assert await _store(channel, *_events("A pipe."), ttl=timedelta()) == "The time to live is not positive."


async def test_another_tenant_or_model_misses(channel: Channel) -> None:
    await _store(channel, *_events("A pipe."))
    for scope in (Scope("rival", "fast"), Scope("acme", "large")):
        assert (await _lookup(channel, scope)).hit is None


async def test_another_question_misses(channel: Channel) -> None:
    await _store(channel, *_events("A pipe."))
    assert (await _lookup(channel, probe=_probe("What is a turbine?"))).hit is None


async def test_an_invalidation_counts_what_it_deletes(channel: Channel) -> None:
    for model in ("fast", "large"):
        await _store(channel, *_events("A pipe."), scope=Scope("acme", model))
    assert await channel.call(INVALIDATE, Invalidation(scope=Scope("acme", ""))) == 2
    assert (await _lookup(channel)).hit is None


async def test_every_tenant_is_invalidated_where_that_is_said(channel: Channel) -> None:
    for tenant in ("acme", "rival"):
        await _store(channel, *_events("A pipe."), scope=Scope(tenant, "fast"))
    assert await channel.call(INVALIDATE, Invalidation(scope=Scope("", "fast"), every_tenant=True)) == 2
    with pytest.raises(InvalidRequest) as caught:
        await channel.call(INVALIDATE, Invalidation(scope=SCOPE, every_tenant=True))
    assert caught.value.field == "every_tenant"


async def test_what_was_invalidated_meanwhile_is_not_kept(channel: Channel) -> None:
    missed = await _lookup(channel)
    assert missed.generation
    await channel.call(INVALIDATE, Invalidation(scope=SCOPE))
    assert await _store(channel, *_events("A pipe."), generation=missed.generation) != ""
    assert (await _lookup(channel)).hit is None


async def test_a_shredded_tenant_has_no_entry_and_others_have_theirs(channel: Channel) -> None:
    for tenant in ("acme", "rival"):
        await _store(channel, *_events("A pipe."), scope=Scope(tenant, "fast"))
    assert await channel.call(SHRED_TENANT, "acme") == 1
    assert (await _lookup(channel)).hit is None
    assert (await _lookup(channel, scope=Scope("rival", "fast"))).hit is not None
    with pytest.raises(InvalidRequest) as caught:
        await channel.call(SHRED_TENANT, "")
    assert caught.value.field == "scope.tenant"


async def test_a_rotation_counts_tenants_that_have_keys(channel: Channel) -> None:
    assert await channel.call(ROTATE_KEYS, "acme") == 0
    assert await channel.call(ROTATE_KEYS, "") == 0


async def test_stats_count_since_the_start(channel: Channel) -> None:
    await _lookup(channel)
    await _store(channel, *_events("A pipe."))
    await _store(channel)
    await _lookup(channel)
    stats = await channel.call(GET_STATS, None)
    assert stats == Stats(memory_hits=1, misses=1, stores=1, refusals=1, memory_entries=1)


async def test_a_scope_without_a_tenant_is_refused(channel: Channel) -> None:
    nobodys = Scope("", "fast")
    for call in (
        _lookup(channel, nobodys),
        _store(channel, *_events("A pipe."), scope=nobodys),
        channel.call(INVALIDATE, Invalidation(scope=nobodys)),
    ):
        with pytest.raises(InvalidRequest) as caught:
            await call
        assert caught.value.field == "scope.tenant"


async def test_a_lookup_leaves_its_step(channel: Channel) -> None:
    steps: list[Step] = []
    await _lookup(channel, steps=steps)
    await _store(channel, *_events("A pipe."))
    await _lookup(channel, steps=steps)
    await _lookup(channel, probe=_probe(temperature=1), steps=steps)
    assert [step.attributes for step in steps] == [
        {"result": "miss"},
        {"result": "hit", "tier": "memory"},
        {"result": "bypass"},
    ]
    assert all(step.name == "cache.lookup" and step.end_ns >= step.start_ns for step in steps)


async def test_an_answer_of_many_megabytes_passes(channel: Channel) -> None:
    events = _events("x" * (6 * 1024 * 1024))
    assert await _store(channel, *events) == ""
    assert (await _lookup(channel)).hit.events == events


# Versions side by side


# What a gateway of 0.1 sends: scope = 1 (tenant = 1, model = 2), input = 2 (model = 1), in Store an entry = 3.
_OLD_LOOKUP = b"\x0a\x0c\x0a\x04acme\x12\x04fast" + b"\x12\x06\x0a\x04fast"
_OLD_STORE = _OLD_LOOKUP + b"\x1a\x00"


@pytest.mark.parametrize(("path", "old"), [(LOOKUP.path, _OLD_LOOKUP), (STORE.path, _OLD_STORE)])
async def test_a_gateway_of_0_1_is_refused_and_never_given_anothers_answer(
    channel: Channel, transport: str, path: str, old: bytes
) -> None:
    if transport != "socket":
        pytest.skip("there is one version within a process")
    await _store(channel, *_events("A pipe."))
    assert (await _refusal_of(channel, path, old)).field == "probe.digest"


def test_a_cache_of_0_1_finds_no_scope_in_what_this_version_sends() -> None:
    """It refuses what names no tenant, so a conversation that it does not find cannot be taken for an empty one."""
    asked = LookupRequest(scope=SCOPE, probe=_probe(), max_age=timedelta(seconds=1))
    kept = StoreRequest(scope=SCOPE, probe=_probe(), events=_events("A pipe."), ttl=timedelta(seconds=1))
    for message in (LOOKUP.request.encode(asked), STORE.request.encode(kept)):
        numbers = {field.field_number for field in UnknownFieldSet(Empty.FromString(message))}
        assert {5, 6} <= numbers
        assert not numbers & {1, 2}


async def test_a_digest_of_another_form_is_a_miss(channel: Channel) -> None:
    """As caches and gateways of different versions make them."""
    await _store(channel, *_events("A pipe."))
    other = msgspec.structs.replace(_probe(), digest=bytes(32))
    assert (await _lookup(channel, probe=other)).hit is None


async def _refusal_of(channel: Any, path: str, message: bytes) -> InvalidRequest:
    """Send what a gateway of another version would."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await channel._channel.unary_unary(path)(message)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    error = error_from_rpc(caught.value)
    assert isinstance(error, InvalidRequest)
    return error
