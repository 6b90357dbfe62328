"""What judgements come to: what an author thinks at last, how sure a share is, and what a candidate's quality is."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock_common.llm.types import Candidate
from penstock_gateway.domain.feedback.judgement import Judgement, Reason, Thumb
from penstock_gateway.domain.feedback.ports import Tally
from penstock_gateway.domain.feedback.quality import QualityRule, qualities
from penstock_gateway.domain.feedback.summary import share
from penstock_gateway.domain.feedback.telling import QualityTeller

TODAY = date(2026, 6, 1)
A, B = Candidate(upstream="a", model="m"), Candidate(upstream="b", model="m")
RULE = QualityRule(half_life=timedelta(days=30), tenant_weight=10.0)


def tally(candidate=A, task="code", tenant="acme", days_ago=0, count=1, total=1.0):
    return Tally(tenant, candidate, task, TODAY - timedelta(days=days_ago), count, total)


def test_a_score_says_more_than_a_thumb_and_words_say_no_value():
    assert Judgement(thumb=Thumb.UP).value == 1.0
    assert Judgement(thumb=Thumb.DOWN).value == 0.0
    assert Judgement(thumb=Thumb.DOWN, score=0.75).value == 0.75
    assert Judgement(comment="Well.").value is None


@pytest.mark.parametrize(
    ("judgement", "disputes"),
    [
        (Judgement(thumb=Thumb.DOWN), True),
        (Judgement(thumb=Thumb.DOWN, reason=Reason.WRONG), True),
        (Judgement(thumb=Thumb.DOWN, reason=Reason.STYLE), False),
        (Judgement(thumb=Thumb.DOWN, reason=Reason.TOO_SLOW), False),
        (Judgement(thumb=Thumb.UP, reason=Reason.WRONG), False),
        (Judgement(score=0.0), False),
    ],
)
def test_a_thumb_down_on_what_is_said_disputes_it(judgement, disputes):
    assert judgement.disputes is disputes


def test_words_add_to_what_was_said_before_and_a_value_takes_its_place():
    before = Judgement(thumb=Thumb.DOWN, score=0.25, reason=Reason.WRONG, comment="No.", tags={"a": "1", "b": "1"})
    added = Judgement(correction="42", comment="Not so.", user="ada", tags={"b": "2"}).after(before)
    assert (added.thumb, added.score, added.reason) == (Thumb.DOWN, 0.25, Reason.WRONG)
    assert (added.correction, added.comment, added.user) == ("42", "Not so.", "ada")
    assert added.tags == {"a": "1", "b": "2"}
    instead = Judgement(thumb=Thumb.UP)
    assert instead.after(before) == instead
    assert added.after(None) == added


def test_wilson_s_interval_is_that_of_the_tables():
    assert share(0, 0) is None
    told = share(8, 10)
    assert told is not None
    assert told == pytest.approx((0.8, 0.49016, 0.94331), abs=1e-5)


@given(st.integers(1, 10_000), st.floats(0, 1))
def test_a_share_lies_within_its_bounds_and_they_within_0_and_1(count, mean):
    told = share(mean * count, count)
    assert told is not None
    assert 0 <= told.low <= told.value + 1e-12
    assert told.value - 1e-12 <= told.high <= 1


def test_quality_is_the_mean_of_a_candidate_and_a_task():
    told = qualities([tally(count=3, total=2.0), tally(task="faq"), tally(B, total=0.0)], RULE, TODAY)
    assert told[A, "code"] == pytest.approx((2 / 3, 3.0))
    assert told[A, "faq"] == (1.0, 1.0)
    assert told[B, "code"] == (0.0, 1.0)


def test_what_was_said_a_half_life_ago_counts_half():
    told = qualities([tally(count=2, total=0.0, days_ago=30), tally(count=1, total=1.0)], RULE, TODAY)
    assert told[A, "code"] == pytest.approx((0.5, 2.0))


def test_a_clock_that_went_back_makes_nothing_count_more_than_today():
    assert qualities([tally(days_ago=-3)], RULE, TODAY)[A, "code"] == (1.0, 1.0)


def test_no_tenant_outshouts_the_others():
    loud = tally(tenant="loud", count=1000, total=0.0)
    told = qualities([loud, tally(count=10, total=10.0)], RULE, TODAY)
    assert told[A, "code"] == pytest.approx((0.5, 20.0))


def test_of_nothing_nothing_is_known():
    assert qualities([], RULE, TODAY) == {}


class Store:
    def __init__(self):
        self.newest, self.told, self.asked = 0, [], []

    async def newest_id(self):
        return self.newest

    async def tallies(self, since):
        self.asked.append(since)
        return self.told


class Told:
    def __init__(self):
        self.said = []
        self.fault = None

    async def tell(self, qualities):
        if self.fault is not None:
            raise self.fault
        self.said.append(dict(qualities))


async def test_what_is_known_is_told_again_and_again_and_summed_up_where_there_is_more_or_another_day():
    store, told, now = Store(), Told(), [datetime(2026, 6, 1, 12, tzinfo=UTC)]
    teller = QualityTeller(store, told, RULE, lambda: now[0])
    await teller.tell()
    assert (told.said, store.asked) == ([{}], [])
    store.newest, store.told = 1, [tally()]
    for _ in range(2):
        await teller.tell()
    assert store.asked == [TODAY - timedelta(days=240)]
    assert told.said[1:] == [{(A, "code"): (1.0, 1.0)}] * 2
    now[0] += timedelta(days=30)
    await teller.tell()
    assert told.said[-1] == {(A, "code"): (1.0, 0.5)}
    assert len(store.asked) == 2


async def test_what_cannot_be_told_is_said_once_and_told_later():
    store, told = Store(), Told()
    teller = QualityTeller(store, told, RULE, lambda: datetime(2026, 6, 1, tzinfo=UTC))
    told.fault = OSError("away")
    for _ in range(2):
        await teller.tell()
    told.fault = None
    await teller.tell()
    assert told.said == [{}]
