import grpc
import pytest

from penstock.llm.v1 import message_pb2
from penstock.router.v1 import router_service_pb2 as pb
from penstock.router.v1.router_service_pb2_grpc import RouterServiceStub
from penstock_common import errors
from penstock_common.configuration import Configuration
from penstock_common.status import error_from_rpc
from penstock_common.telemetry.steps import steps_from_metadata
from penstock_common.testing.transports import channel_to
from penstock_router.app import build
from penstock_router.settings import Settings

CONFIGURATION = """
upstreams:
  - {name: eu, region: eu, models: [{name: small, context_window: 100, capabilities: [chat]}]}
  - {name: us, region: us, models: [{name: org/large, context_window: 100000, capabilities: [chat, tools, vision, json_schema]}]}
models:
  - {name: fast, candidates: [eu/small, us/org/large]}
  - {name: small, candidates: [eu/small]}
  - {name: heavy, candidates: [eu/small, us/org/large], weights: {us/org/large: 1}}
"""


@pytest.fixture
async def stub(transport):
    settings = Configuration.parse(CONFIGURATION, {}).settings(Settings)
    async with build(settings) as service, channel_to(service, transport) as channel:
        yield RouterServiceStub(channel)


def request_for(model, text="hello", **fields):
    request = pb.RouteRequest(**fields)
    request.input.model = model
    request.input.messages.add(role=message_pb2.ROLE_USER).parts.add(text=text)
    return request


async def refusal_of(call):
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return caught.value.code(), error_from_rpc(caught.value)


def names(plan):
    return [f"{candidate.upstream}/{candidate.model}" for candidate in plan.candidates]


async def test_candidates_keep_their_order(stub):
    plan = (await stub.Route(request_for("fast"))).plan
    assert names(plan) == ["eu/small", "us/org/large"]
    assert plan.reason == "fast: eu/small first by order"


async def test_a_weighted_candidate_comes_first(stub):
    assert names((await stub.Route(request_for("heavy"))).plan) == ["us/org/large", "eu/small"]


async def test_tools_leave_out_who_has_none_and_the_reason_says_so(stub):
    request = request_for("fast")
    request.input.tools.add(name="f")
    plan = (await stub.Route(request)).plan
    assert names(plan) == ["us/org/large"]
    assert "eu/small (lacks tools)" in plan.reason


async def test_images_need_vision(stub):
    request = request_for("fast")
    request.input.messages[0].parts.add().image.url = "https://example.org/a.png"
    assert names((await stub.Route(request)).plan) == ["us/org/large"]


async def test_a_region_leaves_out_the_others(stub):
    assert names((await stub.Route(request_for("fast", allowed_regions=["us"]))).plan) == ["us/org/large"]


async def test_a_long_conversation_leaves_out_small_windows(stub):
    assert names((await stub.Route(request_for("fast", "word " * 1000))).plan) == ["us/org/large"]


async def test_a_conversation_that_fits_nobody_is_refused_with_sizes(stub):
    code, error = await refusal_of(stub.Route(request_for("small", "word " * 1000)))
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert isinstance(error, errors.ContextLengthExceeded)
    assert (error.input_tokens, error.max_input_tokens) == (625, 100)


async def test_an_unknown_model_is_not_found_and_names_what_exists(stub):
    code, error = await refusal_of(stub.Route(request_for("nope")))
    assert code is grpc.StatusCode.NOT_FOUND
    assert isinstance(error, errors.ModelNotFound)
    assert "fast" in error.message
    assert error.model == "nope"


async def test_a_capability_that_nobody_has_names_the_field(stub):
    request = request_for("small")
    request.input.tools.add(name="f")
    _, error = await refusal_of(stub.Route(request))
    assert isinstance(error, errors.UnsupportedParameter)
    assert error.parameter == "input.tools"


async def test_a_region_that_nobody_is_in_is_refused(stub):
    code, error = await refusal_of(stub.Route(request_for("small", allowed_regions=["us"])))
    assert code is grpc.StatusCode.PERMISSION_DENIED
    assert isinstance(error, errors.ModelNotPermitted)


async def test_a_turn_without_a_role_is_refused_by_its_place(stub):
    request = request_for("fast")
    request.input.messages[0].role = message_pb2.ROLE_UNSPECIFIED
    _, error = await refusal_of(stub.Route(request))
    assert isinstance(error, errors.InvalidRequest)
    assert error.field == "input.messages[0].role"


async def test_the_decision_leaves_a_step_in_trailing_metadata(stub):
    call = stub.Route(request_for("fast"))
    await call
    (step,) = steps_from_metadata(await call.trailing_metadata())
    assert step.name == "router.plan"
    assert step.attributes["candidates"] == 2
    assert step.end_ns >= step.start_ns


async def test_models_come_by_name_with_what_their_candidates_can(stub):
    models = {model.name: model for model in (await stub.ListModels(pb.ListModelsRequest())).models}
    assert list(models) == ["fast", "heavy", "small"]
    assert models["fast"].context_window_tokens == 100000
    assert list(models["small"].capabilities) == ["chat"]
