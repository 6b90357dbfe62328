"""What a channel promises of a call, whichever transport makes it."""

import asyncio
import time

import pytest
from structlog.testing import capture_logs

from penstock_common import errors
from penstock_common.rpc.channel import SocketChannel, open_channel
from penstock_common.rpc.method import UnaryMethod
from penstock_common.rpc.scope import CURRENT_SCOPE, RequestScope
from penstock_common.testing.transports import IN_PROCESS, ValueChangedError, ValueLostError


@pytest.fixture
def three(note):
    async def behaviour(request, call):
        for text in "abc":
            yield note(request.text + text)

    return behaviour


@pytest.fixture
def one_then_refusal(note):
    async def behaviour(request, call):
        yield note("a")
        raise errors.ModelNotFound("No such model.", model="m")

    return behaviour


async def test_a_call_answers_what_the_servicer_returns(served):
    async with served() as client:
        assert (await client.ask("hello")).text == "hello"


async def test_a_stream_answers_in_order_and_is_then_over(served, three, texts_of):
    async with served(stream=three) as client:
        responses = client.tell("_")
        assert await texts_of(responses) == ["_a", "_b", "_c"]
        assert await texts_of(responses) == []


async def test_a_failed_stream_raises_once_and_is_then_over(served, one_then_refusal, texts_of):
    async with served(stream=one_then_refusal) as client:
        responses = client.tell()
        assert (await anext(aiter(responses))).text == "a"
        with pytest.raises(errors.ModelNotFound):
            await anext(aiter(responses))
        assert await texts_of(responses) == []


async def test_nothing_is_asked_before_the_first_response_is(served, servicing, texts_of):
    async with served(stream=servicing.stream) as client:
        responses = client.tell()
        await responses.aclose()
        assert await texts_of(responses) == []
        await client.ask()
    assert not servicing.started.is_set()


async def test_aclose_ends_the_servicer_and_may_be_repeated(served, servicing, transport, texts_of):
    async with served(stream=servicing.stream) as client:
        responses = client.tell()
        await anext(aiter(responses))
        await responses.aclose()
        if transport == IN_PROCESS:
            assert servicing.ended.is_set()
        await servicing.until_ended()
        await responses.aclose()
        assert await texts_of(responses) == []
    assert asyncio.current_task().cancelling() == 0


@pytest.mark.parametrize("fails", [False, True])
async def test_the_servicers_steps_reach_the_caller_however_the_call_ends(served, note, fails, texts_of):
    def work(call):
        call.steps.lap("first", time.time_ns())
        with call.steps.step("second", size=3):
            if fails:
                raise errors.ModelNotFound("No such model.", model="m")

    async def unary(request, call):
        work(call)
        return request

    async def stream(request, call):
        yield request
        work(call)

    async with served(unary=unary, stream=stream) as client:
        for of_call in (lambda steps: client.ask(steps=steps), lambda steps: texts_of(client.tell(steps=steps))):
            steps = []
            try:
                await of_call(steps)
            except errors.ModelNotFound:
                assert fails
            assert [(step.name, step.attributes) for step in steps] == [("first", {}), ("second", {"size": 3})]
            assert steps[1].error == ("ModelNotFound" if fails else "")
            assert all(step.end_ns >= step.start_ns for step in steps)


async def test_steps_that_nobody_asks_for_go_nowhere(served, note):
    async def unary(request, call):
        call.steps.lap("first", time.time_ns())
        return request

    async with served(unary=unary) as client:
        assert await client.ask("a") == note("a")


async def test_a_servicer_knows_what_is_called_and_whose_call_it_is(served, texts_of):
    scope = RequestScope(request_id="r-1", tenant="acme", traceparent="00-" + "a" * 32 + "-" + "b" * 16 + "-01")
    seen = []

    async def unary(request, call):
        seen.append((call.path, call.scope.request_id, call.scope.tenant, call.scope.traceparent))
        return request

    async def stream(request, call):
        seen.append((call.path, call.scope.request_id, call.scope.tenant, call.scope.traceparent))
        yield request

    CURRENT_SCOPE.set(scope)
    async with served(unary=unary, stream=stream) as client:
        await client.ask()
        await texts_of(client.tell())
    whose = (scope.request_id, scope.tenant, scope.traceparent)
    assert seen == [(f"/penstock.test.v1.TestService/{name}", *whose) for name in ("Ask", "Tell")]


async def test_a_method_that_nobody_serves_is_a_service_that_is_not_there(served, note):
    async with served() as client:
        with pytest.raises(errors.ServiceUnavailable) as caught:
            await client.channel.call(client.unserved, note())
    assert caught.value.service == "test"


async def test_a_service_that_cannot_be_reached_is_unavailable(tmp_path, note, served_by_socket):
    async with served_by_socket() as client, open_channel(f"unix:{tmp_path}/nobody") as channel:
        with capture_logs() as logged, pytest.raises(errors.ServiceUnavailable) as caught:
            await SocketChannel(channel).call(client.ask_method, note(), timeout=30)
    assert caught.value.service == "test"
    assert [(entry["event"], entry["code"]) for entry in logged] == [("service_unavailable", "UNAVAILABLE")]


class _Ghost:
    """A codec that writes what nobody can read."""

    def encode(self, value):
        return b"\xc1"

    def decode(self, message):
        raise errors.InvalidRequest("The bytes are no ghost.")


async def test_an_answer_that_this_version_cannot_read_is_our_fault_not_the_callers(served_by_socket, note):
    async with served_by_socket() as client:
        method = UnaryMethod(client.ask_method.path, client.ask_method.request, _Ghost())
        with capture_logs() as logged, pytest.raises(errors.InternalError):
            await client.channel.call(method, note())
    assert [(entry["event"], entry["reason"]) for entry in logged] == [
        ("response_not_understood", "The bytes are no ghost.")
    ]


async def test_the_test_kit_sees_a_value_that_a_codec_loses(served, note, transport):
    if transport != IN_PROCESS:
        pytest.skip("it looks where memory is shared")

    class Forgetful:
        def encode(self, value):
            return b""

        def decode(self, message):
            return note()

    async with served() as client:
        method = UnaryMethod(client.ask_method.path, Forgetful(), client.ask_method.response)
        assert await client.channel.call(method, note()) == note()
        with pytest.raises(ValueLostError):
            await client.channel.call(method, note("a"))


async def test_the_test_kit_sees_a_value_that_is_changed_after_it_was_passed(served, transport):
    if transport != IN_PROCESS:
        pytest.skip("it looks where memory is shared")

    class Words:
        def encode(self, value):
            return " ".join(value).encode()

        def decode(self, message):
            return message.decode().split()

    async def unary(request, call):
        request.append("more")
        return request

    async with served(unary=unary) as client:
        method = UnaryMethod(client.ask_method.path, Words(), Words())
        with pytest.raises(ValueChangedError):
            await client.channel.call(method, ["one"])
