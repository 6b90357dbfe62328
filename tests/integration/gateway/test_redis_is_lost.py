"""Without Redis the suite serves on: limits per process, no shared cache, the same keys."""

from __future__ import annotations


async def test_requests_go_on_with_local_limits_and_without_the_shared_cache(serve, document, redis_server, upstream):
    document["gateway"]["redis_timeout"] = "50ms"
    document["cache"]["redis_timeout"] = "50ms"
    suite = await serve()
    assert (await suite.ask("before", key=suite.FREE_KEY)).status == 200
    redis_server.crash()
    for text in ("one", "two", "three"):
        answered = await suite.ask(text, key=suite.FREE_KEY)
        assert answered.status == 200
    # A minute of its own: three of the tenant's three are used here.
    assert answered.header["x-ratelimit-remaining-requests"] == "0"
    refused = await suite.ask("four", key=suite.FREE_KEY)
    assert refused.status == 429
    assert "retry-after" in refused.header
    assert (await suite.ask(key="wrong-key-wrong-key-1")).status == 401
    assert len(upstream.requests) == 4
    assert [row["outcome"] for row in await suite.ledger_after_close()] == ["ok"] * 4


async def test_frozen_redis_delays_nobody_for_long(serve, document, redis_server):
    document["gateway"] |= {"redis_timeout": "50ms", "cache_lookup_timeout": "100ms"}
    document["cache"]["redis_timeout"] = "50ms"
    suite = await serve()
    with redis_server.paused():
        overheads = [float((await suite.ask(str(n))).header["x-penstock-overhead-ms"]) for n in range(5)]
    # Two waits of 50 ms, of the limits and of the cache; later requests do not wait at all.
    assert overheads[0] < 400
    assert min(overheads[1:]) < 50


async def test_suite_starts_and_serves_without_a_redis(serve, document):
    document["redis"] = {"state": "unix:///nowhere.sock", "cache": "unix:///nowhere.sock"}
    suite = await serve()
    assert (await suite.ask(key=suite.FREE_KEY)).status == 200


async def test_suite_without_redis_settings_limits_in_memory(serve, document):
    document["redis"] = {}
    suite = await serve()
    statuses = [(await suite.ask(str(number), key=suite.FREE_KEY)).status for number in range(4)]
    assert statuses == [200, 200, 200, 429]
