"""Over sockets a full process turns calls away unread, by the class that travels with them, and another one is asked."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import grpc
import msgspec
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from penstock_common.errors import DeadlineExceeded, Overloaded
from penstock_common.priority import Priority, Room
from penstock_common.rpc.channel import SocketChannel, open_channel
from penstock_common.rpc.scope import CURRENT_SCOPE, RequestScope
from penstock_common.rpc.server import ServerOptions, listening
from penstock_common.rpc.server_interceptors import FinalFailures, IncomingScope
from penstock_common.rpc.shedding import LoadShedding
from penstock_common.service import Service

CRITICAL, DEFAULT, SHEDDABLE = Priority
SHARES = {CRITICAL: 1.0, DEFAULT: 0.75, SHEDDABLE: 0.5}


def shedding(calls, *, others_may_help=True):
    return LoadShedding(Room(service="test", calls=calls, shares=SHARES, others_may_help=others_may_help))


def around(shed):
    return [FinalFailures(), IncomingScope(), shed]


def in_flight(shed):
    return next(iter(shed.collect())).samples[0].value


def turned_away(shed):
    return sum(sample.value for family in shed.collect() for sample in family.samples if "shed_total" in sample.name)


class Held:
    """Servicers that wait until they are let go."""

    def __init__(self):
        self.go = asyncio.Event()
        self.started = asyncio.Semaphore(0)
        self.seen = []

    async def unary(self, request, call):
        self.seen.append(call.scope.priority)
        self.started.release()
        await self.go.wait()
        return request

    async def stream(self, request, call):
        yield await self.unary(request, call)

    async def begun(self, count):
        async with asyncio.timeout(60):
            for _ in range(count):
                await self.started.acquire()


@pytest.fixture
def held():
    return Held()


def at(priority):
    CURRENT_SCOPE.set(RequestScope(request_id="r", priority=priority))


async def test_the_class_travels_and_the_least_is_turned_away_first_with_nothing_of_it_read(served_by_socket, held):
    shed = shedding(4, others_may_help=False)
    async with served_by_socket(unary=held.unary, interceptors=around(shed)) as client:
        calls = []
        for priority, count in ((SHEDDABLE, 2), (CRITICAL, 1)):
            at(priority)
            calls += [asyncio.ensure_future(client.ask()) for _ in range(count)]
            await held.begun(count)
        read = client.codec.decoded
        for priority in (SHEDDABLE, DEFAULT):
            at(priority)
            with pytest.raises(Overloaded, match=priority.word) as refused:
                await client.ask()
            assert refused.value.retry_after.total_seconds() == 1
        assert client.codec.decoded == read
        at(CRITICAL)
        calls.append(asyncio.ensure_future(client.ask()))
        await held.begun(1)
        held.go.set()
        await asyncio.gather(*calls)
    assert held.seen == [SHEDDABLE, SHEDDABLE, CRITICAL, CRITICAL]
    assert turned_away(shed) == 2


async def test_a_stream_has_its_place_until_its_end(served_by_socket, held, texts_of):
    shed = shedding(1, others_may_help=False)
    async with served_by_socket(stream=held.stream, interceptors=around(shed)) as client:
        stream = asyncio.ensure_future(texts_of(client.tell("one")))
        await held.begun(1)
        with pytest.raises(Overloaded):
            await texts_of(client.tell("two"))
        held.go.set()
        assert await stream == ["one"]
        assert await texts_of(client.tell("three")) == ["three"]


@pytest.mark.parametrize("ending", ["deadline", "left", "failed"])
async def test_whatever_ends_a_call_its_place_is_free_again(ending, served_by_socket, servicing):
    shed = shedding(1, others_may_help=False)

    async def failing(request, call):
        raise Overloaded("a provider's")

    unary = failing if ending == "failed" else servicing.unary
    async with served_by_socket(unary=unary, interceptors=around(shed)) as client:
        call = asyncio.ensure_future(client.ask(timeout=3 if ending == "deadline" else 60))
        if ending == "left":
            await servicing.started.wait()
            call.cancel()
        with pytest.raises((DeadlineExceeded, Overloaded, asyncio.CancelledError)):
            await call
        async with asyncio.timeout(60):
            while in_flight(shed):
                await asyncio.sleep(0.01)
    assert turned_away(shed) == 0


async def test_health_is_answered_by_a_full_process(served_by_socket, held):
    shed = shedding(1)
    service = Service("test", ())
    async with served_by_socket(unary=held.unary, interceptors=around(shed)) as client:
        handlers = client.handlers(held.unary, held.stream)
        service = Service("test", handlers)
        async with listening("127.0.0.1:0", [service], around(shed)) as listener:
            call = asyncio.ensure_future(client.ask())
            await held.begun(1)
            await listener.set_serving(serving=True)
            async with grpc.aio.insecure_channel(f"127.0.0.1:{listener.port}") as channel:
                answer = await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=60)
            assert answer.status == health_pb2.HealthCheckResponse.SERVING
            held.go.set()
            await call


@pytest.mark.parametrize("streams", [False, True])
async def test_what_one_process_has_no_room_for_another_is_asked(streams, served_by_socket, held, texts_of):
    """Calls take turns between the two, and all are answered by the one that has room."""
    full, free = shedding(1), shedding(1000)
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(served_by_socket())

        async def echo(request, call):
            return request

        async def tell(request, call):
            yield request

        ports = []
        for shed, unary, stream in ((full, held.unary, held.stream), (free, echo, tell)):
            service = Service("test", client.handlers(unary, stream))
            options = ServerOptions(reflection=False)
            listener = await stack.enter_async_context(listening("127.0.0.1:0", [service], around(shed), options))
            ports.append(listener.port)
        filling = SocketChannel(await stack.enter_async_context(open_channel(f"127.0.0.1:{ports[0]}")))
        filler = asyncio.ensure_future(filling.call(client.ask_method, client.codec.decode(msgspec.msgpack.encode({}))))
        await held.begun(1)
        both = ",".join(f"127.0.0.1:{port}" for port in ports)
        client.channel = SocketChannel(await stack.enter_async_context(open_channel(f"ipv4:{both}")))
        async with asyncio.timeout(60):
            # The channel may know one of the two sooner.
            while not turned_away(full):
                assert (await texts_of(client.tell("q")) if streams else [(await client.ask("q")).text]) == ["q"]
        held.go.set()
        await filler
    assert turned_away(free) == 0


async def test_who_can_do_without_is_told_at_the_first_word(served_by_socket, held):
    shed = shedding(1, others_may_help=False)
    async with served_by_socket(unary=held.unary, interceptors=around(shed)) as client:
        call = asyncio.ensure_future(client.ask())
        await held.begun(1)
        with pytest.raises(Overloaded):
            await client.ask()
        held.go.set()
        await call
    assert turned_away(shed) == 1


async def test_where_all_are_full_the_caller_is_told_after_a_few_attempts(served_by_socket, held):
    shed = shedding(1)
    async with served_by_socket(unary=held.unary, interceptors=around(shed)) as client:
        call = asyncio.ensure_future(client.ask())
        await held.begun(1)
        with pytest.raises(Overloaded) as refused:
            await client.ask()
        assert refused.value.retry_after.total_seconds() == 1
        held.go.set()
        await call
    assert turned_away(shed) == 4


def test_a_word_of_a_later_version_is_the_default():
    assert RequestScope.from_metadata((("penstock-priority", "vital"),)).priority is DEFAULT
    for priority in Priority:
        scope = RequestScope(request_id="r", priority=priority)
        assert RequestScope.from_metadata(scope.to_metadata()) == scope
    assert all(key != "penstock-priority" for key, _ in RequestScope(request_id="r").to_metadata())
