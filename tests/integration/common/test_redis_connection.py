"""One connection for all: in order, never a reply for another, bounded when Redis is away."""

import asyncio
import time
from datetime import timedelta

import pytest
from redis.exceptions import ResponseError

from penstock_common import redis_connection
from penstock_common.redis_connection import RedisConnection, RedisUnavailable, Script

TIMEOUT = timedelta(milliseconds=50)
ECHO = Script("return {KEYS[1], ARGV[1]}")


async def outcome_of(awaitable):
    try:
        return await awaitable
    except (RedisUnavailable, ResponseError) as error:
        return type(error)


async def until_answered(connection):
    """Wait until Redis answers again; commands fail at once in between."""
    async with asyncio.timeout(60):
        while await outcome_of(connection.execute("PING")) is RedisUnavailable:
            await asyncio.sleep(0.01)


async def test_replies_belong_to_their_commands(redis):
    async def set_and_get(number):
        await redis.execute("SET", f"key-{number}", number)
        return await redis.execute("GET", f"key-{number}")

    got = await asyncio.gather(*(set_and_get(number) for number in range(500)))
    assert got == [str(number).encode() for number in range(500)]


async def test_what_is_sent_first_is_executed_first(redis):
    await asyncio.gather(*(redis.execute("RPUSH", "order", number) for number in range(500)))
    assert await redis.execute("LRANGE", "order", 0, -1) == [str(number).encode() for number in range(500)]


async def test_commands_of_one_turn_of_the_loop_travel_together(redis, redis_server):
    """Redis reads them with fewer system calls than there are commands."""
    with redis_server.client() as client:
        before = client.info("stats")["total_reads_processed"]
        await asyncio.gather(*(redis.execute("PING") for _ in range(200)))
        reads = client.info("stats")["total_reads_processed"] - before
    assert reads < 20


async def test_values_of_every_kind_arrive_whole(redis):
    for value in (b"\x00\xff\r\n", "日本", 7, 1.5, "", "x" * 5_000_000):
        assert await redis.execute("SET", "value", value) == b"OK"
        expected = value if isinstance(value, bytes) else str(value).encode()
        assert await redis.execute("GET", "value") == expected
    assert await redis.execute("GET", "nothing") is None


async def test_a_refusal_is_its_commands_own(redis):
    await redis.execute("SET", "text", "abc")
    outcomes = await asyncio.gather(
        outcome_of(redis.execute("GET", "text")),
        outcome_of(redis.execute("INCR", "text")),
        outcome_of(redis.execute("NO-SUCH-COMMAND")),
        outcome_of(redis.execute("GET", "text")),
    )
    assert outcomes == [b"abc", ResponseError, ResponseError, b"abc"]
    assert await redis.execute("GET", "text") == b"abc"


@pytest.mark.parametrize("argument", [None, object(), ["list"]])
async def test_a_command_that_cannot_be_written_is_its_callers_error_alone(redis, argument):
    await redis.execute("SET", "text", "abc")
    outcomes = await asyncio.gather(
        redis.execute("GET", "text"),
        redis.execute("SET", "broken", argument),
        redis.execute("GET", "nothing"),
        redis.execute("GET", "text"),
        return_exceptions=True,
    )
    assert [outcomes[0], *outcomes[2:]] == [b"abc", None, b"abc"]
    assert isinstance(outcomes[1], TypeError)
    assert await redis.execute("GET", "text") == b"abc"


async def test_a_script_runs_by_its_digest_and_again_after_redis_forgot_it(redis):
    for _ in range(2):
        assert await redis.run(ECHO, ("key",), "argument") == [b"key", b"argument"]
        await redis.execute("SCRIPT", "FLUSH")
        replies = await asyncio.gather(*(redis.run(ECHO, (f"key-{n}",), n) for n in range(50)))
        assert replies == [[f"key-{n}".encode(), str(n).encode()] for n in range(50)]
        assert await redis.execute("SCRIPT", "EXISTS", ECHO.digest) == [1]


async def test_a_scripts_own_error_is_not_taken_for_a_forgotten_script(redis):
    broken = Script("redis.call('INCR', KEYS[1]); return redis.error_reply('BROKEN on purpose')")
    with pytest.raises(ResponseError, match="on purpose"):
        await redis.run(broken, ("count",))
    assert await redis.execute("GET", "count") == b"1"


async def test_a_command_that_is_only_sent_is_executed_in_order_and_its_refusal_disturbs_nobody(redis):
    assert redis.send("SET", "sent", "1")
    assert redis.send("NO-SUCH-COMMAND")
    assert redis.send("INCR", "sent")
    assert await redis.execute("GET", "sent") == b"2"


async def test_a_script_that_is_only_sent_runs_in_order_where_redis_does_not_know_it_yet(redis):
    count = Script("return redis.call('INCR', KEYS[1])")
    for expected in (b"1", b"2"):
        assert redis.send_script(count, ("sent",))
        assert await redis.execute("GET", "sent") == expected


