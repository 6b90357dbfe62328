"""Each wall between tenants and between users holds by itself, where the others are gone."""

from __future__ import annotations

import os
from array import array
from typing import Any

import msgspec
import pytest

from penstock_cache.adapters.file_rings import MemoryRings
from penstock_cache.adapters.kek import FileKek
from penstock_cache.adapters.key_ring import EnvelopeKeyRing
from penstock_cache.adapters.tenant_keys import TenantKeys
from penstock_cache.domain.meaning.audience import group_for
from penstock_cache.domain.meaning.decision import Seen, decide
from penstock_cache.domain.meaning.entry import KEYWORDS, NUMBERS, Body, Card, entry_id_of, group_of, opened, sealed
from penstock_cache.domain.meaning.shelf import Shelf
from penstock_cache.domain.secrecy import Unreadable
from penstock_common.contract.cache import Meaning
from penstock_common.contract.points import Question
from penstock_common.points.asked import AskedPoints
from penstock_common.points.store import Collection, Page, Point, Scored, Where

ID = "11111111-2222-3333-4444-555555555555"
COLLECTION = Collection("cache", 1, "m", "r", 2, KEYWORDS, NUMBERS)


@pytest.fixture
async def keys() -> TenantKeys:
    return await EnvelopeKeyRing(MemoryRings(), FileKek(b"k" * 32), os.urandom(32), (lambda: 0.0, lambda: 0.0)).of("a")


def payload(keys: TenantKeys, *, tenant: str = "a", entry_id: str = ID) -> dict[str, Any]:
    body = Body(tenant, "fast", "Why?", (), (), "ann")
    card = Card(
        root=ID, group="g", model="m", user="u", tags=(), origin="", is_private=0, is_confirmed=0, created_at=1.0,
        fresh_until=9.0, kept_until=9.0,
    )  # fmt: skip
    return {**msgspec.structs.asdict(card), "body": sealed(keys, entry_id, body)}


async def test_what_another_tenants_name_stands_on_is_not_shown_although_it_opens(keys: TenantKeys) -> None:
    def given(tenant: str) -> Any:
        class Given:
            async def nearest(self, *_: Any, **__: Any) -> Any:
                return [Scored(ID, tenant, 0.9, payload(keys))]

            async def get(self, *_: Any, **__: Any) -> Any:
                return [Point(ID, tenant, array("f"), payload(keys))]

            async def scroll(self, *_: Any, **__: Any) -> Any:
                return Page([Point(ID, tenant, array("f"), payload(keys))], "")

        return Given()

    for tenant, count in ((keys.name, 1), ("other", 0)):
        shelf = Shelf(given(tenant), keys, "a")
        found = await shelf.nearest(array("f", [1.0] * 32), Where("x"), limit=1, floor=0.5, seconds=1.0)
        assert (len(found), len(await shelf.get([ID])), len((await shelf.page(Where("x"), 1, ""))[0])) == (count,) * 3
        assert len([entry async for entry in shelf.all(Where("x"))]) == count


async def test_what_says_that_it_is_another_tenants_is_not_opened(keys: TenantKeys) -> None:
    assert opened(keys, "a", ID, payload(keys)).body.question == "Why?"
    with pytest.raises(Unreadable, match="another tenant"):
        opened(keys, "a", ID, payload(keys, tenant="b"))


async def test_what_was_sealed_for_another_place_is_not_opened(keys: TenantKeys) -> None:
    with pytest.raises(Unreadable):
        opened(keys, "a", ID, payload(keys, entry_id="another"))
    with pytest.raises(Unreadable):
        keys.unseal("exact", ID, keys.seal("meaning", ID, b"content"))


async def test_points_of_another_tenant_go_no_further_where_an_engine_has_lost_its_filter() -> None:
    async def ask(question: Question, _: float | None, /) -> Any:
        scored = [Scored(ID, tenant, 0.9, {}) for tenant in ("mine", "other")]
        points = [Point(ID, tenant, array("f"), {}) for tenant in ("mine", "other")]
        return {"Nearest": scored, "Get": points, "Scroll": Page(points, "")}[type(question).__name__]

    asked = AskedPoints(COLLECTION, ask)
    where = Where("mine")
    found = [
        *await asked.nearest(array("f", [1.0, 0.0]), where, limit=2, floor=0.5),
        *await asked.get("mine", [ID]),
        *(await asked.scroll(where, limit=2)).points,
    ]
    assert [one.tenant for one in found] == ["mine"] * 3


async def test_texts_meet_within_one_model_fingerprint_and_audience_alone(keys: TenantKeys) -> None:
    usual = Meaning("How are plants watered?", b"f", user="ann")
    personal = Meaning("What is my account balance?", b"f", user="ann")
    private = msgspec.structs.replace(usual, is_private=True)
    groups = [
        group_for(keys, "fast", usual),
        group_for(keys, "large", usual),
        group_for(keys, "fast", msgspec.structs.replace(usual, fingerprint=b"g")),
        group_for(keys, "fast", private),
        group_for(keys, "fast", msgspec.structs.replace(private, user="bob")),
    ]
    assert len({group.digest for group in groups}) == len(groups)
    assert group_for(keys, "fast", personal) == group_for(keys, "fast", private)
    assert group_for(keys, "fast", msgspec.structs.replace(usual, user="bob")) == groups[0]
    one, other = group_of(keys, "fast", b"f", None), group_of(keys, "fast", b"f", "ann")
    assert entry_id_of(keys, one, "Why?") != entry_id_of(keys, other, "Why?")


def test_what_another_user_alone_has_seen_needs_the_stricter_threshold() -> None:
    for score, is_shared, is_served in ((0.95, True, True), (0.95, False, False), (0.97, False, True)):
        assert decide(score, Seen(is_shared=is_shared), 0.9, 0.96, 0.01).is_served == is_served
