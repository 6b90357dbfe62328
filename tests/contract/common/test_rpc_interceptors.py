"""Interceptors see every call begin and end, with the right error, over both transports."""

import asyncio

import grpc
import pytest
from structlog.testing import capture_logs

from penstock_common import errors
from penstock_common.rpc.streaming import cancelled_on_exit
from penstock_common.status import error_from_rpc

ROUTE = "/penstock.router.v1.RouterService/Route"
GENERATE = "/penstock.inference.v1.InferenceService/Generate"


@pytest.fixture
def entries():
    return []


@pytest.fixture
def outer_and_inner(journal, entries):
    return journal("outer", entries), journal("inner", entries)


async def failure_of(call):
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return caught.value


async def read_all(call):
    return [response async for response in call]


def around(method, ending):
    return [
        ("outer", "start", method),
        ("inner", "start", method),
        ("inner", "end", ending),
        ("outer", "end", ending),
    ]


async def ended(interceptors):
    async with asyncio.timeout(5):
        await interceptors[0].ended.wait()


async def test_a_call_that_goes_well_ends_without_an_error(served, outer_and_inner, entries):
    async with served(interceptors=outer_and_inner) as stubs:
        await stubs.route()
        assert entries == around(ROUTE, type(None))
        entries.clear()
        await read_all(stubs.generate())
    assert entries == around(GENERATE, type(None))


@pytest.mark.parametrize("error", [errors.ModelNotFound("none"), ZeroDivisionError()])
async def test_a_call_that_fails_ends_with_the_servicers_own_error(served, outer_and_inner, entries, error, responses):
    async def unary(request, context):
        raise error

    async def stream(request, context):
        yield responses("a")
        raise error

    with capture_logs():
        async with served(unary=unary, stream=stream, interceptors=outer_and_inner) as stubs:
            await failure_of(stubs.route())
            assert entries == around(ROUTE, type(error))
            entries.clear()
            await failure_of(read_all(stubs.generate()))
    assert entries == around(GENERATE, type(error))


async def test_abort_is_seen_as_such(served, outer_and_inner, entries):
    async def unary(request, context):
        await context.abort(grpc.StatusCode.DATA_LOSS, "gone")

    async with served(unary=unary, interceptors=outer_and_inner) as stubs:
        await failure_of(stubs.route())
    assert entries == around(ROUTE, grpc.aio.AbortError)


async def test_a_deadline_is_seen_as_a_cancellation(served, outer_and_inner, entries, servicing):
    async with served(unary=servicing.unary, interceptors=outer_and_inner) as stubs:
        await failure_of(stubs.route(timeout=0.05))
        await ended(outer_and_inner)
    assert entries == around(ROUTE, asyncio.CancelledError)


async def test_a_caller_that_leaves_is_seen_as_a_cancellation(served, outer_and_inner, entries, servicing):
    async with served(stream=servicing.stream, interceptors=outer_and_inner) as stubs:
        call = stubs.generate()
        task = asyncio.create_task(read_all(call))
        await servicing.started.wait()
        call.cancel()
        await ended(outer_and_inner)
        await asyncio.wait((task,))
    # Cancelled while it waits, or closed while its response is being written.
    assert entries in (around(GENERATE, asyncio.CancelledError), around(GENERATE, GeneratorExit))


async def test_a_reader_that_leaves_early_is_seen_after_the_servicers_finally(served, journal, entries, servicing):
    class Late(journal):
        def on_end(self, call, error):
            entries.append(servicing.ended.is_set())
            super().on_end(call, error)

    interceptor = Late("late", entries)
    async with served(stream=servicing.flood, interceptors=(interceptor,)) as stubs:
        async with cancelled_on_exit(stubs.generate()) as call:
            await anext(aiter(call))
        await ended((interceptor,))
    assert entries[0] == ("late", "start", GENERATE)
    assert entries[1] is True
    assert entries[2] in (("late", "end", GeneratorExit), ("late", "end", asyncio.CancelledError))
    assert len(entries) == 3


async def test_a_defect_in_the_finally_of_a_stream_that_was_left_is_seen_and_logged(
    served, journal, entries, responses
):
    async def behaviour(request, context):
        try:
            while True:
                yield responses("a")
        finally:
            raise RuntimeError("in the servicer's finally")

    interceptor = journal("only", entries)
    with capture_logs() as logged:
        async with served(stream=behaviour, interceptors=(interceptor,)) as stubs:
            async with cancelled_on_exit(stubs.generate()) as call:
                await anext(aiter(call))
            await ended((interceptor,))
    assert entries[1:] == [("only", "end", RuntimeError)]
    assert [entry["event"] for entry in logged] == ["servicer_failed"]


async def test_a_refusal_at_the_start_keeps_the_call_from_the_servicer_and_those_within(
    served, journal, entries, servicing
):
    refusing = journal("refusing", entries, refusal=errors.InvalidCredentials("Who are you?"))
    interceptors = (journal("outer", entries), refusing, journal("inner", entries))
    async with served(unary=servicing.unary, stream=servicing.stream, interceptors=interceptors) as stubs:
        unary = await failure_of(stubs.route())
        assert entries == [
            ("outer", "start", ROUTE),
            ("refusing", "start", ROUTE),
            ("refusing", "end", errors.InvalidCredentials),
            ("outer", "end", errors.InvalidCredentials),
        ]
        stream = await failure_of(read_all(stubs.generate()))
    for failure in (unary, stream):
        assert failure.code() is grpc.StatusCode.UNAUTHENTICATED
        assert type(error_from_rpc(failure)) is errors.InvalidCredentials
    assert not servicing.started.is_set()


async def test_a_defect_at_the_start_is_internal_and_its_text_stays_inside(served, journal, entries):
    interceptors = (journal("broken", entries, refusal=KeyError("secret")),)
    with capture_logs() as logged:
        async with served(interceptors=interceptors) as stubs:
            failure = await failure_of(stubs.route())
    assert failure.code() is grpc.StatusCode.INTERNAL
    assert "secret" not in str(failure)
    assert [entry["event"] for entry in logged] == ["servicer_failed"]


async def test_a_defect_at_the_end_changes_neither_the_outcome_nor_what_the_others_see(
    served, journal, entries, responses
):
    async def unary(request, context):
        raise errors.ModelNotFound("none")

    async def stream(request, context):
        yield responses("a")

    interceptors = (journal("outer", entries), journal("broken", entries, defect=KeyError("secret")))
    with capture_logs() as logged:
        async with served(unary=unary, stream=stream, interceptors=interceptors) as stubs:
            assert (await failure_of(stubs.route())).code() is grpc.StatusCode.NOT_FOUND
            assert len(await read_all(stubs.generate())) == 1
    assert [entry for entry in entries if entry[0] == "outer" and entry[1] == "end"] == [
        ("outer", "end", errors.ModelNotFound),
        ("outer", "end", type(None)),
    ]
    assert [entry["event"] for entry in logged] == ["interceptor_failed"] * 2


async def test_interceptors_see_the_metadata_and_may_speak_to_the_context(served, entries):
    class Reader:
        async def on_start(self, call):
            entries.append(dict(call.metadata)["who"])
            await call.context.send_initial_metadata((("greeting", "hello"),))

        def on_end(self, call, error):
            call.context.set_trailing_metadata((("farewell", "bye"),))

    async with served(interceptors=(Reader(),)) as stubs:
        call = stubs.route(metadata=(("who", "me"),))
        await call
        assert list(await call.initial_metadata()) == [("greeting", "hello")]
        assert list(await call.trailing_metadata()) == [("farewell", "bye")]
    assert entries == ["me"]
