"""Keys of tenants: what they seal opens for them alone, and for nobody once they are destroyed."""

from __future__ import annotations

import asyncio
import itertools
import logging
import math
import os
import random
import stat
from array import array
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock_cache.adapters import rings
from penstock_cache.adapters.file_rings import FileRings, MemoryRings
from penstock_cache.adapters.kek import FileKek
from penstock_cache.adapters.key_ring import CHECK_SECONDS, EnvelopeKeyRing
from penstock_cache.adapters.tenant_keys import TenantKeys
from penstock_cache.adapters.witnessed_rings import WitnessedRings
from penstock_cache.domain.envelope import ROOT, RingRefused, RingStore, WrongKek
from penstock_cache.domain.secrecy import KeysUnavailable, Unreadable

SECRET, OTHER_SECRET = b"s" * 32, b"o" * 32
NAMING = b"n" * 32
SEALED = ("exact", "entry", b"content")


class Clock:
    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


CLOCK = Clock()


@pytest.fixture(params=["memory", "folder", "witnessed"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> RingStore:
    if request.param == "memory":
        return MemoryRings()
    folder = FileRings(tmp_path / "keys")
    return folder if request.param == "folder" else WitnessedRings(MemoryRings(), folder)


def ring_over(store: RingStore, secret: bytes = SECRET, older: tuple[bytes, ...] = ()) -> EnvelopeKeyRing:
    """A process of its own on the store."""
    return EnvelopeKeyRing(store, FileKek(secret, older), NAMING, (CLOCK, CLOCK))


async def test_what_one_process_seals_another_opens(store: RingStore) -> None:
    sealed = (await ring_over(store).of("acme")).seal(*SEALED)
    opener = await ring_over(store).of("acme")
    assert opener.unseal("exact", "entry", sealed) == b"content"
    assert opener.name == (await ring_over(store).of("acme")).name != (await ring_over(store).of("rival")).name


async def test_processes_that_draw_at_once_agree(store: RingStore) -> None:
    keys = await asyncio.gather(*[ring_over(store).of("acme") for _ in range(8)])
    for sealer, opener in itertools.pairwise(keys):
        assert opener.unseal("exact", "entry", sealer.seal(*SEALED)) == b"content"


@pytest.mark.parametrize(
    ("tenant", "kind", "entry_id"),
    [("rival", "exact", "entry"), ("acme", "point", "entry"), ("acme", "exact", "entries"), ("acme", "exacte", "ntry")],
)
async def test_a_moved_record_does_not_open(tenant: str, kind: str, entry_id: str) -> None:
    ring = ring_over(MemoryRings())
    sealed = (await ring.of("acme")).seal(*SEALED)
    with pytest.raises(Unreadable):
        (await ring.of(tenant)).unseal(kind, entry_id, sealed)


PLAIN_KEYS = TenantKeys("name", {1: b"1" * 32, 2: b"2" * 32}, b"l" * 32)
RECORD = PLAIN_KEYS.seal("exact", "entry", b"some content of an answer")


@settings(max_examples=300, deadline=None)
@given(at=st.integers(0, len(RECORD) - 1), flip=st.integers(1, 255), cut=st.integers(0, len(RECORD)))
def test_a_changed_or_cut_record_does_not_open(at: int, flip: int, cut: int) -> None:
    changed = bytearray(RECORD)
    changed[at] ^= flip
    for damaged in (bytes(changed), RECORD[:cut], RECORD[cut:]):
        if damaged != RECORD:
            with pytest.raises(Unreadable):
                PLAIN_KEYS.unseal("exact", "entry", damaged)


@settings(max_examples=100, deadline=None)
@given(st.text(), st.text(), st.binary(), st.text(), st.text())
def test_a_record_opens_in_its_place_alone(kind: str, entry_id: str, content: bytes, kind2: str, id2: str) -> None:
    sealed = PLAIN_KEYS.seal(kind, entry_id, content)
    assert PLAIN_KEYS.unseal(kind, entry_id, sealed) == content
    if (kind, entry_id) != (kind2, id2):
        with pytest.raises(Unreadable):
            PLAIN_KEYS.unseal(kind2, id2, sealed)


def test_no_two_records_share_a_key_and_a_nonce() -> None:
    heads = {PLAIN_KEYS.seal(*SEALED)[7:35] for _ in range(1000)}
    assert len(heads) == 1000


async def test_only_who_has_seen_a_ring_replaces_it(store: RingStore) -> None:
    assert not await store.replace("name", b"seen", b"ring")
    assert await store.replace("name", b"", b"ring")
    for seen in (b"", b"another"):
        assert not await store.replace("name", seen, b"late")
    assert (await store.read("name")).ring == b"ring"
    assert await store.replace("name", b"ring", b"next")
    assert await store.names() == ["name"]


# Rotation


async def test_after_a_rotation_old_records_open_and_new_ones_have_another_key(store: RingStore) -> None:
    ring, other = ring_over(store), ring_over(store)
    before = await ring.of("acme")
    old = before.seal(*SEALED)
    await ring.of("rival")
    await other.of("acme")
    assert await ring.rotate("acme") == 1
    after = await ring.of("acme")
    new = after.seal(*SEALED)
    assert after.unseal("exact", "entry", old) == after.unseal("exact", "entry", new) == b"content"
    with pytest.raises(Unreadable, match="gone"):
        before.unseal("exact", "entry", new)
    CLOCK.now += CHECK_SECONDS
    assert (await other.of("acme")).unseal("exact", "entry", new) == b"content"
    assert before.digest("q", b"text") == after.digest("q", b"text")
    vector = array("f", [0.6, 0.8])
    assert before.turned(vector) == after.turned(vector)
    assert await ring.rotate("") == 2
    assert await ring.rotate("nobody") == 0


async def test_only_the_oldest_of_too_many_keys_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rings, "MAX_VERSIONS", 3)
    ring = ring_over(MemoryRings())
    sealed = []
    for _ in range(4):
        sealed.append((await ring.of("acme")).seal(*SEALED))
        await ring.rotate("acme")
    keys = await ring.of("acme")
    for record in sealed[:2]:
        with pytest.raises(Unreadable, match="gone"):
            keys.unseal("exact", "entry", record)
    assert [keys.unseal("exact", "entry", record) for record in sealed[2:]] == [b"content"] * 2


async def test_rotations_at_once_all_count(store: RingStore) -> None:
    await ring_over(store).of("acme")
    assert await asyncio.gather(*[ring_over(store).rotate("acme") for _ in range(4)]) == [1] * 4
    kept = await store.read((await ring_over(store).read_names())("acme"))
    assert rings.decode(kept.ring, rings.Ring).newest - int(CLOCK.now * 1000) == 5


# Shredding


async def test_after_a_shredding_nothing_opens_anywhere_and_the_tenant_begins_anew(store: RingStore) -> None:
    ring, other = ring_over(store), ring_over(store)
    old = (await ring.of("acme")).seal(*SEALED)
    rivals = (await ring.of("rival")).seal(*SEALED)
    digest = (await other.of("acme")).digest("q", b"text")
    await ring.shred("acme")
    CLOCK.now += CHECK_SECONDS
    for process in (ring, other, ring_over(store)):
        keys = await process.of("acme")
        with pytest.raises(Unreadable):
            keys.unseal("exact", "entry", old)
        assert keys.digest("q", b"text") != digest
        assert keys.unseal("exact", "entry", (await ring.of("acme")).seal(*SEALED)) == b"content"
        assert (await process.of("rival")).unseal("exact", "entry", rivals) == b"content"


async def test_a_reading_under_way_does_not_bring_back_what_is_shredded() -> None:
    class SlowRings(MemoryRings):
        async def read(self, name):  # type: ignore[no-untyped-def]
            kept = await super().read(name)
            await slow.wait()
            return kept

    slow = asyncio.Event()
    slow.set()
    ring = ring_over(SlowRings())
    old = (await ring.of("acme")).seal(*SEALED)
    CLOCK.now += CHECK_SECONDS
    slow.clear()
    reading = asyncio.create_task(ring.of("acme"))
    shredding = asyncio.create_task(ring.shred("acme"))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    slow.set()
    await shredding
    keys = await reading
    with pytest.raises(Unreadable):
        (await ring.of("acme")).unseal("exact", "entry", old)
    assert keys.name == (await ring.of("acme")).name


async def test_a_restored_ring_is_not_used(store: RingStore, caplog: pytest.LogCaptureFixture) -> None:
    ring = ring_over(store)
    old = (await ring.of("acme")).seal(*SEALED)
    name = (await ring.read_names())("acme")
    backup = (await store.read(name)).ring
    await ring.shred("acme")
    assert await store.replace(name, b"", backup)
    with caplog.at_level(logging.WARNING):
        keys = await ring_over(store).of("acme")
    assert f"of tenant {name} came back after its shredding" in caplog.text
    with pytest.raises(Unreadable):
        keys.unseal("exact", "entry", old)
    assert await ring_over(store).rotate("acme") == 1


async def test_a_store_that_is_restored_as_a_whole_undoes_nothing_where_a_witness_stands(tmp_path: Path) -> None:
    before, witness = MemoryRings(), FileRings(tmp_path)
    ring = ring_over(WitnessedRings(before, witness))
    old = (await ring.of("acme")).seal(*SEALED)
    backup = MemoryRings()
    backup._kept = dict(before._kept)
    await ring_over(before).shred("acme")
    # It was shredded by a process without the witness, which hears of it by the next reading.
    CLOCK.now += CHECK_SECONDS
    await ring.of("acme")
    with pytest.raises(Unreadable):
        (await ring_over(WitnessedRings(backup, witness)).of("acme")).unseal("exact", "entry", old)


async def test_a_ring_that_is_lost_costs_its_records_and_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    store = MemoryRings()
    ring = ring_over(store)
    old = (await ring.of("acme")).seal(*SEALED)
    name = (await ring.read_names())("acme")
    del store._kept[name]
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            CLOCK.now += CHECK_SECONDS
            keys = await ring.of("acme")
    assert caplog.text.count(f"the keys of tenant {name} are gone") == 1
    with pytest.raises(Unreadable):
        keys.unseal("exact", "entry", old)


# The key of keys


async def test_a_changed_key_of_keys_wraps_everything_anew_and_the_old_one_can_go(store: RingStore) -> None:
    first = ring_over(store)
    old = (await first.of("acme")).seal(*SEALED)
    await first.of("rival")
    second = ring_over(store, OTHER_SECRET, older=(SECRET,))
    assert (await second.of("acme")).unseal("exact", "entry", old) == b"content"
    assert await second.rotate("") == 2
    third = ring_over(store, OTHER_SECRET)
    assert (await third.of("acme")).unseal("exact", "entry", old) == b"content"
    assert (await third.of("acme")).name == (await first.of("acme")).name
    with pytest.raises(WrongKek):
        await ring_over(store).of("acme")


async def test_a_wrong_key_of_keys_is_refused_says_what_to_do_and_overwrites_nothing(
    store: RingStore, caplog: pytest.LogCaptureFixture
) -> None:
    keys = await ring_over(store).of("acme")
    kept = [await store.read(name) for name in (ROOT, keys.name)]
    wrong = ring_over(store, OTHER_SECRET)
    with caplog.at_level(logging.ERROR):
        for call in (lambda: wrong.of("acme"), lambda: wrong.of("rival"), lambda: wrong.rotate(""), wrong.read_names):
            with pytest.raises(WrongKek, match=r"another 'secrets.cache_key_file': name that one in 'secrets.old_"):
                await call()
            CLOCK.now += 2
    assert caplog.text.count("another 'secrets.cache_key_file'") == 1
    assert [await store.read(name) for name in (ROOT, keys.name)] == kept


@pytest.mark.parametrize(
    "damage", [b"no JSON", b'{"born_ms": 1}', b'{"born_ms":1,"lasting":"","sealing":{},"format":9}']
)
async def test_a_damaged_ring_is_refused_for_its_tenant_alone_and_can_be_shredded(damage: bytes) -> None:
    store = MemoryRings()
    name = (await ring_over(store).of("acme")).name
    await store.replace(name, (await store.read(name)).ring, damage)
    ring = ring_over(store)
    with pytest.raises(RingRefused):
        await ring.of("acme")
    assert (await store.read(name)).ring == damage
    assert await ring.of("rival")
    await ring.shred("acme")
    CLOCK.now += 2
    assert await ring.of("acme")


async def test_a_wrapped_key_serves_in_no_other_place() -> None:
    store = MemoryRings()
    ring = ring_over(store)
    acme, rival = await ring.of("acme"), await ring.of("rival")
    await store.replace(rival.name, (await store.read(rival.name)).ring, (await store.read(acme.name)).ring)
    with pytest.raises(WrongKek, match="changed, or belongs elsewhere"):
        await ring_over(store).of("rival")
    await ring.rotate("acme")
    kept = (await store.read(acme.name)).ring
    swapped = rings.decode(kept, rings.Ring)
    (first, one), (second, other) = swapped.sealing.items()
    swapped = rings.Ring(swapped.born_ms, swapped.lasting, {first: other, second: one})
    await store.replace(acme.name, kept, rings.encode(swapped))
    with pytest.raises(WrongKek):
        await ring_over(store).of("acme")


async def test_nothing_that_is_kept_holds_a_key_in_clear() -> None:
    store = MemoryRings()
    keys = await ring_over(store).of("acme")
    kept = b"".join(each.ring for each in store._kept.values())
    ring = rings.decode((await store.read(keys.name)).ring, rings.Ring)
    for secret in (*[sealer._key for sealer in keys._sealers.values()], NAMING, SECRET):
        assert secret not in kept
        assert all(secret not in wrapped for wrapped in (ring.lasting, *ring.sealing.values()))
    assert b"acme" not in kept


# The folder


async def test_files_are_their_owners_alone_and_whole(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "keys"
    ring = ring_over(FileRings(folder))
    await ring.of("acme")
    await ring.shred("acme")
    await ring.of("acme")
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {path.suffix for path in folder.iterdir()} == {".keys", ".shredded", ""}
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}


async def test_a_folder_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(KeysUnavailable, match=r"'cache.key_dir'.*file"):
        await ring_over(FileRings(tmp_path / "file")).of("acme")


# Reading


async def test_a_ring_is_read_once_for_all_who_wait_and_not_again_for_half_a_second() -> None:
    class CountingRings(MemoryRings):
        reads = 0

        async def read(self, name):  # type: ignore[no-untyped-def]
            CountingRings.reads += name != ROOT
            return await super().read(name)

    ring = ring_over(CountingRings())
    await asyncio.gather(*[ring.of("acme") for _ in range(100)])
    # One finds none, one reads what was drawn.
    assert CountingRings.reads == 2
    CLOCK.now += CHECK_SECONDS * 0.99
    await ring.of("acme")
    assert CountingRings.reads == 2
    CLOCK.now += CHECK_SECONDS
    assert ring.known("acme") is None
    await asyncio.gather(*[ring.of("acme") for _ in range(100)])
    assert CountingRings.reads == 3


async def test_keys_are_not_used_beyond_their_time_while_the_store_is_away() -> None:
    class Away(MemoryRings):
        away = False

        async def read(self, name):  # type: ignore[no-untyped-def]
            if self.away:
                raise KeysUnavailable("away")
            return await super().read(name)

    store = Away()
    ring = ring_over(store)
    await ring.of("acme")
    store.away = True
    assert await ring.of("acme")
    CLOCK.now += CHECK_SECONDS
    for call in (ring.of("acme"), ring.shred("acme"), ring.rotate("acme")):
        with pytest.raises(KeysUnavailable, match="away"):
            await call
    store.away = False
    assert await ring.of("acme")


# Turned vectors


@pytest.mark.parametrize("dimensions", [2, 7, 131, 300, 384, 768, 1024])
def test_cosines_of_turned_vectors_are_as_they_were(dimensions: int) -> None:
    draw = random.Random(dimensions)
    first, second = (_unit(draw, dimensions) for _ in range(2))
    turned = [PLAIN_KEYS.turned(vector) for vector in (first, second)]
    assert _dot(*turned) == pytest.approx(_dot(first, second), abs=1e-5)
    assert _dot(turned[0], turned[0]) == pytest.approx(1, abs=1e-5)


def test_a_turned_vector_tells_nothing_of_the_vector_without_the_key() -> None:
    others = TenantKeys("name", {1: os.urandom(32)}, os.urandom(32))
    draw = random.Random(1)
    vectors = [_unit(draw, 384) for _ in range(50)]
    spread = 6 / math.sqrt(384)
    for vector in vectors:
        turned = PLAIN_KEYS.turned(vector)
        assert abs(_dot(turned, vector)) < spread
        assert abs(_dot(turned, others.turned(vector))) < spread
        # Nor by the sizes of coordinates, which a mere shuffle would leave.
        kept = set(map(_size, vector)) & set(map(_size, turned))
        assert len(kept) < 40
    one = array("f", [1.0] + [0.0] * 383)
    assert max(map(abs, PLAIN_KEYS.turned(one))) < 0.5


def _size(coordinate: float) -> int:
    return round(abs(coordinate) * 1e6)


def _unit(draw: random.Random, dimensions: int) -> array[float]:
    raw = [draw.gauss(0, 1) for _ in range(dimensions)]
    length = math.hypot(*raw)
    return array("f", [coordinate / length for coordinate in raw])


def _dot(one: array[float], other: array[float]) -> float:
    return sum(a * b for a, b in zip(one, other, strict=True))
