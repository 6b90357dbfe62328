import pytest

from penstock.router.v1 import router_service_pb2 as pb
from penstock_common import errors
from penstock_common.configuration import Configuration
from penstock_common.contract.router import RouteRequest, requirements_of
from penstock_common.contract.wire.router import LIST_MODELS, ROUTE
from penstock_common.llm.types import GenerationInput, Image, JsonSchema, Message, Role, Text, Tool, UnitPrices
from penstock_common.prices import UNKNOWN_PRICES
from penstock_common.testing.transports import channel_to
from penstock_router.app import build
from penstock_router.settings import Settings

CONFIGURATION = """
upstreams:
  - name: eu
    region: eu
    models: [{name: small, context_window: 100, capabilities: [chat], price: {input: 0.1, cached_input: 0.05, output: 2}}]
  - {name: us, region: us, models: [{name: org/large, context_window: 100000, capabilities: [chat, tools, vision, json_schema]}]}
models:
  - {name: fast, candidates: [eu/small, us/org/large]}
  - {name: small, candidates: [eu/small]}
  - {name: heavy, candidates: [eu/small, us/org/large], weights: {us/org/large: 1}}
"""


@pytest.fixture
async def channel(transport):
    settings = Configuration.parse(CONFIGURATION, {}).settings(Settings)
    async with build(settings) as service, channel_to(service, transport) as channel:
        yield channel


@pytest.fixture
def plan_of(channel):
    """Asks for the plan of a request."""

    async def ask(request, steps=None):
        return await channel.call(ROUTE, request, steps=steps)

    return ask


def request_for(model, *parts, allowed_regions=(), **fields):
    turn = Message(role=Role.USER, parts=parts or (Text(text="hello"),))
    asked = GenerationInput(model=model, messages=(turn,), **fields)
    return RouteRequest(model=model, requirements=requirements_of(asked), allowed_regions=tuple(allowed_regions))


def names(plan):
    return [str(candidate) for candidate in plan.candidates]


async def test_candidates_keep_their_order(plan_of):
    plan = await plan_of(request_for("fast"))
    assert names(plan) == ["eu/small", "us/org/large"]
    assert plan.reason == "fast: eu/small first by order"


async def test_a_weighted_candidate_comes_first(plan_of):
    assert names(await plan_of(request_for("heavy"))) == ["us/org/large", "eu/small"]


async def test_a_plan_says_what_each_candidate_is_billed_at_in_their_order(plan_of):
    priced = UnitPrices(input_nano_usd=100_000_000, cached_input_nano_usd=50_000_000, output_nano_usd=2_000_000_000)
    assert (await plan_of(request_for("fast"))).prices == (priced, UNKNOWN_PRICES)
    assert (await plan_of(request_for("heavy"))).prices == (UNKNOWN_PRICES, priced)


async def test_tools_leave_out_who_has_none_and_the_reason_says_so(plan_of):
    plan = await plan_of(request_for("fast", tools=(Tool(name="f"),)))
    assert names(plan) == ["us/org/large"]
    assert "eu/small (lacks tools)" in plan.reason


async def test_images_need_vision(plan_of):
    plan = await plan_of(request_for("fast", Text(text="What?"), Image(url="https://example.org/a.png")))
    assert names(plan) == ["us/org/large"]


async def test_a_schema_needs_who_takes_one(plan_of):
    plan = await plan_of(request_for("fast", response_format=JsonSchema(name="answer", schema_json="{}")))
    assert names(plan) == ["us/org/large"]


async def test_a_region_leaves_out_the_others(plan_of):
    assert names(await plan_of(request_for("fast", allowed_regions=["us"]))) == ["us/org/large"]


async def test_a_long_conversation_leaves_out_small_windows(plan_of):
    assert names(await plan_of(request_for("fast", Text(text="word " * 1000)))) == ["us/org/large"]


async def test_a_conversation_that_fits_nobody_is_refused_with_sizes(plan_of):
    with pytest.raises(errors.ContextLengthExceeded) as caught:
        await plan_of(request_for("small", Text(text="word " * 1000)))
    assert (caught.value.input_tokens, caught.value.max_input_tokens) == (625, 100)


async def test_an_unknown_model_is_not_found_and_names_no_other(plan_of):
    with pytest.raises(errors.ModelNotFound) as caught:
        await plan_of(request_for("nope"))
    # Whose key may use which is not known here.
    assert "fast" not in caught.value.message
    assert caught.value.model == "nope"


async def test_a_capability_that_nobody_has_names_the_field(plan_of):
    with pytest.raises(errors.UnsupportedParameter) as caught:
        await plan_of(request_for("small", tools=(Tool(name="f"),)))
    assert caught.value.parameter == "input.tools"


async def test_a_region_that_nobody_is_in_is_refused(plan_of):
    with pytest.raises(errors.ModelNotPermitted):
        await plan_of(request_for("small", allowed_regions=["us"]))


async def test_the_decision_leaves_a_step(plan_of):
    steps = []
    await plan_of(request_for("fast"), steps)
    (step,) = steps
    assert step.name == "router.plan"
    assert step.attributes == {"candidates": 2, "reason": "fast: eu/small first by order"}
    assert step.end_ns >= step.start_ns


async def test_models_come_by_name_with_what_their_candidates_can(channel):
    models = {model.name: model for model in await channel.call(LIST_MODELS, None)}
    assert list(models) == ["fast", "heavy", "small"]
    assert models["fast"].context_window_tokens == 100000
    assert models["small"].capabilities == ("chat",)


