"""What a failed call tells its caller, over both transports."""

import asyncio
from datetime import timedelta

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2
from structlog.testing import capture_logs

from penstock.inference.v1 import inference_service_pb2 as inference
from penstock.router.v1 import router_service_pb2 as router
from penstock_common import errors
from penstock_common.rpc.channel import translated
from penstock_common.status import STATUS_DETAILS_KEY, error_from_rpc

SECRET = "the-cause-that-nobody-outside-may-read"


async def failure_of(call):
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return caught.value


async def responses_and_failure_of(call):
    received = []
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        async for response in call:
            received.append(response)
    return received, caught.value


async def both_failures(stubs):
    return [await failure_of(stubs.route()), (await responses_and_failure_of(stubs.generate()))[1]]


def raising(error):
    async def behaviour(request, context):
        raise error

    return behaviour


def streaming_then_raising(error, response):
    async def behaviour(request, context):
        yield response
        raise error

    return behaviour


async def test_a_domain_error_arrives_with_every_detail(served):
    refusal = errors.RateLimited("Too fast.", limit="requests_per_minute", retry_after=timedelta(seconds=7.25))
    async with served(unary=raising(refusal)) as stubs:
        failure = await failure_of(stubs.route())
    assert failure.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert failure.details() == "Too fast."
    again = error_from_rpc(failure)
    assert type(again) is errors.RateLimited
    assert vars(again) == vars(refusal)
    raw = dict(failure.trailing_metadata())[STATUS_DETAILS_KEY]
    kinds = {detail.type_url.rpartition(".")[2] for detail in status_pb2.Status.FromString(raw).details}
    assert kinds == {"ErrorInfo", "RetryInfo", "QuotaFailure"}


async def test_a_stream_fails_after_what_it_has_sent(served, responses):
    behaviour = streaming_then_raising(errors.UpstreamFailed("It broke.", upstream="openai"), responses("one"))
    async with served(stream=behaviour) as stubs:
        received, failure = await responses_and_failure_of(stubs.generate())
    assert [response.event.text_delta.text for response in received] == ["one"]
    assert vars(error_from_rpc(failure)) == {"message": "It broke.", "upstream": "openai"}


@pytest.mark.parametrize("defect", [RuntimeError(SECRET), KeyError(SECRET), ExceptionGroup(SECRET, [OSError(SECRET)])])
async def test_a_defect_is_internal_and_its_text_stays_inside(served, responses, defect):
    behaviours = {"unary": raising(defect), "stream": streaming_then_raising(defect, responses("one"))}
    with capture_logs() as logged:
        async with served(**behaviours) as stubs:
            unary, stream = await both_failures(stubs)
    for failure in (unary, stream):
        assert failure.code() is grpc.StatusCode.INTERNAL
        assert failure.details() == "Internal error. Give the request id to the operator."
        assert type(error_from_rpc(failure)) is errors.InternalError
        assert SECRET not in repr((failure.details(), list(failure.trailing_metadata()), str(failure)))
        assert failure.__cause__ is None
    # The operator finds it in the log instead.
    assert [(entry["event"], entry["exc_info"]) for entry in logged] == [("servicer_failed", defect)] * 2


async def test_a_cancellation_of_the_servicers_own_making_is_a_defect(served, responses):
    async def unary(request, context):
        task = asyncio.ensure_future(asyncio.Event().wait())
        asyncio.get_running_loop().call_soon(task.cancel)
        await task

    async def stream(request, context):
        yield responses("one")
        await unary(request, context)

    with capture_logs() as logged:
        async with served(unary=unary, stream=stream) as stubs, asyncio.timeout(5):
            failures = await both_failures(stubs)
    assert [failure.code() for failure in failures] == [grpc.StatusCode.INTERNAL] * 2
    assert [entry["event"] for entry in logged] == ["servicer_failed"] * 2


async def test_abort_passes_untouched(served, responses):
    async def unary(request, context):
        await context.abort(grpc.StatusCode.DATA_LOSS, "gone", (("why", "moth"),))

    async def stream(request, context):
        yield responses("one")
        await context.abort(grpc.StatusCode.DATA_LOSS, "gone", (("why", "moth"),))

    async with served(unary=unary, stream=stream) as stubs:
        failures = await both_failures(stubs)
    for failure in failures:
        assert (failure.code(), failure.details()) == (grpc.StatusCode.DATA_LOSS, "gone")
        assert list(failure.trailing_metadata()) == [("why", "moth")]
        assert error_from_rpc(failure) is None


async def test_a_status_of_cancelled_from_the_servicer_is_an_error_not_a_cancellation(served):
    async def unary(request, context):
        await context.abort(grpc.StatusCode.CANCELLED, "shutting down")

    async with served(unary=unary) as stubs:
        call = stubs.route()
        assert (await failure_of(call)).code() is grpc.StatusCode.CANCELLED
        assert call.cancelled()


async def test_a_code_that_is_set_fails_a_call_that_returns(served, responses):
    async def unary(request, context):
        context.set_code(grpc.StatusCode.NOT_FOUND)
        context.set_details("nowhere")
        return router.RouteResponse()

    async def stream(request, context):
        yield responses("one")
        context.set_code(grpc.StatusCode.NOT_FOUND)
        context.set_details("nowhere")

    async with served(unary=unary, stream=stream) as stubs:
        failures = await both_failures(stubs)
    assert [(failure.code(), failure.details()) for failure in failures] == [(grpc.StatusCode.NOT_FOUND, "nowhere")] * 2


