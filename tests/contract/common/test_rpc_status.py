"""What a failed call tells its caller, over both transports."""

import asyncio
from datetime import timedelta

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2
from structlog.testing import capture_logs

from penstock_common import errors
from penstock_common.status import STATUS_DETAILS_KEY
from penstock_common.testing.transports import IN_PROCESS

SECRET = "the-cause-that-nobody-outside-may-read"


async def failure_of(call):
    with pytest.raises(errors.PenstockError) as caught:
        await call
    return caught.value


async def responses_and_failure_of(responses):
    received = []
    with pytest.raises(errors.PenstockError) as caught:
        async for response in responses:
            received.append(response)
    await responses.aclose()
    return received, caught.value


async def both_failures(client):
    return [await failure_of(client.ask()), (await responses_and_failure_of(client.tell()))[1]]


def raising(error):
    async def behaviour(request, call):
        raise error

    return behaviour


def streaming_then_raising(error):
    async def behaviour(request, call):
        yield request
        raise error

    return behaviour


async def test_a_domain_error_arrives_with_every_detail(served):
    refusal = errors.RateLimited("Too fast.", limit="requests_per_minute", retry_after=timedelta(seconds=7.25))
    async with served(unary=raising(refusal)) as client:
        again = await failure_of(client.ask())
    assert type(again) is errors.RateLimited
    assert vars(again) == vars(refusal)


async def test_on_the_wire_a_domain_error_is_a_status_with_standard_details(served_by_socket):
    refusal = errors.RateLimited("Too fast.", limit="requests_per_minute", retry_after=timedelta(seconds=7.25))
    async with served_by_socket(unary=raising(refusal)) as client:
        failure = (await failure_of(client.ask())).__cause__
    assert failure.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert failure.details() == "Too fast."
    raw = dict(failure.trailing_metadata())[STATUS_DETAILS_KEY]
    kinds = {detail.type_url.rpartition(".")[2] for detail in status_pb2.Status.FromString(raw).details}
    assert kinds == {"ErrorInfo", "RetryInfo", "QuotaFailure"}


async def test_a_stream_fails_after_what_it_has_sent(served):
    behaviour = streaming_then_raising(errors.UpstreamFailed("It broke.", upstream="openai"))
    async with served(stream=behaviour) as client:
        received, failure = await responses_and_failure_of(client.tell("one"))
    assert [response.text for response in received] == ["one"]
    assert vars(failure) == {"message": "It broke.", "upstream": "openai"}


@pytest.mark.parametrize("waits", [False, True])
@pytest.mark.parametrize("defect", [RuntimeError(SECRET), KeyError(SECRET), ExceptionGroup(SECRET, [OSError(SECRET)])])
async def test_a_defect_is_internal_and_its_text_stays_inside(served, transport, defect, waits):
    async def unary(request, call):
        if waits:
            await asyncio.sleep(0)
        raise defect

    async def stream(request, call):
        yield request
        await unary(request, call)

    with capture_logs() as logged:
        async with served(unary=unary, stream=stream) as client:
            failures = await both_failures(client)
    for failure in failures:
        assert type(failure) is errors.InternalError
        assert failure.message == "Internal error. Give the request id to the operator."
        assert SECRET not in repr((vars(failure), str(failure), str(failure.__cause__)))
        if transport == IN_PROCESS:
            assert failure.__cause__ is failure.__context__ is None
    # The operator finds it in the log instead.
    assert [(entry["event"], entry["exc_info"]) for entry in logged] == [("servicer_failed", defect)] * 2


@pytest.mark.parametrize("waits", [False, True])
async def test_a_cancellation_of_the_servicers_own_making_is_a_defect(served, waits):
    async def unary(request, call):
        task = asyncio.ensure_future(asyncio.Event().wait())
        if waits:
            asyncio.get_running_loop().call_soon(task.cancel)
            await task
        else:
            raise asyncio.CancelledError

    async def stream(request, call):
        yield request
        await unary(request, call)

    with capture_logs() as logged:
        async with served(unary=unary, stream=stream) as client, asyncio.timeout(60):
            failures = await both_failures(client)
    assert [type(failure) for failure in failures] == [errors.InternalError] * 2
    assert [entry["event"] for entry in logged] == ["servicer_failed"] * 2
    assert asyncio.current_task().cancelling() == 0


async def test_a_message_over_the_limit_is_refused_whichever_way_it_goes(served_by_socket, note):
    """Size limits belong to sockets; in process a value is what it is."""

    async def unary(request, call):
        return note("x" * 300_000)

    async def stream(request, call):
        yield note("a")
        yield note("x" * 300_000)

    async with served_by_socket(unary=unary, stream=stream) as client:
        request = await failure_of(client.ask("x" * 300_000))
        response = await failure_of(client.ask())
        streamed = await responses_and_failure_of(client.tell())
        streaming = await responses_and_failure_of(client.tell("x" * 300_000))
    for failure in (request, response, streamed[1], streaming[1]):
        assert type(failure) is errors.InvalidRequest
        assert failure.message == "The request, or its answer, is too large for the test service."
    assert (len(streamed[0]), len(streaming[0])) == (1, 0)


@pytest.mark.parametrize(
    "text", ["x" * 20_000, "日" * 5_000, "é" * 1_000, "\N{PILE OF POO}" * 900], ids=["ascii", "cjk", "latin", "emoji"]
)
async def test_an_error_with_a_long_text_keeps_its_reason_and_its_beginning(served_by_socket, text):
    refusal = errors.InvalidRequest(text, field="input.messages[0]." + text)
    async with served_by_socket(unary=raising(refusal)) as client:
        known = await failure_of(client.ask())
    assert type(known) is errors.InvalidRequest
    assert known.message.endswith("…")
    assert text.startswith(known.message[:-1])
    assert len(known.message) > 200
    # What clients with grpcio's own limit of 8 KiB would still take.
    failure = known.__cause__
    info = error_details_pb2.ErrorInfo()
    raw = dict(failure.trailing_metadata())[STATUS_DETAILS_KEY]
    assert status_pb2.Status.FromString(raw).details[0].Unpack(info)
    assert info.metadata["field"].startswith("input.messages[0].")
    percent_encoded = 3 * len(failure.details().encode())
    assert percent_encoded + len(raw) * 4 // 3 < 8 * 1024


async def test_half_a_surrogate_pair_in_a_message_does_not_lose_the_error(served_by_socket):
    async with served_by_socket(unary=raising(errors.ModelNotFound("No model \ud83d.", model="\ud83d"))) as client:
        known = await failure_of(client.ask())
    assert vars(known) == {"message": "No model ?.", "model": "?"}
