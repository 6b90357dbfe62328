from __future__ import annotations

from typing import Any

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from penstock.cache.v1 import cache_service_pb2 as pb
from penstock.llm.v1 import generation_pb2 as gen
from penstock.llm.v1 import message_pb2 as msg
from penstock_common.errors import InvalidRequest
from penstock_common.llm.convert import event_from_proto
from penstock_common.llm.events import StreamInvariants
from penstock_common.status import error_from_rpc
from penstock_common.telemetry.steps import steps_from_metadata

SCOPE = pb.CacheScope(tenant="acme", model="fast")
CANDIDATE = gen.Candidate(upstream="openai", model="gpt-4o-mini")
PRICES = gen.UnitPrices(input_nano_usd=1)
STARTED = gen.GenerationStarted(generation_id="g", answered_by=CANDIDATE, unit_prices=PRICES)


def _input(text: str = "What is a penstock?", **sampling: Any) -> gen.GenerationInput:
    turn = msg.Message(role=msg.ROLE_USER, parts=[msg.ContentPart(text=text)])
    return gen.GenerationInput(model="fast", messages=[turn], sampling=gen.SamplingParams(**sampling))


def _entry(*texts: str, reason: int = gen.FINISH_REASON_STOP) -> pb.CacheEntry:
    return pb.CacheEntry(
        events=[
            gen.GenerationEvent(started=STARTED),
            *[gen.GenerationEvent(text_delta=gen.TextDelta(text=text)) for text in texts],
            gen.GenerationEvent(usage=gen.TokenUsage(input_tokens=4, output_tokens=2)),
            gen.GenerationEvent(
                finished=gen.GenerationFinished(reason=reason, answered_by=CANDIDATE, attempts=1, unit_prices=PRICES)
            ),
        ],
        create_time=Timestamp(seconds=1_700_000_000, nanos=250_000_000),
    )


async def test_a_hit_returns_the_stored_events(stub: Any) -> None:
    entry = _entry("A pipe.")
    stored = await stub.Store(pb.StoreRequest(scope=SCOPE, input=_input(), entry=entry))
    assert stored == pb.StoreResponse(stored=True)
    for _ in range(2):
        response = await stub.Lookup(pb.LookupRequest(scope=SCOPE, input=_input()))
        assert response == pb.LookupResponse(hit=pb.CacheHit(entry=entry, similarity=1.0))


async def test_a_hit_is_canonical_and_keeps_the_stream_invariants(stub: Any) -> None:
    await stub.Store(pb.StoreRequest(scope=SCOPE, input=_input(), entry=_entry("A ", "pi", "pe.")))
    response = await stub.Lookup(pb.LookupRequest(scope=SCOPE, input=_input()))
    assert list(response.hit.entry.events) == list(_entry("A pipe.").events)
    invariants = StreamInvariants()
    for event in response.hit.entry.events:
        invariants.observe(event_from_proto(event))
    invariants.end()


async def test_a_miss_is_an_unset_field(stub: Any) -> None:
    assert await stub.Lookup(pb.LookupRequest(scope=SCOPE, input=_input())) == pb.LookupResponse()


async def test_a_bypass_says_why(stub: Any) -> None:
    request = _input(temperature=1.0)
    response = await stub.Lookup(pb.LookupRequest(scope=SCOPE, input=request))
    assert response == pb.LookupResponse(bypass_reason="The temperature is above the cache's limit of 0.3.")
    stored = await stub.Store(pb.StoreRequest(scope=SCOPE, input=request, entry=_entry("Hm.")))
    assert (stored.stored, stored.refusal_reason) == (False, response.bypass_reason)


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        (pb.CacheEntry(), "not a complete stream"),
        (pb.CacheEntry(events=_entry("A pipe.").events[:-1]), "not a complete stream"),
        (_entry("A pipe.", reason=gen.FINISH_REASON_LENGTH), "did not finish with stop"),
        (_entry("A pipe.", reason=gen.FINISH_REASON_CONTENT_FILTER), "did not finish with stop"),
        (_entry("A pipe.", reason=gen.FINISH_REASON_UNSPECIFIED), "not known here"),
        (pb.CacheEntry(events=[gen.GenerationEvent(), *_entry("A pipe.").events]), "not known here"),
        (_entry(), "no text"),
    ],
)
async def test_an_answer_that_may_not_serve_again_is_refused(stub: Any, entry: pb.CacheEntry, reason: str) -> None:
    response = await stub.Store(pb.StoreRequest(scope=SCOPE, input=_input(), entry=entry))
    assert not response.stored
    assert reason in response.refusal_reason
    assert not (await stub.Lookup(pb.LookupRequest(scope=SCOPE, input=_input()))).HasField("hit")


