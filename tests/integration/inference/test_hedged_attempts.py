"""Late first tokens over real sockets: the second attempt's answer, the first one's connection closed, both counted."""

from __future__ import annotations

import asyncio

import pytest

from penstock_common.testing.openai_upstream import NoResponse, stalled_after_headers
from penstock_faults.http.server import ScriptedUpstream
from penstock_faults.script import TEXT, Pace, Script, Step
from penstock_faults.triton import TritonUpstream
from penstock_inference.domain.hedging import BURST, SAMPLES_WANTED
from penstock_inference.settings import Settings

NEVER_SECONDS = 3600.0
LONG = dict.fromkeys(("connect", "headers", "first_token", "whole", "idle", "total"), "10m")
# What an upstream of this machine never takes, but where the machine stands still.
HEDGING = {"enabled": True, "share": 0.5, "at_least": "300ms"}
# A busy machine makes nobody slow, who would be asked after the other.
HEALTH = {"slow_at_least": "1h"}
ONE_IN = 20
BIMODAL = Script(
    steps=(
        Step(times=SAMPLES_WANTED),
        Step(pace=Pace(slow_every=ONE_IN, slow_first_token_seconds=NEVER_SECONDS)),
    )
)


def settings_of(name: str, upstream: ScriptedUpstream | TritonUpstream):
    model = {"name": "m", "context_window": 4096, "price": {"input": 1, "output": 2}}
    common = {"name": name, "models": [model], "timeouts": LONG}
    if isinstance(upstream, TritonUpstream):
        return {**common, "provider": "triton", "grpc": upstream.target}
    return {**common, "provider": "openai_compatible", "base_url": upstream.base_url}


def hedges_of(service):
    return {
        (sample.labels["upstream"], sample.labels["outcome"]): sample.value
        for metric in service.collectors[0].collect()
        for sample in metric.samples
        if sample.name == "penstock_hedges_total"
    }


@pytest.mark.parametrize("whole", [False, True], ids=["streamed", "whole"])
@pytest.mark.parametrize("played", [ScriptedUpstream, TritonUpstream], ids=["openai", "triton"])
async def test_one_in_twenty_that_never_comes_is_answered_by_the_next_candidate(serve, played, whole: bool):
    async with played(BIMODAL) as first, played(Script()) as second:
        caller = await serve(settings_of("first", first), settings_of("second", second), hedging=HEDGING, health=HEALTH)
        requests = SAMPLES_WANTED + 2 * ONE_IN
        late = [SAMPLES_WANTED + ONE_IN, requests]
        outcomes = [await caller.ask("first/m", "second/m", whole=whole) for _ in range(requests)]
        assert {outcome.answer.text for outcome in outcomes} == {TEXT}
        for number in late:
            answer, steps = outcomes[number - 1].answer, outcomes[number - 1].steps
            assert (answer.started.answered_by.upstream, answer.finished.attempts) == ("second", 2)
            assert [step.attributes["outcome"] for step in steps] == ["hedge_lost", "answered"]
            assert [step.attributes.get("hedge") for step in steps] == [None, True]
            assert steps[0].attributes["owed_input_tokens"] > 0
            # Of both.
            of_one = outcomes[0].answer.finished.cost_nano_usd
            assert answer.finished.cost_nano_usd > of_one
            await asyncio.wait_for(first.record.requests[number - 1].left.wait(), 30)
        assert (
            len(first.record.requests) + len(second.record.requests) - requests <= HEDGING["share"] * requests + BURST
        )
        assert hedges_of(serve.service)[("first", "won")] >= len(late)


@pytest.fixture
async def hedging(serve, first, second):
    """The service before two upstreams, and all known of the first that has to be."""
    caller = await serve(
        first.settings("first", timeouts=LONG),
        second.settings("second", timeouts=LONG),
        hedging=HEDGING,
        health=HEALTH,
    )
    for _ in range(SAMPLES_WANTED):
        assert (await caller.ask("first/m")).error is None
    return caller


SILENT = {"before headers": NoResponse(), "before the first token": stalled_after_headers()}


@pytest.mark.parametrize("silence", SILENT)
@pytest.mark.parametrize("whole", [False, True], ids=["streamed", "whole"])
async def test_whoever_leaves_within_the_race_closes_both_connections(hedging, first, second, silence, whole):
    first.enqueue(SILENT[silence])
    second.enqueue(SILENT[silence])
    before = asyncio.all_tasks()
    call = hedging.call("first/m", "second/m", whole=whole)
    reading = asyncio.ensure_future(anext(aiter(call)))
    asked = await second.next_request()
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    await call.aclose()
    for request in (first.requests[-1], asked):
        await asyncio.wait_for(request.left.wait(), 60)
    assert [task for task in asyncio.all_tasks() - before if "Race" in repr(task.get_coro())] == []
    # And the next one is served as ever.
    assert (await hedging.ask("first/m", "second/m")).answer.text == "Hello, world."


async def test_who_forbids_it_waits_for_whom_was_asked(hedging, first, second):
    first.enqueue(stalled_after_headers())
    first.enqueue(stalled_after_headers())
    forbids = asyncio.ensure_future(hedging.ask("first/m", "second/m", may_hedge=False))
    while len(first.requests) <= SAMPLES_WANTED:
        await asyncio.sleep(0.001)
    # This one is hedged, and began later: the other would have been by now.
    assert (await hedging.ask("first/m", "second/m")).answer.started.answered_by.upstream == "second"
    assert not forbids.done()
    assert len(second.requests) == 1
    forbids.cancel()
    with pytest.raises(asyncio.CancelledError):
        await forbids


async def test_turned_off_nothing_is_hedged_or_learned(serve, first, second):
    caller = await serve(first.settings("first"), second.settings("second"))
    for _ in range(3):
        assert (await caller.ask("first/m", "second/m")).answer.finished.attempts == 1
    assert hedges_of(serve.service) == {}


async def test_it_is_turned_on_and_off_while_the_service_runs(serve, first, second):
    upstreams = [first.settings("first", timeouts=LONG), second.settings("second", timeouts=LONG)]

    async def reload(**hedging):
        settings = Settings.model_validate(
            {"upstreams": upstreams, "hedging": {**HEDGING, **hedging}, "health": HEALTH}
        )
        (await serve.service.prepare(settings))()

    caller = await serve(*upstreams, health=HEALTH)
    await reload()
    for _ in range(SAMPLES_WANTED):
        await caller.ask("first/m")
    first.enqueue(stalled_after_headers())
    assert (await caller.ask("first/m", "second/m")).answer.finished.attempts == 2
    await reload(enabled=False)
    first.enqueue(stalled_after_headers())
    waiting = asyncio.ensure_future(caller.ask("first/m", "second/m"))
    while len(first.requests) < SAMPLES_WANTED + 2:
        await asyncio.sleep(0.001)
    # What was learned is there again.
    await reload()
    first.enqueue(stalled_after_headers())
    assert (await caller.ask("first/m", "second/m")).answer.finished.attempts == 2
    assert not waiting.done()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
