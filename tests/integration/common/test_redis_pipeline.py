"""What the pipeline makes of an open connection: every protocol and address, stalls, what is unasked or unreadable."""

from __future__ import annotations

import asyncio
import ssl
import time
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest
import uvloop
from redis.exceptions import ResponseError

from penstock_common.redis_connection import MAX_UNANSWERED, RedisConnection, RedisUnavailable, Script
from penstock_common.testing.certificates import CertificateFiles

TIMEOUT = timedelta(milliseconds=50)
PATIENT = timedelta(seconds=20)
COUNT = Script("return redis.call('INCR', KEYS[1])")


class Relay:
    """Passes bytes between a Redis and its clients, over TLS where asked; a test may hold them up, or add to them."""

    def __init__(self, redis_server):
        self._redis_server = redis_server
        self._clients = []
        self._tasks = set()
        self.open = asyncio.Event()
        self.open.set()
        self.connections = 0

    @asynccontextmanager
    async def listening(self, **options):
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0, **options)
        try:
            yield server.sockets[0].getsockname()[1]
        finally:
            server.close()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def say(self, words):
        """Say something to every client that Redis never said."""
        for writer in self._clients:
            writer.write(words)

    async def _serve(self, reader, writer):
        self._tasks.add(asyncio.current_task())
        self.connections += 1
        self._clients.append(writer)
        redis_reader, redis_writer = await asyncio.open_unix_connection(self._redis_server.socket_path)
        try:
            await asyncio.gather(self._pass(reader, redis_writer), self._pass(redis_reader, writer))
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            self._clients.remove(writer)
            for each in (writer, redis_writer):
                each.transport.abort()

    async def _pass(self, reader, writer):
        while chunk := await reader.read(65536):
            await self.open.wait()
            writer.write(chunk)
        writer.transport.abort()


@pytest.fixture
def relay(redis_server):
    return Relay(redis_server)


async def until_true(condition):
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.001)


async def failure_of(awaitable):
    with pytest.raises(RedisUnavailable) as failed:
        await awaitable
    return str(failed.value)


@pytest.fixture
def guarded_server(redis_server):
    with redis_server.client() as client:
        client.config_set("requirepass", "hidden")
    return redis_server


@pytest.mark.parametrize("protocol", [2, 3])
async def test_database_password_and_protocol_of_the_address_hold(guarded_server, protocol):
    url = f"unix://:hidden@{guarded_server.socket_path}?db=3&protocol={protocol}"
    async with RedisConnection(url, PATIENT) as connection:
        assert await connection.execute("HSET", "h", "a", 1) == 1
        # A map in RESP3, a list in RESP2.
        assert await connection.execute("HGETALL", "h") == ({b"a": b"1"} if protocol == 3 else [b"a", b"1"])
        assert await connection.execute("GET", "nothing") is None
        assert b" db=3 " in await connection.execute("CLIENT", "INFO")


async def test_wrong_password_makes_it_unavailable(guarded_server):
    async with RedisConnection(f"unix://:wrong@{guarded_server.socket_path}", PATIENT) as connection:
        assert "password" in await failure_of(connection.execute("PING"))


async def test_connection_over_tls_carries_large_values_both_ways(relay, tmp_path):
    files = CertificateFiles.make(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files.cert, files.key)
    async with relay.listening(ssl=context) as port:
        url = f"rediss://127.0.0.1:{port}?ssl_ca_certs={files.ca}"
        async with RedisConnection(url, PATIENT) as connection:
            values = ["x" * 300_000 + str(number) for number in range(20)]
            await asyncio.gather(*(connection.execute("SET", f"k{n}", value) for n, value in enumerate(values)))
            got = await asyncio.gather(*(connection.execute("GET", f"k{n}") for n in range(20)))
    assert got == [value.encode() for value in values]


@pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def test_loop_that_stalls_does_not_take_redis_for_away(redis_server, new_loop):
    async def ask_and_stall(turns):
        async with RedisConnection(redis_server.url, PATIENT) as warm:
            await warm.execute("PING")
        async with RedisConnection(redis_server.url, TIMEOUT) as connection:
            while True:
                try:
                    await connection.execute("PING")
                    break
                except RedisUnavailable:
                    await asyncio.sleep(0.01)
            asked = asyncio.ensure_future(connection.execute("PING"))
            # Asked, written, perhaps answered: the stall comes after each of these in turn.
            for _ in range(turns):
                await asyncio.sleep(0)
            time.sleep(0.1)
            assert await asked == b"PONG"
            assert await connection.execute("PING") == b"PONG"

    with asyncio.Runner(loop_factory=new_loop) as runner:
        for turns in range(1, 5):
            runner.run(ask_and_stall(turns))