async def test_a_thousand_cancelled_callers_shift_no_reply(redis):
    """Half of the callers leave at every stage; the others all get their own reply."""
    for number in range(100):
        await redis.execute("SET", f"key-{number}", number)
    wrong, right, left = [], 0, 0

    async def ask(number):
        nonlocal right
        reply = await redis.execute("GET", f"key-{number % 100}")
        if reply == str(number % 100).encode():
            right += 1
        else:
            wrong.append((number, reply))

    for start in range(0, 2000, 100):
        tasks = [asyncio.create_task(ask(number)) for number in range(start, start + 100)]
        # Let them get as far as: not begun, waiting to be written, written, perhaps answered.
        for _ in range(start // 100 % 5):
            await asyncio.sleep(0)
        for task in tasks[::2]:
            left += task.cancel()
        await asyncio.wait(tasks)
    assert wrong == []
    assert left + right >= 2000
    assert right >= 1000
    assert await redis.execute("GET", "key-7") == b"7"


async def test_a_silent_redis_costs_one_timeout_and_then_nothing_until_it_is_tried_again(redis_server, monkeypatch):
    async with RedisConnection(redis_server.url, TIMEOUT) as connection:
        await until_answered(connection)
        monkeypatch.setattr(redis_connection, "_COOL_DOWN_SECONDS", 3600.0)
        with redis_server.paused():
            start = time.monotonic()
            outcomes = await asyncio.gather(*(outcome_of(connection.execute("PING")) for _ in range(50)))
            assert outcomes == [RedisUnavailable] * 50
            assert time.monotonic() - start > 0.045
            for _ in range(200):
                # Fails in the first step: nothing is waited for.
                with pytest.raises(RedisUnavailable):
                    connection.execute("PING").send(None)
            assert connection.send("PING") is False
        connection._cool_until = 0.0
        await until_answered(connection)


async def test_what_redis_answers_too_late_reaches_nobody(redis_server):
    async with RedisConnection(redis_server.url, TIMEOUT) as connection:
        await until_answered(connection)
        await connection.execute("SET", "old", "old")
        await connection.execute("SET", "new", "new")
        with redis_server.paused():
            assert await outcome_of(connection.execute("GET", "old")) is RedisUnavailable
        await until_answered(connection)
        assert await asyncio.gather(*(connection.execute("GET", "new") for _ in range(20))) == [b"new"] * 20


async def test_a_crash_fails_those_who_wait_and_a_restart_brings_it_back(redis_server):
    async with RedisConnection(redis_server.url, timedelta(seconds=20)) as connection:
        await connection.execute("PING")
        redis_server.pause()
        waiting = [asyncio.create_task(outcome_of(connection.execute("PING"))) for _ in range(20)]
        await asyncio.sleep(0)
        redis_server.crash()
        async with asyncio.timeout(60):
            assert await asyncio.gather(*waiting) == [RedisUnavailable] * 20
        assert await outcome_of(connection.execute("PING")) is RedisUnavailable
        redis_server.start()
        await until_answered(connection)


async def test_without_a_redis_the_first_command_fails_and_one_later_succeeds(redis_server):
    redis_server.stop()
    async with RedisConnection(redis_server.url, TIMEOUT) as connection:
        assert await outcome_of(connection.execute("PING")) is RedisUnavailable
        redis_server.start()
        await until_answered(connection)


async def test_closing_fails_those_who_wait_and_leaves_no_task(redis_server):
    before = asyncio.all_tasks()
    async with RedisConnection(redis_server.url, timedelta(seconds=20)) as connection:
        await connection.execute("PING")
        redis_server.pause()
        waiting = [asyncio.create_task(outcome_of(connection.execute("PING"))) for _ in range(20)]
        await asyncio.sleep(0)
    async with asyncio.timeout(60):
        assert await asyncio.gather(*waiting) == [RedisUnavailable] * 20
    redis_server.resume()
    assert asyncio.all_tasks() == before


async def test_a_command_after_closing_fails(redis_server):
    async with RedisConnection(redis_server.url, TIMEOUT) as connection:
        await connection.execute("PING")
    assert await outcome_of(connection.execute("PING")) is RedisUnavailable
    assert connection.send("PING") is False


async def test_no_task_is_left_when_redis_never_was(tmp_path):
    before = asyncio.all_tasks()
    async with RedisConnection(f"unix://{tmp_path}/none.sock", TIMEOUT) as connection:
        assert await outcome_of(connection.execute("PING")) is RedisUnavailable
    assert asyncio.all_tasks() == before


async def test_commands_more_than_the_sockets_buffer_holds_are_all_answered(redis):
    value = "x" * 100_000
    replies = await asyncio.gather(*(redis.execute("SET", f"large-{n}", value) for n in range(200)))
    assert replies == [b"OK"] * 200
    assert await redis.execute("STRLEN", "large-199") == len(value)