async def test_max_age_is_counted_from_the_creation(stub: Any) -> None:
    await stub.Store(pb.StoreRequest(scope=SCOPE, input=_input(), entry=_entry("A pipe.")))
    for max_age, hit in ((Duration(seconds=60), False), (Duration(seconds=10**9), True)):
        response = await stub.Lookup(pb.LookupRequest(scope=SCOPE, input=_input(), max_age=max_age))
        assert response.HasField("hit") is hit


async def test_a_ttl_that_is_over_is_refused(stub: Any) -> None:
    entry = _entry("A pipe.")
    request = pb.StoreRequest(scope=SCOPE, input=_input(), entry=entry, ttl=Duration(seconds=0))
    assert not (await stub.Store(request)).stored


async def test_another_tenant_or_model_misses(stub: Any) -> None:
    await stub.Store(pb.StoreRequest(scope=SCOPE, input=_input(), entry=_entry("A pipe.")))
    for scope in (pb.CacheScope(tenant="rival", model="fast"), pb.CacheScope(tenant="acme", model="large")):
        assert not (await stub.Lookup(pb.LookupRequest(scope=scope, input=_input()))).HasField("hit")


async def test_an_invalidation_counts_what_it_deletes(stub: Any) -> None:
    for model in ("fast", "large"):
        scope = pb.CacheScope(tenant="acme", model=model)
        await stub.Store(pb.StoreRequest(scope=scope, input=_input(), entry=_entry("A pipe.")))
    assert (await stub.Invalidate(pb.InvalidateRequest(scope=pb.CacheScope(tenant="acme")))).deleted_entries == 2
    assert not (await stub.Lookup(pb.LookupRequest(scope=SCOPE, input=_input()))).HasField("hit")


async def test_stats_count_since_the_start(stub: Any) -> None:
    await stub.Lookup(pb.LookupRequest(scope=SCOPE, input=_input()))
    await stub.Store(pb.StoreRequest(scope=SCOPE, input=_input(), entry=_entry("A pipe.")))
    await stub.Store(pb.StoreRequest(scope=SCOPE, input=_input(), entry=pb.CacheEntry()))
    await stub.Lookup(pb.LookupRequest(scope=SCOPE, input=_input()))
    stats = await stub.GetStats(pb.GetStatsRequest())
    assert stats == pb.GetStatsResponse(memory_hits=1, misses=1, stores=1, refusals=1, memory_entries=1)


@pytest.mark.parametrize("method", ["Lookup", "Store", "Invalidate"])
async def test_a_scope_without_a_tenant_is_refused(stub: Any, method: str) -> None:
    requests = {
        "Lookup": pb.LookupRequest(input=_input()),
        "Store": pb.StoreRequest(input=_input(), entry=_entry("A pipe.")),
        "Invalidate": pb.InvalidateRequest(),
    }
    await _refused(getattr(stub, method)(requests[method]), field="scope.tenant")


async def test_a_turn_without_a_role_is_refused(stub: Any) -> None:
    request = gen.GenerationInput(messages=[msg.Message(role=msg.ROLE_USER), msg.Message()])
    await _refused(stub.Lookup(pb.LookupRequest(scope=SCOPE, input=request)), field="input.messages[1].role")


async def _refused(call: Any, field: str) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    error = error_from_rpc(caught.value)
    assert isinstance(error, InvalidRequest)
    assert error.field == field


async def test_a_lookup_returns_its_step(stub: Any) -> None:
    steps = []
    request = pb.LookupRequest(scope=SCOPE, input=_input())
    steps.append(await _step(stub.Lookup(request)))
    await stub.Store(pb.StoreRequest(scope=SCOPE, input=_input(), entry=_entry("A pipe.")))
    steps.append(await _step(stub.Lookup(request)))
    steps.append(await _step(stub.Lookup(pb.LookupRequest(scope=SCOPE, input=_input(temperature=1)))))
    assert [step.attributes for step in steps] == [
        {"result": "miss"},
        {"result": "hit", "tier": "memory"},
        {"result": "bypass"},
    ]
    assert all(step.name == "cache.lookup" and step.end_ns >= step.start_ns for step in steps)


async def test_a_failed_lookup_returns_its_step_too(stub: Any) -> None:
    call = stub.Lookup(pb.LookupRequest(input=_input()))
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    (step,) = steps_from_metadata(caught.value.trailing_metadata())
    assert step.error == "InvalidRequest"


async def _step(call: Any) -> Any:
    await call
    (step,) = steps_from_metadata(await call.trailing_metadata())
    return step


async def test_an_answer_of_many_megabytes_passes(stub: Any) -> None:
    entry = _entry("x" * (6 * 1024 * 1024))
    assert (await stub.Store(pb.StoreRequest(scope=SCOPE, input=_input(), entry=entry))).stored
    response = await stub.Lookup(pb.LookupRequest(scope=SCOPE, input=_input()))
    assert response.hit.entry == entry