async def test_connecting_may_take_longer_than_a_command_may(relay):
    relay.open.clear()
    async with relay.listening() as port, RedisConnection(f"redis://127.0.0.1:{port}", TIMEOUT) as connection:
        await failure_of(connection.execute("SET", "late", 1))
        relay.open.set()

        async def is_answered():
            while True:
                try:
                    return await connection.execute("GET", "late")
                except RedisUnavailable:
                    await asyncio.sleep(0.005)

        async with asyncio.timeout(60):
            # The command whose caller was told that it failed was not sent after all.
            assert await is_answered() is None


async def test_what_redis_pushes_is_nobodys_reply(redis, redis_server):
    await redis.execute("CLIENT", "TRACKING", "ON", "BCAST")
    with redis_server.client() as other:
        for number in range(20):
            other.set(f"key-{number}", number)
            assert await redis.execute("GET", f"key-{number}") == str(number).encode()


async def test_what_cannot_be_read_ends_the_connection_and_fails_those_who_wait(relay, redis_server):
    async with relay.listening() as port, RedisConnection(f"redis://127.0.0.1:{port}", PATIENT) as connection:
        await connection.execute("PING")
        with redis_server.paused():
            waiting = [asyncio.ensure_future(connection.execute("PING")) for _ in range(5)]
            await asyncio.sleep(0)
            relay.say(b"nonsense\r\n")
            reasons = {await failure_of(reply) for reply in waiting}
            assert "cannot be read" in reasons.pop()
            assert not reasons
            assert not connection.send("PING")


async def test_reply_that_nobody_asked_for_ends_the_connection(relay):
    async with relay.listening() as port, RedisConnection(f"redis://127.0.0.1:{port}", PATIENT) as connection:
        await connection.execute("PING")
        relay.say(b"+OK\r\n")
        await until_true(lambda: not connection.send("PING"))
        assert "not reachable" in await failure_of(connection.execute("PING"))


async def test_redis_that_no_longer_serves_us_is_connected_to_again(relay, redis_server):
    async with relay.listening() as port, RedisConnection(f"redis://127.0.0.1:{port}", PATIENT) as connection:
        await connection.execute("PING")
        with redis_server.paused():
            waiting = [asyncio.ensure_future(connection.execute("PING")) for _ in range(5)]
            await asyncio.sleep(0)
            relay.say(b"-LOADING Redis is loading the dataset in memory\r\n")
            for reply in waiting:
                assert "loading" in await failure_of(reply)

        async def again():
            while True:
                try:
                    return await connection.execute("PING")
                except RedisUnavailable:
                    await asyncio.sleep(0.01)

        async with asyncio.timeout(60):
            assert await again() == b"PONG"
        assert relay.connections == 2


async def test_commands_that_wait_are_bounded_by_number(redis, redis_server):
    with redis_server.paused():
        waiting = [asyncio.ensure_future(redis.execute("INCR", "count")) for _ in range(MAX_UNANSWERED)]
        await asyncio.sleep(0)
        assert "too many" in await failure_of(redis.execute("INCR", "count"))
        assert redis.send("INCR", "count") is False
    assert sorted(await asyncio.gather(*waiting)) == list(range(1, MAX_UNANSWERED + 1))
    assert await redis.execute("GET", "count") == str(MAX_UNANSWERED).encode()


async def test_commands_that_wait_for_a_connection_are_bounded_by_number(relay):
    relay.open.clear()
    async with relay.listening() as port, RedisConnection(f"redis://127.0.0.1:{port}", PATIENT) as connection:
        waiting = [asyncio.ensure_future(connection.execute("INCR", "count")) for _ in range(MAX_UNANSWERED)]
        await asyncio.sleep(0)
        assert "not reachable" in await failure_of(connection.execute("INCR", "count"))
        relay.open.set()
        assert await asyncio.gather(*waiting) == list(range(1, MAX_UNANSWERED + 1))


async def test_script_that_is_only_sent_runs_where_redis_has_forgotten_it_and_is_known_afterwards(redis):
    for round_ in range(1, 3):
        await redis.execute("SCRIPT", "FLUSH")
        assert all(redis.send_script(COUNT, ("count",)) for _ in range(10))
        # Those that were forgotten are sent again behind this one.
        await redis.execute("PING")
        assert await redis.execute("GET", "count") == str(10 * round_).encode()
        assert await redis.execute("SCRIPT", "EXISTS", COUNT.digest) == [1]


async def test_script_that_is_only_sent_may_fail_and_disturbs_nobody(redis):
    assert redis.send_script(Script("return redis.error_reply('BROKEN on purpose')"), ())
    assert redis.send_script(Script("this is no Lua"), ())
    assert await redis.execute("PING") == b"PONG"
    with pytest.raises(ResponseError):
        await redis.execute("INCR")
    assert await redis.execute("PING") == b"PONG"
