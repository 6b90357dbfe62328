"""Two gateways on one database: what one of them takes back, the other refuses within seconds, whoever is away."""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass

import grpc
import pytest

import penstock_gateway.app.gateway
import penstock_gateway.settings
import penstock_inference.app
import penstock_router.app
from penstock.gateway.v1 import admin_service_pb2 as pb
from penstock.gateway.v1 import model_service_pb2, status_service_pb2
from penstock.gateway.v1.admin_service_pb2_grpc import AdminServiceStub
from penstock.gateway.v1.model_service_pb2_grpc import ModelServiceStub
from penstock.gateway.v1.status_service_pb2_grpc import StatusServiceStub
from penstock_common.configuration import Configuration
from penstock_common.testing.postgres_server import PostgresServer, postgres_programs
from penstock_common.testing.transports import IN_PROCESS, channel_to

OPERATOR_KEY = "operator-key-operator"
# A key is asked for anew after five seconds, and believed for ten minutes only where the database is away: what takes
# less than these, however busy the machine is, is the first. Seconds are measured by unit tests with a clock of theirs.
HANGS_AFTER_SECONDS = 90
KEY_STALE = "10m"


@dataclass
class Pair:
    """Two gateways, and an operator who always talks to the first."""

    channels: list[grpc.aio.Channel]

    def __post_init__(self):
        self._admin = AdminServiceStub(self.channels[0])

    async def ask(self, method, **fields):
        request = getattr(pb, f"{method}Request")(**fields)
        return await getattr(self._admin, method)(request, metadata=(("x-api-key", OPERATOR_KEY),), timeout=30)

    async def code(self, number, key):
        """Return the status with which a gateway answers the key."""
        call = ModelServiceStub(self.channels[number]).ListModels(
            model_service_pb2.ListModelsRequest(), metadata=(("x-api-key", key),), timeout=30
        )
        try:
            await call
        except grpc.aio.AioRpcError as error:
            return error.code()
        return grpc.StatusCode.OK

    async def codes(self, key):
        return [await self.code(number, key) for number in range(len(self.channels))]

    async def answers(self, number, key, wanted):
        """Ask again and again until a gateway answers the key so."""
        async with asyncio.timeout(HANGS_AFTER_SECONDS):
            while await self.code(number, key) is not wanted:
                pass


@pytest.fixture
async def open_pair(document, tmp_path):
    """A function that opens two gateways on the database of a URL."""
    async with AsyncExitStack() as stack:

        async def opened(url, **of_gateway):
            settings = {
                **document,
                "sql": url,
                "gateway": {**document["gateway"], "key_stale": KEY_STALE, **of_gateway},
            }
            configuration = Configuration(settings)
            channels = {}
            for package in (penstock_router, penstock_inference):
                built = package.app.build(configuration.settings(package.settings.Settings))
                service = await stack.enter_async_context(built)
                channels[service.name] = await stack.enter_async_context(channel_to(service, IN_PROCESS))
            found = []
            for number in range(2):
                running = penstock_gateway.app.gateway.running(
                    configuration.settings(penstock_gateway.settings.Settings),
                    penstock_gateway.app.gateway.Channels(**channels),
                    penstock_gateway.app.gateway.Listen(grpc="127.0.0.1:0", http=f"unix:{tmp_path}/{number}.sock"),
                    upgrades_schema=True,
                    shares_limits=True,
                )
                gateway = await stack.enter_async_context(running)
                await gateway.set_ready()
                channel = grpc.aio.insecure_channel(f"127.0.0.1:{gateway.grpc_port}")
                found.append(await stack.enter_async_context(channel))
            return Pair(found)

        yield opened


@pytest.fixture
async def pair(open_pair, database_url):
    return await open_pair(database_url)


OK, REFUSED = grpc.StatusCode.OK, grpc.StatusCode.UNAUTHENTICATED


async def test_new_key_works_everywhere_at_once_also_where_it_was_guessed(pair):
    created = await pair.ask("CreateKey", tenant="demo")
    assert await pair.codes(created.secret) == [OK, OK]
    assert await pair.codes(created.secret + "x") == [REFUSED, REFUSED]


@pytest.mark.parametrize("redis", ["up", "killed"])
async def test_revoked_key_is_refused_by_the_other_gateway(pair, redis_server, redis):
    created = await pair.ask("CreateKey", tenant="demo")
    assert await pair.codes(created.secret) == [OK, OK]
    if redis == "killed":
        redis_server.crash()
    await pair.ask("RevokeKey", id=created.key.id)
    await pair.answers(1, created.secret, REFUSED)
    await pair.answers(0, created.secret, REFUSED)
    assert await pair.codes(created.secret) == [REFUSED, REFUSED]


