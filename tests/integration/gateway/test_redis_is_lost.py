"""Without Redis the suite serves on: limits per process, no shared cache, the same keys."""

from __future__ import annotations


async def test_requests_go_on_with_local_limits_and_without_the_shared_cache(serve, document, redis_server, upstream):
    document["gateway"]["redis_timeout"] = "50ms"
    document["cache"]["redis_timeout"] = "50ms"
    suite = await serve()
    assert (await suite.ask("before", key=suite.FREE_KEY)).status == 200
    redis_server.crash()
    for text in ("one", "two"):
        answered = await suite.ask(text, key=suite.FREE_KEY)
        assert answered.status == 200
    # The minute goes on: three of the tenant's three are used.
    assert answered.header["x-ratelimit-remaining-requests"] == "0"
    refused = await suite.ask("three", key=suite.FREE_KEY)
    assert refused.status == 429
    assert "retry-after" in refused.header
    assert (await suite.ask(key="wrong-key-wrong-key-1")).status == 401
    assert len(upstream.requests) == 3
    assert [row["outcome"] for row in await suite.ledger_after_close()] == ["ok"] * 3


async def test_frozen_redis_is_waited_for_once(serve, document, redis_server):
    document["gateway"]["redis_timeout"] = "50ms"
    document["cache"]["redis_timeout"] = "50ms"
    suite = await serve()
    with redis_server.paused():
        assert (await suite.ask("first")).status == 200
        # Whoever waited for Redis here would wait for as long as it is frozen, or find it away again.
        assert [(await suite.ask(str(number))).status for number in range(5)] == [200] * 5


async def test_suite_starts_and_serves_without_a_redis(serve, document):
    document["redis"] = {"state": "unix:///nowhere.sock", "cache": "unix:///nowhere.sock"}
    suite = await serve()
    assert (await suite.ask(key=suite.FREE_KEY)).status == 200


async def test_suite_without_redis_settings_limits_in_memory(serve, document):
    document["redis"] = {}
    suite = await serve()
    statuses = [(await suite.ask(str(number), key=suite.FREE_KEY)).status for number in range(4)]
    assert statuses == [200, 200, 200, 429]
