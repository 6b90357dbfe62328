"""Taking feedback in: whose answer is waited for, for how long, and whose word it is."""

from datetime import UTC, datetime, timedelta

import pytest

from penstock_common.errors import ResourceNotFound
from penstock_gateway.adapters.feedback_metrics import NoFeedbackMetrics
from penstock_gateway.domain.administration.actor import Actor
from penstock_gateway.domain.administration.cache_entries import NoKeptEntries
from penstock_gateway.domain.feedback.giving import FeedbackBook, GivingParts, GivingRule
from penstock_gateway.domain.feedback.judgement import Judged, Judgement, Thumb, named_answer

ID = "0123456789abcdef01234567"
RULE = GivingRule(patience=timedelta(seconds=1))
UP, DOWN = Judgement(thumb=Thumb.UP), Judgement(thumb=Thumb.DOWN)


class Store:
    """Keeps feedback in a list."""

    def __init__(self):
        self.kept = []

    async def add(self, given, /):
        self.kept.append(given)
        return given

    async def sent_before(self, key_id, tenant, idempotency_key):
        return None

    async def latest_of(self, judged, author):
        return next((one for one in reversed(self.kept) if one.author == author), None)

    async def has_disputed(self, tenant, author, entry_id):
        return False

    async def count_of_key(self, key_id, tenant, since):
        return 0

    async def count_of_answer(self, judged):
        return 0


class Answers:
    """Knows an answer once it was looked for so many times in vain."""

    def __init__(self, in_vain):
        self.in_vain = in_vain
        self.asked = []

    async def find(self, tenant, answer_id):
        self.asked.append(answer_id)
        if len(self.asked) <= self.in_vain:
            return None
        return Judged(
            generation_id=answer_id, tenant=tenant, public_model="fast", upstream="u", model="m", entry_id="e1"
        )


class World:
    def __init__(self, in_vain=0):
        self.store, self.answers, self.slept = Store(), Answers(in_vain), []

        async def sleep(seconds):
            self.slept.append(seconds)

        parts = GivingParts(
            store=self.store,
            answers=self.answers,
            # There is no cache that answers.
            entries=NoKeptEntries(),
            observer=NoFeedbackMetrics(),
            rule=RULE,
            now=lambda: datetime(2026, 6, 1, tzinfo=UTC),
            sleep=sleep,
        )
        self.book = FeedbackBook(parts)

    async def give(self, answer_id, judgement=UP, user_id=""):
        return await self.book.give(Actor(key_id="k", tenant="acme", user_id=user_id), "", answer_id, judgement)


@pytest.mark.parametrize("called", ["chatcmpl-", "cmpl-", "msg_"])
async def test_an_answer_of_our_own_is_waited_for_until_the_ledger_has_it(called):
    world = World(in_vain=2)
    kept = await world.give(f"{called}{ID}")
    assert kept.judged.generation_id == ID
    assert world.slept == [0.2, 0.2]


async def test_nobody_is_waited_for_longer_than_the_patience():
    world = World(in_vain=100)
    with pytest.raises(ResourceNotFound, match="once the answer has ended"):
        await world.give(ID)
    assert sum(world.slept) == pytest.approx(RULE.patience.total_seconds())
    assert world.store.kept == []


@pytest.mark.parametrize("answer_id", ["my-request", f"chatcmpl-{ID}0", ID.upper()])
async def test_what_is_not_of_our_own_making_is_looked_for_once(answer_id):
    world = World(in_vain=100)
    with pytest.raises(ResourceNotFound):
        await world.give(answer_id)
    assert (world.answers.asked, world.slept) == ([answer_id], [])


@pytest.mark.parametrize(
    ("text", "named"),
    [
        (ID, (ID, True)),
        (f"cmpl-{ID}", (ID, True)),
        ("r.1_2-3", ("r.1_2-3", False)),
        ("", ("", False)),
        ("a b", ("", False)),
        ("x" * 129, ("", False)),
    ],
)
def test_an_answer_is_named_by_its_id_with_or_without_its_prefix(text, named):
    assert named_answer(text) == named


async def test_an_author_is_who_the_caller_says_or_the_key_s_user_or_the_key():
    world = World()
    for judgement, user_id in ((Judgement(thumb=Thumb.UP, user="ada"), "u1"), (UP, "u1"), (UP, "")):
        await world.give(ID, judgement, user_id)
    assert [one.author for one in world.store.kept] == ["user:ada", "member:u1", "key:k"]


async def test_a_judgement_counts_where_no_cache_answers():
    kept = await World().give(ID, DOWN)
    assert (kept.judgement, kept.disputed_entry) == (DOWN, "")
