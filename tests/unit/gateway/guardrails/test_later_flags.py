"""A person is told beside the request; only what is held for one waits until that is kept."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

from penstock_common.errors import GuardrailRefused, ServiceUnavailable
from penstock_common.llm.types import Role
from penstock_gateway.domain.guardrails.pipeline.refusing import TOO_LONG, AnswerRefused
from penstock_gateway.domain.reviews.flag import MAX_TEXT, Flag, Found, Source, Surface, shortened
from penstock_gateway.domain.reviews.later import LaterDesk

sys.path.insert(0, str(Path(__file__).parent))
from pipeline_world import Desk, entered, guarding_of, said, seen, text_batches, text_seen

RULES = {
    "asks": {"kind": "words", "deny": ["refund"], "action": "review"},
    "holds": {"kind": "words", "deny": ["lawsuit"], "action": "review", "hold": True},
}


class SlowDesk(Desk):
    """A database that answers when it is let."""

    def __init__(self) -> None:
        super().__init__()
        self.may_answer, self.fails = asyncio.Event(), False

    async def flag(self, flag):
        await self.may_answer.wait()
        if self.fails:
            raise ServiceUnavailable("The database does not answer.")
        return await super().flag(flag)


async def test_a_request_never_waits_for_what_is_only_shown():
    desk = SlowDesk()
    later = LaterDesk(desk)
    (message,) = await entered(guarding_of(RULES, input=["asks"], desk=later), said("A refund, please"))
    assert message.text == "A refund, please"
    assert await text_seen(guarding_of(RULES, output=["asks"], desk=later), ["the refund"]) == "the refund"
    assert desk.flags == []
    desk.may_answer.set()
    await later.close()
    assert [flag.text for flag in desk.flags] == ["A refund, please", "the refund"]


async def test_what_is_held_waits_and_fails_with_the_database():
    desk = SlowDesk()
    held = guarding_of(RULES, input=["holds"], desk=LaterDesk(desk))
    task = asyncio.ensure_future(entered(held, said("A lawsuit")))
    await asyncio.sleep(0)
    assert not task.done()
    desk.fails = True
    desk.may_answer.set()
    with pytest.raises(ServiceUnavailable):
        await task


async def test_what_waits_is_bounded_in_number_and_time():
    desk = SlowDesk()
    later = LaterDesk(desk, most_pending=2, patience=0.05)
    for _ in range(4):
        await entered(guarding_of(RULES, input=["asks"], desk=later), said("refund"))
    assert len(later._pending) == 2
    await later.close()
    assert not later._pending and desk.flags == []
    desk.fails = True
    desk.may_answer.set()
    await entered(guarding_of(RULES, input=["asks"], desk=later), said("refund"))
    await later.close()
    assert desk.flags == []


async def test_what_is_too_long_for_a_person_is_refused_and_not_cut():
    desk = Desk()
    fits, longer = ("x" * (MAX_TEXT - 8 + more) + " lawsuit" for more in (0, 1))
    with pytest.raises(GuardrailRefused, match="review-1"):
        await entered(guarding_of(RULES, input=["holds"], desk=desk), said(fits, Role.USER))
    assert desk.flags[0].text == fits
    with pytest.raises(GuardrailRefused, match="at most 65,536 characters: send a shorter one"):
        await entered(guarding_of(RULES, input=["holds"], desk=desk), said(longer))
    guarding = guarding_of(RULES, output=["holds"], desk=desk)
    guarding.parts = guarding.parts._replace(most_held=2 * MAX_TEXT)
    with pytest.raises(AnswerRefused, match=TOO_LONG):
        await seen(guarding, text_batches([longer]))
    assert len(desk.flags) == 1


async def test_what_waits_is_bounded_in_characters_too():
    desk = SlowDesk()
    later = LaterDesk(desk, most_characters=3 * MAX_TEXT)
    text = "x " * MAX_TEXT + "refund"
    for _ in range(4):
        await entered(guarding_of(RULES, input=["asks"], desk=later), said(text))
    assert len(later._pending) == 3
    desk.may_answer.set()
    await later.close()
    assert [len(flag.text) for flag in desk.flags] == [MAX_TEXT] * 3
    await entered(guarding_of(RULES, input=["asks"], desk=later), said("refund"))
    await later.close()
    assert len(desk.flags) == 4


def test_a_person_is_shown_what_was_found_however_far_behind_it_stands():
    def kept(length: int, *found: tuple[int, int]):
        parts = tuple(Found("word", *one) for one in found)
        flag = Flag(tenant="t", key_id="k", source=Source.RULE, surface=Surface.INPUT, text="x" * length, found=parts)
        told = shortened(flag)
        assert len(told.text) == min(length, MAX_TEXT)
        return [(one.start, one.end) for one in told.found]

    assert kept(MAX_TEXT, (5, 9)) == [(5, 9)]
    assert kept(MAX_TEXT + 9, (5, 9), (MAX_TEXT - 1, MAX_TEXT + 3), (MAX_TEXT + 2, MAX_TEXT + 4)) == [
        (5, 9),
        (MAX_TEXT - 1, MAX_TEXT),
    ]
    assert kept(4 * MAX_TEXT, (3 * MAX_TEXT, 3 * MAX_TEXT + 4)) == [(MAX_TEXT // 2, MAX_TEXT // 2 + 4)]
    assert kept(2 * MAX_TEXT, (2 * MAX_TEXT - 4, 2 * MAX_TEXT)) == [(MAX_TEXT - 4, MAX_TEXT)]
    assert kept(2 * MAX_TEXT, (0, 2 * MAX_TEXT)) == [(0, MAX_TEXT)]
