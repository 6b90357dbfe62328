"""Another revision of the upstreams, taken over while answers are under way: none breaks, and nothing is left open."""

import asyncio
import gc

import pytest

from penstock_common.configuration import ConfigurationError
from penstock_common.http import pool as pool_module
from penstock_common.testing.garbage import uncollected
from penstock_common.testing.openai_upstream import Answer, Failure, OpenAIUpstream
from penstock_inference.adapters.providers.open_upstreams import OpenUpstreams, PoolsOfRevision
from penstock_inference.adapters.providers.openai.settings import OpenAISettings
from penstock_inference.domain.health.registry import Health
from penstock_inference.settings import Settings

DAY = "24h"
AT_ONCE = "0s"
USD = 10**9


def settings(*upstreams, earlier_plans=DAY):
    return Settings.model_validate({"upstreams": upstreams, "reload": {"earlier_plans": earlier_plans}})


@pytest.fixture(autouse=True)
def _nothing_closes_for_being_idle(monkeypatch):
    monkeypatch.setattr(pool_module, "KEEP_ALIVE_SECONDS", 3600.0)


@pytest.fixture
def reload(serve):
    """A function that has the service that ``serve`` made take other upstreams over."""

    async def reload(*upstreams, earlier_plans=DAY):
        commit = await serve.service.prepare(settings(*upstreams, earlier_plans=earlier_plans))
        commit()

    return reload


def priced(upstream, name, input_price):
    models = [{"name": "m", "context_window": 4096, "price": {"input": input_price, "output": 0}}]
    return upstream.settings(name, models=models)


async def open_connections(upstream):
    """Return how many connections an upstream has, once the loop has done what it was told to."""
    for _ in range(100):
        await asyncio.sleep(0)
    return len(upstream._tasks)


async def test_an_answer_under_way_ends_on_the_revision_it_began_with(serve, reload, first, second):
    caller = await serve(priced(first, "first", 1))
    held = asyncio.Event()
    first.enqueue(Answer(tokens=["a", "b", "c"], hold={2: held}))
    begun = asyncio.Event()
    answering = asyncio.create_task(caller.ask("first/m", seen=lambda _: begun.set()))
    await begun.wait()
    await reload(priced(second, "second", 5), earlier_plans=AT_ONCE)
    held.set()
    outcome = await answering
    assert (outcome.error, outcome.answer.text) == (None, "abc")
    assert outcome.events[-1].unit_prices.input_nano_usd == USD