# What a gateway of 0.1 sends. Of RouteRequest: input = 1 and allowed_regions = 4; of the input: model = 1, messages = 2
# with role = 1 and parts = 2; of a part: image = 2, whose url = 1.
_OLD_TURN = b"\x08\x03" + b"\x12\x0d\x12\x0b\x0a\x09https://a"
_OLD_INPUT = b"\x0a\x04fast" + b"\x12" + bytes([len(_OLD_TURN)]) + _OLD_TURN
OLD_REQUEST = b"\x0a" + bytes([len(_OLD_INPUT)]) + _OLD_INPUT + b"\x22\x02us" + b"\x22\x02eu"


async def test_a_gateway_of_0_1_that_sends_the_conversation_gets_the_same_plan(channel, transport, plan_of):
    """It is rolled last, and knows neither requirements nor the model's own field."""
    if transport != "socket":
        pytest.skip("there is one version within a process")
    answer = await channel._channel.unary_unary(ROUTE.path)(OLD_REQUEST)
    plan = await plan_of(request_for("fast", Image(url="https://a"), allowed_regions=["us", "eu"]))
    assert ROUTE.response.decode(answer) == plan
    assert names(plan) == ["us/org/large"]


async def test_a_turn_without_a_role_is_refused_by_its_place(channel, transport):
    if transport != "socket":
        pytest.skip("the conversation comes from gateways of 0.1 alone")
    old = pb.RouteRequest()
    old.input.model = "fast"
    old.input.messages.add()
    with pytest.raises(errors.InvalidRequest) as caught:
        ROUTE.request.decode(old.SerializeToString())
    assert caught.value.field == "input.messages[0].role"
    with pytest.raises(Exception, match="not a known role"):
        await channel._channel.unary_unary(ROUTE.path)(old.SerializeToString())


def test_a_request_that_needs_nothing_is_refused():
    with pytest.raises(errors.InvalidRequest) as caught:
        ROUTE.request.decode(pb.RouteRequest(model="fast").SerializeToString())
    assert caught.value.field == "requirements"


# A route's digest


ROUTED = """
upstreams:
  - name: a
    region: eu
    provider: openai_compatible
    base_url: ${ROUTED_BASE_URL}
    api_key: ${ROUTED_KEY_THAT_NOBODY_SETS}
    models: [{name: m, context_window: 100, capabilities: [chat], price: {input: 1}}]
  - {name: b, provider: triton, grpc: "127.0.0.1:1", models: [{name: m, context_window: 200, chat_template: one.jinja}]}
models:
  - {name: fast, candidates: [a/m, b/m]}
"""


async def _digest(text=ROUTED, model="fast"):
    settings = Configuration.parse(text, {}).settings(Settings)
    async with build(settings) as service, channel_to(service, "in_process") as channel:
        return (await channel.call(ROUTE, request_for(model))).route_digest


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("openai_compatible", "vllm"),
        ("${ROUTED_BASE_URL}", "http://elsewhere"),
        ("base_url: ${ROUTED_BASE_URL}", "base_urls: ['${ROUTED_BASE_URL}', 'http://too']"),
        ("127.0.0.1:1", "127.0.0.1:2"),
        ("one.jinja", "another.jinja"),
        ("region: eu", "region: us"),
        ("[a/m, b/m]", "[b/m, a/m]"),
        ("[a/m, b/m]", "[a/m]"),
        ("[a/m, b/m]}", "[a/m, b/m], weights: {a/m: 1}}"),
        ("[a/m, b/m]}", "[a/m, b/m], weights: {a/m: 1, b/m: 1}}"),
    ],
)
async def test_a_digest_changes_with_whoever_may_answer(old, new):
    assert await _digest(ROUTED.replace(old, new)) != await _digest()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("input: 1", "input: 2"),
        ("context_window: 100", "context_window: 150"),
        ("[chat]", "[chat, tools]"),
        ("api_key: ${ROUTED_KEY_THAT_NOBODY_SETS}", "timeouts: {idle: 3s}"),
        ("models:\n", "models:\n  - {name: other, candidates: [b/m]}\n"),
    ],
)
async def test_a_digest_stays_where_the_same_may_answer(old, new):
    assert ROUTED.count(old) >= 1
    assert await _digest(new.join(ROUTED.rsplit(old, 1))) == await _digest()


async def test_an_address_is_resolved_where_it_can_be_and_no_key_is_asked_for(monkeypatch):
    unresolved = await _digest()
    monkeypatch.setenv("ROUTED_BASE_URL", "http://here")
    here = await _digest()
    assert here == await _digest(ROUTED.replace("${ROUTED_BASE_URL}", "http://here"))
    monkeypatch.setenv("ROUTED_BASE_URL", "http://there")
    assert len({unresolved, here, await _digest()}) == 3


def test_the_router_keeps_nobodys_key():
    settings = Configuration.parse(ROUTED.replace("${ROUTED_KEY_THAT_NOBODY_SETS}", "sk-secret"), {}).settings(Settings)
    assert "sk-secret" not in repr(settings)
    assert "sk-secret" not in str(settings.model_dump())


async def test_a_plan_that_is_known_is_given_to_those_alone_whom_it_fits(plan_of):
    for _ in range(2):
        assert names(await plan_of(request_for("fast"))) == ["eu/small", "us/org/large"]
        assert names(await plan_of(request_for("fast", Text(text="x" * 10_000)))) == ["us/org/large"]
        assert names(await plan_of(request_for("fast", allowed_regions=("us",)))) == ["us/org/large"]
        assert names(await plan_of(request_for("fast", tools=(Tool(name="f"),)))) == ["us/org/large"]
        assert names(await plan_of(request_for("heavy"))) == ["us/org/large", "eu/small"]
