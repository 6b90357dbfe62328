"""Answers that come faster than Redis takes them: they are not kept there, and do not pile up."""

from __future__ import annotations

from datetime import timedelta

import pytest

from penstock_cache.adapters.file_rings import MemoryRings
from penstock_cache.adapters.kek import FileKek
from penstock_cache.adapters.key_ring import EnvelopeKeyRing
from penstock_cache.adapters.redis import MOST_UNSENT_BYTES, RedisTier
from penstock_cache.domain.entry import Entry, EntryKey
from penstock_common.contract.cache import Hit, Scope
from penstock_common.llm.types import TextDelta

LIFE = timedelta(hours=1)


class FullConnection:
    def __init__(self):
        self.unsent_bytes = 0
        self.sent = []

    def send_script(self, script, keys, *arguments, heard=None):
        self.sent.append(arguments)
        return True


@pytest.mark.parametrize(("unsent_bytes", "sent"), [(MOST_UNSENT_BYTES - 1, 1), (MOST_UNSENT_BYTES, 0)])
async def test_an_entry_that_would_wait_behind_too_many_is_not_sent(unsent_bytes, sent, clock):
    connection = FullConnection()
    ring = EnvelopeKeyRing(MemoryRings(), FileKek(b"s" * 32), b"s" * 32, (clock, clock))
    tier = RedisTier(connection, ring, LIFE)  # type: ignore[arg-type]
    await ring.of("acme")
    await tier._named()
    connection.unsent_bytes = unsent_bytes
    entry = Entry(Hit(events=(TextDelta(text="A pipe."),), created_at=1.0), 2.0, "generation")
    tier.put(EntryKey(Scope("acme", "fast"), b"d" * 32), entry, LIFE)
    assert len(connection.sent) == sent
