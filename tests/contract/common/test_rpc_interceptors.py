"""On a socket interceptors see every call begin and end, with the right error, before anything is decoded."""

import asyncio

import pytest
from structlog.testing import capture_logs

from penstock_common import errors
from penstock_common.rpc.method import StreamMethod, UnaryMethod
from penstock_common.rpc.scope import CURRENT_SCOPE, RequestScope

ASK = "/penstock.test.v1.TestService/Ask"
TELL = "/penstock.test.v1.TestService/Tell"


@pytest.fixture
def entries():
    return []


@pytest.fixture
def outer_and_inner(journal, entries):
    return journal("outer", entries), journal("inner", entries)


async def failure_of(call):
    with pytest.raises(errors.PenstockError) as caught:
        await call
    return caught.value


def around(method, ending):
    return [
        ("outer", "start", method),
        ("inner", "start", method),
        ("inner", "end", ending),
        ("outer", "end", ending),
    ]


async def ended(interceptors):
    async with asyncio.timeout(60):
        await interceptors[0].ended.wait()


async def test_a_call_that_goes_well_ends_without_an_error(served_by_socket, outer_and_inner, entries, texts_of):
    async with served_by_socket(interceptors=outer_and_inner) as client:
        await client.ask()
        assert entries == around(ASK, type(None))
        entries.clear()
        await texts_of(client.tell())
    assert entries == around(TELL, type(None))


@pytest.mark.parametrize("error", [errors.ModelNotFound("none"), ZeroDivisionError()])
async def test_a_call_that_fails_ends_with_the_servicers_own_error(
    served_by_socket, outer_and_inner, entries, error, texts_of
):
    async def unary(request, call):
        raise error

    async def stream(request, call):
        yield request
        raise error

    with capture_logs():
        async with served_by_socket(unary=unary, stream=stream, interceptors=outer_and_inner) as client:
            await failure_of(client.ask())
            assert entries == around(ASK, type(error))
            entries.clear()
            await failure_of(texts_of(client.tell()))
    assert entries == around(TELL, type(error))


async def test_a_deadline_is_seen_as_a_cancellation(served_by_socket, outer_and_inner, entries, servicing):
    async with served_by_socket(unary=servicing.unary, interceptors=outer_and_inner) as client:
        await failure_of(client.ask(timeout=3))
        await ended(outer_and_inner)
    assert entries == around(ASK, asyncio.CancelledError)


async def test_a_caller_that_leaves_is_seen_as_a_cancellation(
    served_by_socket, outer_and_inner, entries, servicing, texts_of
):
    async with served_by_socket(stream=servicing.stream, interceptors=outer_and_inner) as client:
        task = asyncio.create_task(texts_of(client.tell()))
        await servicing.started.wait()
        task.cancel()
        await ended(outer_and_inner)
        await asyncio.wait((task,))
    # Cancelled while it waits, or closed while its response is being written.
    assert entries in (around(TELL, asyncio.CancelledError), around(TELL, GeneratorExit))


async def test_a_reader_that_leaves_early_is_seen_after_the_servicers_finally(
    served_by_socket, journal, entries, servicing
):
    class Late(journal):
        def on_end(self, call, error):
            entries.append(servicing.ended.is_set())
            super().on_end(call, error)

    interceptor = Late("late", entries)
    async with served_by_socket(stream=servicing.flood, interceptors=(interceptor,)) as client:
        responses = client.tell()
        await anext(aiter(responses))
        await responses.aclose()
        await ended((interceptor,))
    assert entries[0] == ("late", "start", TELL)
    assert entries[1] is True
    assert entries[2] in (("late", "end", GeneratorExit), ("late", "end", asyncio.CancelledError))
    assert len(entries) == 3


async def test_a_defect_in_the_finally_of_a_stream_that_was_left_is_seen_and_logged(
    served_by_socket, journal, entries, note
):
    async def behaviour(request, call):
        try:
            while True:
                yield note("a")
        finally:
            raise RuntimeError("in the servicer's finally")

    interceptor = journal("only", entries)
    with capture_logs() as logged:
        async with served_by_socket(stream=behaviour, interceptors=(interceptor,)) as client:
            responses = client.tell()
            await anext(aiter(responses))
            await responses.aclose()
            await ended((interceptor,))
    assert entries[1:] == [("only", "end", RuntimeError)]
    assert [entry["event"] for entry in logged] == ["servicer_failed"]


async def test_a_refusal_at_the_start_keeps_the_call_from_the_servicer_and_those_within(
    served_by_socket, journal, entries, servicing, texts_of
):
    refusing = journal("refusing", entries, refusal=errors.InvalidCredentials("Who are you?"))
    interceptors = (journal("outer", entries), refusing, journal("inner", entries))
    async with served_by_socket(unary=servicing.unary, stream=servicing.stream, interceptors=interceptors) as client:
        unary = await failure_of(client.ask())
        assert entries == [
            ("outer", "start", ASK),
            ("refusing", "start", ASK),
            ("refusing", "end", errors.InvalidCredentials),
            ("outer", "end", errors.InvalidCredentials),
        ]
        stream = await failure_of(texts_of(client.tell()))
    assert type(unary) is type(stream) is errors.InvalidCredentials
    assert not servicing.started.is_set()