async def test_trailing_metadata_set_before_an_error_comes_beside_the_details(served, responses):
    entry = ("penstock-steps-bin", b"\x00\xff\x80")

    async def unary(request, context):
        context.set_trailing_metadata((entry,))
        raise errors.ModelNotFound("No such model.", model="m")

    async def stream(request, context):
        try:
            yield responses("one")
            raise errors.ModelNotFound("No such model.", model="m")
        finally:
            context.set_trailing_metadata((entry,))

    async with served(unary=unary, stream=stream) as stubs:
        failures = await both_failures(stubs)
    for failure in failures:
        assert entry in list(failure.trailing_metadata())
        assert error_from_rpc(failure).model == "m"


async def test_metadata_travel_both_ways(served, responses):
    seen = []
    initial, trailing = (("early", "1"),), (("late", "2"), ("raw-bin", b"\x00\xfe"))

    async def unary(request, context):
        seen.append(context.invocation_metadata())
        await context.send_initial_metadata(initial)
        context.set_trailing_metadata(trailing)
        return router.RouteResponse()

    async def stream(request, context):
        await unary(request, context)
        yield responses("one")

    sent = (("plain", "a"), ("plain", "b"), ("blob-bin", b"\x80\x00"))
    async with served(unary=unary, stream=stream) as stubs:
        call = stubs.route(metadata=sent)
        await call
        reading = stubs.generate(metadata=grpc.aio.Metadata(*sent))
        assert list(await reading.initial_metadata()) == list(initial)
        assert len([response async for response in reading]) == 1
        for ended in (call, reading):
            assert list(await ended.initial_metadata()) == list(initial)
            assert list(await ended.trailing_metadata()) == list(trailing)
    for metadata in seen:
        assert [tuple(entry) for entry in metadata if entry[0] in ("plain", "blob-bin")] == list(sent)


async def test_a_message_over_the_limit_is_refused_whichever_way_it_goes(served):
    async def unary(request, context):
        response = router.RouteResponse()
        response.plan.reason = "x" * 300_000
        return response

    async def stream(request, context):
        yield inference.GenerateResponse()
        response = inference.GenerateResponse()
        response.event.text_delta.text = "x" * 300_000
        yield response

    async with served(unary=unary, stream=stream) as stubs:
        request = await failure_of(stubs.route(router.RouteRequest(embedding=bytes(300_000))))
        response = await failure_of(stubs.route())
        streamed = await responses_and_failure_of(stubs.generate())
        streaming = await responses_and_failure_of(stubs.generate(_large_generation()))
    exhausted = grpc.StatusCode.RESOURCE_EXHAUSTED
    assert [failure.code() for failure in (request, response, streamed[1], streaming[1])] == [exhausted] * 4
    assert (len(streamed[0]), len(streaming[0])) == (1, 0)


def _large_generation():
    request = inference.GenerateRequest()
    request.input.extra_json = "x" * 300_000
    return request


async def test_a_method_that_nobody_serves_is_unimplemented(served):
    async with served() as stubs:
        left_out = await failure_of(stubs.router.ListModels(router.ListModelsRequest()))
        call = stubs.channel.unary_unary(
            "/penstock.router.v1.RouterService/Nothing",
            request_serializer=router.RouteRequest.SerializeToString,
            response_deserializer=router.RouteResponse.FromString,
        )(router.RouteRequest())
        unknown = await failure_of(call)
    assert (left_out.code(), unknown.code()) == (grpc.StatusCode.UNIMPLEMENTED,) * 2
    assert type(translated(unknown, "router")) is errors.ServiceUnavailable


async def test_a_response_that_is_no_message_fails_the_call(served):
    async def unary(request, context):
        return None

    async with served(unary=unary) as stubs:
        assert (await failure_of(stubs.route())).code() is grpc.StatusCode.UNKNOWN


@pytest.mark.parametrize(
    "text", ["x" * 20_000, "日" * 5_000, "é" * 1_000, "\N{PILE OF POO}" * 900], ids=["ascii", "cjk", "latin", "emoji"]
)
async def test_an_error_with_a_long_text_keeps_its_reason_and_its_beginning(served, text):
    refusal = errors.InvalidRequest(text, field="input.messages[0]." + text)
    async with served(unary=raising(refusal)) as stubs:
        failure = await failure_of(stubs.route())
    known = error_from_rpc(failure)
    assert type(known) is errors.InvalidRequest
    assert known.message.endswith("…")
    assert text.startswith(known.message[:-1])
    assert len(known.message) > 200
    # What clients with grpcio's own limit of 8 KiB would still take.
    info = error_details_pb2.ErrorInfo()
    raw = dict(failure.trailing_metadata())[STATUS_DETAILS_KEY]
    assert status_pb2.Status.FromString(raw).details[0].Unpack(info)
    assert info.metadata["field"].startswith("input.messages[0].")
    percent_encoded = 3 * len(failure.details().encode())
    assert percent_encoded + len(raw) * 4 // 3 < 8 * 1024


async def test_half_a_surrogate_pair_in_a_message_does_not_lose_the_error(served):
    async with served(unary=raising(errors.ModelNotFound("No model \ud83d.", model="\ud83d"))) as stubs:
        known = error_from_rpc(await failure_of(stubs.route()))
    assert vars(known) == {"message": "No model ?.", "model": "?"}