async def test_what_comes_afterwards_is_billed_at_the_new_price(serve, reload, first):
    caller = await serve(priced(first, "first", 1))
    before = (await caller.ask("first/m")).events[-1]
    await reload(priced(first, "first", 5))
    after = (await caller.ask("first/m")).events[-1]
    # Seven tokens are asked, at USD a million.
    assert (before.cost_nano_usd, after.cost_nano_usd) == (7 * USD // 10**6, 7 * 5 * USD // 10**6)


async def test_a_plan_that_was_made_before_still_finds_a_removed_model(serve, reload, first, second):
    caller = await serve(first.settings("first"))
    await reload(second.settings("second"))
    assert (await caller.ask("first/m")).answer.text == "Hello, world."
    # And one made since finds the new one.
    assert (await caller.ask("second/m")).answer.text == "Hello, world."


async def test_a_removed_model_is_unknown_once_no_earlier_plan_counts(serve, reload, first, second):
    caller = await serve(first.settings("first"))
    await reload(second.settings("second"), earlier_plans=AT_ONCE)
    await open_connections(first)
    assert "knows none of first/m" in str((await caller.ask("first/m")).error)


async def test_an_unchanged_upstream_keeps_its_connections(serve, reload, first, second):
    caller = await serve(first.settings("first"))
    for price in range(3):
        assert (await caller.ask("first/m")).error is None
        # Neither another upstream nor another price is a reason to connect again.
        await reload(priced(first, "first", price), second.settings(f"second-{price}"))
    assert (await caller.ask("first/m")).error is None
    assert first.connections == 1


async def test_what_an_unchanged_upstream_was_learnt_to_refuse_stays_known(serve, reload, first):
    caller = await serve(first.settings("first"))
    refusal = Failure(400, {"message": "unknown field: stream_options", "type": "invalid_request_error"})
    first.enqueue(refusal)
    assert (await caller.ask("first/m")).error is None
    await reload(priced(first, "first", 5))
    assert (await caller.ask("first/m")).error is None
    assert ["stream_options" in request.body for request in first.requests] == [True, False, False]


async def test_connections_of_a_removed_upstream_are_closed_when_the_last_answer_has_ended(
    serve, reload, first, second
):
    caller = await serve(first.settings("first"))
    held = asyncio.Event()
    first.enqueue(Answer(), Answer(hold={2: held}))
    assert (await caller.ask("first/m")).error is None
    begun = asyncio.Event()
    answering = asyncio.create_task(caller.ask("first/m", seen=lambda _: begun.set()))
    await begun.wait()
    await reload(second.settings("second"), earlier_plans=AT_ONCE)
    assert await open_connections(first) == 1
    held.set()
    assert (await answering).error is None
    del answering
    assert await eventually(lambda: len(first._tasks) == 0)


async def eventually(condition):
    """Return True once the condition holds; the test's own timeout ends a wait that is in vain."""
    while not condition():
        await asyncio.sleep(0.001)
    return True


async def test_fifty_reloads_under_load_lose_no_request_and_leave_nothing_open(serve, reload, first, second):
    """Half of the upstreams change each time; some answers fail over, some are left by their callers."""
    caller = await serve(first.settings("keeps"), second.settings("goes-0"))
    done = asyncio.Event()
    outcomes = []

    async def ask_on(number):
        while not done.is_set():
            candidates = ("goes-0/m", "keeps/m") if number % 2 else ("keeps/m",)
            outcomes.append(await caller.ask(*candidates))

    gc.collect()
    before = len(asyncio.all_tasks())
    callers = [asyncio.create_task(ask_on(number)) for number in range(8)]
    for number in range(50):
        seen = len(outcomes)
        if number % 7 == 0:
            first.enqueue(Failure(503))
        goes = second.settings("goes-0", api_key=f"sk-{number}")
        await reload(first.settings("keeps"), goes, earlier_plans=AT_ONCE)
        assert await eventually(lambda seen=seen: len(outcomes) > seen)
    done.set()
    await asyncio.gather(*callers)
    assert [str(outcome.error) for outcome in outcomes if outcome.error is not None] == []
    await reload(first.settings("keeps"), earlier_plans=AT_ONCE)
    outcomes.clear()
    assert await eventually(lambda: len(second._tasks) == 0)
    # The upstream's own, one for each connection that is kept, are of this process, too.
    assert await eventually(lambda: len(asyncio.all_tasks()) - len(first._tasks) <= before)


@pytest.mark.parametrize("template", ["absent.jinja", "/proc/self/mem"], ids=["no file", "one that cannot be read"])
async def test_settings_that_cannot_be_used_change_nothing_and_open_nothing(serve, reload, first, tmp_path, template):
    caller = await serve(first.settings("first"))
    bad = {
        "name": "t",
        "provider": "triton",
        "grpc": "127.0.0.1:1",
        "models": [{"name": "m", "context_window": 10, "chat_template": str(tmp_path / template)}],
    }
    with pytest.raises(ConfigurationError, match="chat template"):
        await reload(first.settings("other"), bad)
    assert (await caller.ask("first/m")).error is None
    assert (await caller.ask("other/m")).error is not None


async def test_upstreams_close_with_the_last_revision_that_names_them():
    def named(*names):
        models = [{"name": "m", "context_window": 10}]
        return [
            OpenAISettings(name=name, provider="openai_compatible", base_url="http://127.0.0.1:9/v1", models=models)
            for name in names
        ]

    async with OpenUpstreams.opening(Health()) as upstreams:
        earlier = await upstreams.of(named("a", "b"))
        later = await upstreams.of(named("b", "c"))
        assert earlier["b"] is later["b"]
        assert upstreams.count == 3
        del earlier
        assert await eventually(lambda: upstreams.count == 2)
        del later
        assert await eventually(lambda: upstreams.count == 0)


async def test_two_upstreams_of_one_address_share_connections_until_both_are_gone(serve, reload, first):
    caller = await serve(first.settings("one"), first.settings("two"))
    await caller.ask("one/m")
    await caller.ask("two/m")
    await reload(first.settings("two"), earlier_plans=AT_ONCE)
    await open_connections(first)
    await caller.ask("two/m")
    assert first.connections == 1
    async with OpenAIUpstream() as other:
        await reload(other.settings("two"), earlier_plans=AT_ONCE)
        assert await eventually(lambda: len(first._tasks) == 0)


async def test_what_is_known_of_an_unchanged_upstream_outlives_a_reload_in_an_outage(serve, reload, first, second):
    caller = await serve(priced(first, "first", 1), second.settings("second"))
    first.otherwise = lambda _: Failure(503)
    while (await caller.ask("first/m", "second/m")).outcomes != ["second answered"]:
        pass
    seen = len(first.requests)
    await reload(priced(first, "first", 5), second.settings("second"))
    for _ in range(20):
        assert (await caller.ask("first/m", "second/m")).outcomes == ["second answered"]
    assert len(first.requests) == seen
    # With another key it is another place.
    first.otherwise = lambda _: Answer()
    await reload(first.settings("first", api_key="sk-new"), second.settings("second"))
    assert (await caller.ask("first/m", "second/m")).outcomes == ["first answered"]


def pools_with_first():
    """Return how many keep upstreams named so open."""
    return sum(type(each) is PoolsOfRevision and "first" in each for each in gc.get_objects())


async def test_no_upstream_of_the_first_configuration_stays_open(serve, reload, first, second):
    with uncollected():
        caller = await serve(first.settings("first"))
        await caller.ask("first/m")
        assert await open_connections(first) == 1
        assert pools_with_first() == 1
        await reload(second.settings("second"), earlier_plans=AT_ONCE)
        async with asyncio.timeout(120):
            while pools_with_first():
                await asyncio.sleep(0.01)
                gc.collect()


def series(serve, of):
    """Return the labels and the value of each series that the service tells under this name."""
    families = [family for collector in serve.service.collectors for family in collector.collect()]
    return [
        (dict(sample.labels), sample.value) for family in families for sample in family.samples if sample.name == of
    ]


async def test_metrics_tell_of_an_upstream_once_while_an_earlier_revision_of_it_is_in_use(serve, reload, first):
    caller = await serve(first.settings("first", limits={"concurrent_requests": 5}))
    held = asyncio.Event()
    first.enqueue(Answer(hold={0: held}))
    answering = asyncio.create_task(caller.ask("first/m"))
    await asyncio.wait_for(first.next_request(), 60)
    await reload(first.settings("first", limits={"concurrent_requests": 4}), earlier_plans=AT_ONCE)
    assert series(serve, "penstock_upstream_requests_limit") == [({"upstream": "first"}, 4)]
    assert series(serve, "penstock_upstream_requests_inside") == [({"upstream": "first"}, 1)]
    held.set()
    assert (await answering).error is None


async def test_metrics_forget_an_upstream_that_is_gone(serve, reload, first, second):
    await serve(first.settings("first"))
    await reload(second.settings("second"), earlier_plans=AT_ONCE)
    assert series(serve, "penstock_upstream_retries_total") == [({"upstream": "second"}, 0)]