async def test_who_is_refused_has_nothing_decoded(served_by_socket, journal, entries, texts_of):
    refusing = journal("refusing", entries, refusal=errors.InvalidCredentials("Who are you?"))
    async with served_by_socket(interceptors=(refusing,)) as client:
        await failure_of(client.ask("a" * 1000))
        await failure_of(texts_of(client.tell("a" * 1000)))
        assert client.codec.decoded == 0
    async with served_by_socket(interceptors=(journal("open", entries),)) as client:
        await client.ask()
        assert client.codec.decoded == 1


async def test_a_message_that_is_none_is_an_invalid_request_that_the_interceptors_see(
    served_by_socket, outer_and_inner, entries, texts_of, servicing
):
    class Garbage:
        def encode(self, value):
            return b"\xc1"

        def decode(self, message):
            raise AssertionError

    async with served_by_socket(unary=servicing.unary, stream=servicing.stream, interceptors=outer_and_inner) as client:
        ask = UnaryMethod(ASK, Garbage(), client.ask_method.response)
        tell = StreamMethod(TELL, Garbage(), client.tell_method.response)
        unary = await failure_of(client.channel.call(ask, None))
        assert entries == around(ASK, errors.InvalidRequest)
        entries.clear()
        stream = await failure_of(texts_of(client.channel.stream(tell, None)))
    assert entries == around(TELL, errors.InvalidRequest)
    assert type(unary) is type(stream) is errors.InvalidRequest
    assert unary.message == "The bytes are no note."
    assert not servicing.started.is_set()


async def test_a_response_that_cannot_be_written_is_a_defect_and_ends_the_servicer(
    served_by_socket, journal, entries, texts_of
):
    ended_servicers = []

    async def unary(request, call):
        return object()

    async def stream(request, call):
        try:
            yield request
            yield object()
            yield request
        finally:
            ended_servicers.append(request)

    with capture_logs() as logged:
        async with served_by_socket(unary=unary, stream=stream, interceptors=(journal("only", entries),)) as client:
            assert type(await failure_of(client.ask())) is errors.InternalError
            assert type(await failure_of(texts_of(client.tell()))) is errors.InternalError
    assert entries == [("only", "start", ASK), ("only", "end", TypeError)] + [
        ("only", "start", TELL),
        ("only", "end", TypeError),
    ]
    assert [entry["event"] for entry in logged] == ["servicer_failed"] * 2
    assert len(ended_servicers) == 1


async def test_a_defect_at_the_start_is_internal_and_its_text_stays_inside(served_by_socket, journal, entries):
    interceptors = (journal("broken", entries, refusal=KeyError("secret")),)
    with capture_logs() as logged:
        async with served_by_socket(interceptors=interceptors) as client:
            failure = await failure_of(client.ask())
    assert type(failure) is errors.InternalError
    assert "secret" not in repr((str(failure), str(failure.__cause__)))
    assert [entry["event"] for entry in logged] == ["servicer_failed"]


async def test_a_defect_at_the_end_changes_neither_the_outcome_nor_what_the_others_see(
    served_by_socket, journal, entries, texts_of
):
    async def unary(request, call):
        raise errors.ModelNotFound("none")

    async def stream(request, call):
        yield request

    interceptors = (journal("outer", entries), journal("broken", entries, defect=KeyError("secret")))
    with capture_logs() as logged:
        async with served_by_socket(unary=unary, stream=stream, interceptors=interceptors) as client:
            assert type(await failure_of(client.ask())) is errors.ModelNotFound
            assert len(await texts_of(client.tell())) == 1
    assert [entry for entry in entries if entry[0] == "outer" and entry[1] == "end"] == [
        ("outer", "end", errors.ModelNotFound),
        ("outer", "end", type(None)),
    ]
    assert [entry["event"] for entry in logged] == ["interceptor_failed"] * 2


async def test_interceptors_see_the_metadata_and_may_speak_to_the_context(served_by_socket, entries):
    """Without ``IncomingScope`` nobody's word counts, as on a public listener."""

    class Reader:
        async def on_start(self, call):
            entries.append((dict(call.metadata)["x-request-id"], call.scope.request_id))

        def on_end(self, call, error):
            call.context.set_trailing_metadata((("farewell", "bye"),))

    CURRENT_SCOPE.set(RequestScope(request_id="r-1"))
    async with served_by_socket(interceptors=(Reader(),)) as client:
        call = client.channel._channel.unary_unary(ASK)(b"\x81\xa4text\xa1a", metadata=(("x-request-id", "r-2"),))
        assert await call == b"\x81\xa4text\xa1a"
        assert list(await call.trailing_metadata()) == [("farewell", "bye")]
        await client.ask()
    assert entries == [("r-2", ""), ("r-1", "")]


async def test_steps_come_beside_what_an_interceptor_sets(served_by_socket):
    class Reader:
        async def on_start(self, call):
            with call.steps.step("guard"):
                pass

        def on_end(self, call, error):
            call.context.set_trailing_metadata((("farewell", "bye"),))

    async def unary(request, call):
        if request.text:
            raise errors.ModelNotFound("none")
        return request

    async with served_by_socket(unary=unary, interceptors=(Reader(),)) as client:
        for text in ("", "fail"):
            steps = []
            try:
                await client.ask(text, steps=steps)
            except errors.ModelNotFound:
                assert text
            assert [step.name for step in steps] == ["guard"]
