"""Reviews without a database: who may decide, who is told, and what the configuration may say."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from msgspec.structs import replace

from penstock_common.configuration import Configuration, ConfigurationError
from penstock_common.errors import InvalidRequest, ResourceChanged, ResourceNotFound
from penstock_gateway.domain.access.identity import Caller
from penstock_gateway.domain.administration.actor import Actor
from penstock_gateway.domain.administration.audit import AuditLog
from penstock_gateway.domain.reviews.flag import Source, Surface
from penstock_gateway.domain.reviews.item import Content, Decision, ReviewItem, ReviewState, Ruling
from penstock_gateway.domain.reviews.ports import Held
from penstock_gateway.domain.reviews.reviewing import Reviewer, Reviews
from penstock_gateway.domain.reviews.telling import DECIDED, telling
from penstock_gateway.domain.reviews.terms import ReviewTerms
from penstock_gateway.domain.webhooks.endpoint import Endpoint
from penstock_gateway.settings import Settings

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
ITEM = ReviewItem(
    id="rev_" + "0" * 32,
    tenant="acme",
    key_id="k1",
    user_id="u1",
    source=Source.RULE,
    surface=Surface.OUTPUT,
    created_at=NOW,
    due_at=NOW,
    state=ReviewState.CLAIMED,
    reviewer="key:k2",
    claim=1,
)


@pytest.mark.parametrize(
    ("key_id", "user_id", "is_own"),
    [("k2", "u2", False), ("k2", "u1", True), ("k1", "u2", False), ("k1", "", True), ("k2", "", False)],
)
def test_a_request_is_its_users_or_its_keys_where_that_is_nobodys(key_id, user_id, is_own):
    assert Reviewer(Actor(key_id=key_id, tenant="acme", user_id=user_id)).has_asked(ITEM) is is_own


async def test_a_rotated_key_keeps_its_items_and_decides_on_none_of_them():
    held = replace(ITEM, user_id="", held=True, decision=Decision.ALLOW, state=ReviewState.DECIDED)
    reviews = Reviews(OneItem(held), None, ReviewTerms())
    caller = Caller(tenant=None, key_id="k3", scopes=frozenset(), first_key_id="k1")
    successor = Reviewer.of(Actor(key_id="k3", tenant="acme"), caller)
    assert successor.has_asked(held)
    assert (await reviews.outcome(successor, "acme", held.id))[1] == "x"
    with pytest.raises(ResourceNotFound):
        await reviews.outcome(Reviewer(Actor(key_id="k3", tenant="acme")), "acme", held.id)


def test_webhooks_of_the_configuration_hear_of_the_tenants_that_they_name_and_no_others():
    known = {
        name: Endpoint(name, "https://a.example/", (), tenants=frozenset(tenants))
        for name, tenants in {"ours": {"acme"}, "both": {"acme", "b"}, "theirs": {"b"}, "all": ()}.items()
    }
    tell = telling(lambda tenant, _event: [f"{tenant}/own"], ["ours", "both", "theirs", "all", "gone"], lambda: known)
    told = tell(ITEM, DECIDED, NOW)
    assert [delivery.webhook for delivery in told] == ["acme/own", "ours", "both", "all"]
    assert len({delivery.id for delivery in told}) == 4
    assert all(len(delivery.id) <= 64 for delivery in told)


class OneItem:
    """A store with one item, of which nobody decides."""

    def __init__(self, item=ITEM):
        self.item = item

    async def get(self, _tenant, _id, _now):
        return self.item

    async def content(self, _item):
        return Content(text="x")


class Rules:
    """Refuses what says no."""

    async def refused_by(self, _item, text):
        return "words" if "no" in text else ""


async def test_an_edited_text_has_to_pass_the_rules_of_now():
    reviews = Reviews(OneItem(), None, ReviewTerms())
    reviews.recheck = Rules()
    reviewer = Reviewer(Actor(key_id="k2", tenant="acme"), sees_tenant=True, decides=True)
    edit = Ruling(decision=Decision.EDIT, edited="no way")
    with pytest.raises(InvalidRequest, match="'words' refuses the edited text"):
        await reviews.decide(reviewer, Held("acme", ITEM.id, 1), edit)


async def test_nothing_is_shown_of_which_no_entry_is_left(monkeypatch):
    async def fail(*_):
        raise RuntimeError

    monkeypatch.setattr(AuditLog, "note", fail)
    reviews = Reviews(OneItem(), None, ReviewTerms())
    reviewer = Reviewer(Actor(key_id="k2", tenant="acme"), sees_tenant=True, decides=True)
    with pytest.raises(RuntimeError):
        await reviews.get(reviewer, "acme", ITEM.id, with_content=True)


async def test_nothing_is_decided_of_which_no_entry_is_left_and_what_is_not_has_two(monkeypatch):
    noted: list[tuple[str, str]] = []

    class Store(OneItem):
        decisions = 0

        async def decide(self, *_):
            self.decisions += 1

    async def note(_, deed, outcome):
        noted.append((deed.action, outcome))
        if is_down:
            raise RuntimeError

    monkeypatch.setattr(AuditLog, "note", note)
    store, is_down = Store(), True
    reviews = Reviews(store, None, ReviewTerms())
    reviewer = Reviewer(Actor(key_id="k2", tenant="acme"), sees_tenant=True, decides=True)
    allow = Ruling(decision=Decision.ALLOW)
    with pytest.raises(RuntimeError):
        await reviews.decide(reviewer, Held("acme", ITEM.id, 1), allow)
    assert store.decisions == 0
    is_down = False
    noted.clear()
    with pytest.raises(ResourceChanged):
        await reviews.decide(reviewer, Held("acme", ITEM.id, 1), allow)
    assert (store.decisions, noted) == (1, [("review.decide", "ok"), ("review.decide", "resource_changed")])


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ({"lease": "9h"}, "at most 8h"),
        ({"lease": "0s"}, "longer than nothing"),
        ({"expires_after": "1h"}, "shorter than service_level"),
        ({"content_kept": "91d"}, "longer than kept"),
        ({"on_expiry": "shrug"}, "refuse"),
        ({"feedback_reasons": ["ugly"]}, "wrong"),
        ({"max_open": 0}, "max_open"),
        ({"webhooks": ["insid"]}, "there is no webhook 'insid'; did you mean 'inside'?"),
    ],
)
def test_what_cannot_be_meant_is_told(section, said):
    webhooks = {"inside": {"url": "https://a.example/", "secrets": ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"]}}
    with pytest.raises(ConfigurationError) as refused:
        Configuration({"reviews": section, "webhooks": webhooks}).settings(Settings)
    assert said in str(refused.value)


def test_settings_become_terms():
    terms = Configuration({"reviews": {"service_level": "1h", "on_expiry": "release"}}).settings(Settings).reviews.terms
    assert (terms.service_level, terms.soon) == (timedelta(hours=1), timedelta(minutes=15))
    assert terms.expiry.ruling.decision is Decision.ALLOW
    escalates = Configuration({"reviews": {"on_expiry": "escalate"}}).settings(Settings).reviews.terms
    assert escalates.expiry.ruling is None
    assert Configuration({}).settings(Settings).reviews.terms == ReviewTerms()