@pytest.mark.parametrize("redis", ["up", "killed"])
async def test_disabled_tenant_is_refused_by_the_other_gateway(pair, redis_server, redis):
    await pair.ask("CreateTenant", name="acme")
    created = await pair.ask("CreateKey", tenant="acme")
    assert await pair.codes(created.secret) == [OK, OK]
    if redis == "killed":
        redis_server.crash()
    await pair.ask("DisableTenant", name="acme")
    await pair.answers(1, created.secret, REFUSED)
    await pair.ask("EnableTenant", name="acme")
    await pair.answers(1, created.secret, OK)


async def test_disabled_user_is_refused_by_the_other_gateway(pair):
    user = (await pair.ask("CreateUser", tenant="demo", name="ada", role=pb.USER_ROLE_MEMBER)).user
    created = await pair.ask("CreateKey", tenant="demo", user_id=user.id)
    assert await pair.codes(created.secret) == [OK, OK]
    await pair.ask("DisableUser", id=user.id)
    await pair.answers(1, created.secret, REFUSED)


async def test_rotation_is_seen_by_the_other_gateway_and_refuses_nobody_before_its_time(pair):
    created = await pair.ask("CreateKey", tenant="demo")
    assert await pair.codes(created.secret) == [OK, OK]
    rotated = await pair.ask("RotateKey", id=created.key.id, overlap={"seconds": 3})
    assert await pair.codes(rotated.secret) == [OK, OK]
    ends_at = rotated.previous_key.expires_at.ToMicroseconds() / 1e6
    while await pair.code(1, created.secret) is OK:
        assert await pair.code(1, rotated.secret) is OK
    assert ends_at <= time.time()


@pytest.fixture
def postgres_of_our_own():
    """A PostgreSQL that a test may break."""
    try:
        postgres_programs()
    except FileNotFoundError as error:
        pytest.skip(str(error))
    with PostgresServer() as server:
        yield server
        server.resume()


async def test_database_that_hangs_holds_up_no_known_key_and_refuses_others_in_time(open_pair, postgres_of_our_own):
    # A statement may hang for longer than anybody is to wait for it.
    patience, for_good = 0.3, "100s"
    pair = await open_pair(
        postgres_of_our_own.create_database(),
        key_lookup_timeout=f"{patience}s",
        sql_statement_timeout=for_good,
        sql_connect_timeout=for_good,
    )
    known = await pair.ask("CreateKey", tenant="demo")
    other = await pair.ask("CreateKey", tenant="demo")
    assert await pair.code(1, known.secret) is OK
    with postgres_of_our_own.paused():
        began = time.monotonic()
        assert await pair.code(1, other.secret) is grpc.StatusCode.UNAVAILABLE
        assert patience <= time.monotonic() - began < 90
        # Longer than it is fresh, shorter than it is stale.
        while time.monotonic() - began < 6:
            assert await pair.code(1, known.secret) is OK
    await pair.answers(1, other.secret, OK)


async def test_administration_says_that_the_database_is_away_and_so_does_the_status(open_pair, postgres_of_our_own):
    pair = await open_pair(postgres_of_our_own.create_database(), sql_statement_timeout="1s", sql_connect_timeout="1s")
    created = await pair.ask("CreateKey", tenant="demo")
    operator = (("x-api-key", OPERATOR_KEY),)
    status = StatusServiceStub(pair.channels[0])
    with postgres_of_our_own.paused():
        for attempt in (
            pair.ask("CreateKey", tenant="demo"),
            pair.ask("RevokeKey", id=created.key.id),
            pair.ask("ListKeys"),
            pair.ask("ListAuditEntries"),
        ):
            with pytest.raises(grpc.aio.AioRpcError) as failed:
                await attempt
            assert failed.value.code() is grpc.StatusCode.UNAVAILABLE
            assert "database does not answer" in failed.value.details()
        told = await status.GetStatus(status_service_pb2.GetStatusRequest(), metadata=operator, timeout=30)
        assert list(told.problems) == ["The database does not answer."]
    request = status_service_pb2.GetStatusRequest()
    async with asyncio.timeout(HANGS_AFTER_SECONDS):
        while not (await status.GetStatus(request, metadata=operator, timeout=30)).is_healthy:
            pass
    assert [key.id for key in (await pair.ask("ListKeys")).keys] == [created.key.id]
