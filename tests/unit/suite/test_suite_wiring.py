"""What a role calls is a name in its own declaration; whoever puts roles together needs no word about it."""

from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from penstock_common.configuration import Configuration, ConfigurationError
from penstock_common.rpc.in_process import InProcessChannel
from penstock_common.service import Role as Declared
from penstock_common.service import Service
from penstock_common.upstreams.quality import QualityBoard
from penstock_router.settings import Settings
from penstock_suite.app.wiring import Wiring, all_here
from penstock_suite.domain.requests import Role


@pytest.fixture
def declare(monkeypatch):
    """A function that has a role call others, and returns the channels that it is built with, by build."""

    def declared(role, **calls):
        builds = []

        @asynccontextmanager
        async def build(settings, **channels):
            builds.append(channels)
            yield Service(role, (), [f"metrics of the {role}"])

        monkeypatch.setattr(f"penstock_{role}.app.ROLE", Declared(Settings, build, **calls))
        return builds

    return declared


@pytest.fixture
async def stack():
    async with AsyncExitStack() as stack:
        yield stack


async def test_a_role_gets_a_channel_to_what_it_calls_and_every_role_is_built_once(declare, stack):
    router = declare("router", calls=("inference",), may_call=("cache", "embedding"))
    inference, cache = declare("inference"), declare("cache", calls=("inference",))
    wiring = Wiring(Configuration({}), dict.fromkeys((Role.ROUTER, Role.INFERENCE, Role.CACHE)), stack)
    service = await wiring.service(Role.ROUTER)
    assert service.name == "router"
    assert (inference, len(cache)) == ([{}], 1)
    # There is no embedding service, and nobody gets a way to it.
    assert set(router[0]) == {"inference", "cache"}
    assert router[0]["inference"] is cache[0]["inference"] is await wiring.channel(Role.INFERENCE)
    assert isinstance(router[0]["inference"], InProcessChannel)


async def test_a_role_elsewhere_is_opened_where_it_is_and_closed_at_the_end(declare):
    router, closed = declare("router", may_call=("embedding",)), []

    @asynccontextmanager
    async def place():
        yield "a channel"
        closed.append("embedding")

    async with AsyncExitStack() as stack:
        await Wiring(Configuration({}), {Role.ROUTER: None, Role.EMBEDDING: place}, stack).service(Role.ROUTER)
        assert (router, closed) == ([{"embedding": "a channel"}], [])
    assert closed == ["embedding"]


async def test_a_role_that_is_nowhere_is_told_before_anything_is_served(declare, stack):
    declare("router", calls=("cache",))
    with pytest.raises(ConfigurationError, match="the cache is called"):
        await Wiring(Configuration({}), {Role.ROUTER: None}, stack).service(Role.ROUTER)


@pytest.mark.parametrize(
    ("document", "optional"),
    [
        ({}, {Role.CACHE}),
        ({"cache": {"mode": False}}, set()),
        ({"embedding": {}}, {Role.CACHE, Role.EMBEDDING}),
    ],
)
def test_one_process_has_the_roles_of_its_configuration(document, optional):
    assert set(all_here(Configuration(document))) == {Role.ROUTER, Role.INFERENCE} | optional


async def test_roles_that_meet_share_a_board_where_both_are_in_this_process_and_nowhere_else(declare, stack):
    router, inference = declare("router", meets=("inference",)), declare("inference", meets=("router",))
    here = Wiring(Configuration({}), dict.fromkeys((Role.ROUTER, Role.INFERENCE)), stack)
    for role in (Role.ROUTER, Role.INFERENCE):
        await here.channel(role)
    assert router[0]["board"] is inference[0]["board"]

    def elsewhere():
        raise AssertionError("nobody calls it")

    apart = Wiring(Configuration({}), {Role.ROUTER: None, Role.INFERENCE: elsewhere}, stack)
    await apart.channel(Role.ROUTER)
    # As `penstock serve` does, whose own role is at an address, too.
    alone = Wiring(Configuration({}), {Role.ROUTER: elsewhere, Role.INFERENCE: elsewhere}, stack)
    await alone.service(Role.ROUTER)
    await alone.service(Role.INFERENCE)
    assert (router[1:], inference[1:]) == ([{}, {}], [{}])


async def test_a_router_of_this_process_hears_its_gateway_and_one_elsewhere_does_not(declare, stack):
    router = declare("router", hears_gateway=True)
    declare("inference")
    here = Wiring(Configuration({}), {Role.ROUTER: None, Role.INFERENCE: None}, stack)
    await here.channel(Role.ROUTER)
    assert isinstance(router[0]["quality"], QualityBoard)

    @asynccontextmanager
    async def place():
        yield "a channel"

    await Wiring(Configuration({}), {Role.ROUTER: place}, stack).service(Role.ROUTER)
    assert router[1] == {}


async def test_a_gateway_tells_the_router_of_its_process_what_feedback_says(declare, stack, monkeypatch):
    router, channels = declare("router", hears_gateway=True), []
    declare("inference")
    declare("cache")

    @asynccontextmanager
    async def running(settings, given, listen, **_):
        channels.append(given)
        yield Service("gateway", ())

    monkeypatch.setattr("penstock_gateway.app.gateway.running", running)
    places = {Role.ROUTER: None, Role.INFERENCE: None, Role.CACHE: None}
    await Wiring(Configuration({}), places, stack).gateway("a place to listen")
    assert channels[0].quality is router[0]["quality"]
