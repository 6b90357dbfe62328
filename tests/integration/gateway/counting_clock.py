"""A clock that tests set, in the place of Redis' own."""

from __future__ import annotations

from hashlib import sha1

from penstock_gateway.adapters.counting import scripts

VERBS = (
    scripts.RESERVE, scripts.END, scripts.EXTEND, scripts.ASSERT, scripts.TELL, scripts.SEED, scripts.RENEW, scripts.BEAT,
)  # fmt: skip


def set_clock(client, microseconds):
    """Set the time that scripts see, once ``stop_clock`` was called."""
    client.mset({"test:seconds": microseconds // 1_000_000, "test:microseconds": microseconds % 1_000_000})


def stop_clock(monkeypatch):
    """Have every script read the time that was set."""
    for script in VERBS:
        source = script.source.replace("redis.call('TIME')", "redis.call('MGET', 'test:seconds', 'test:microseconds')")
        assert source != script.source
        monkeypatch.setattr(script, "source", source)
        monkeypatch.setattr(script, "digest", sha1(source.encode(), usedforsecurity=False).hexdigest())
