"""How fast a kept answer is told again: nothing of it is lost, and its pieces come when they are due."""

from __future__ import annotations

import asyncio

import pytest

from penstock_common.contract.cache import Hit
from penstock_common.llm.events import Answer
from penstock_common.llm.types import Candidate, Finished, FinishReason, ReasoningDelta, Started, TextDelta, Usage
from penstock_gateway.domain.life.pace import Pace
from penstock_gateway.domain.life.sources import Replay

WHO = Candidate(upstream="u", model="m")
THOUGHT, TEXT = "I think that " * 9, "The answer is forty-two. " * 7
EVENTS = (
    Started(generation_id="g", answered_by=WHO),
    ReasoningDelta(text=THOUGHT, signature=b"signed"),
    TextDelta(text=TEXT),
    Usage(input_tokens=9, output_tokens=50),
    Finished(reason=FinishReason.STOP, answered_by=WHO, cost_nano_usd=7),
)


@pytest.mark.parametrize(
    ("tokens_per_second", "characters", "seconds"),
    [(1, 4, 1.0), (20, 4, 0.05), (100, 20, 0.05), (1e9, 200_000_000, 0.05)],
)
def test_an_answer_comes_in_pieces_of_which_nothing_is_lost(tokens_per_second, characters, seconds):
    pace = Pace(tokens_per_second)
    batches = list(pace.batches(EVENTS))
    told = Answer()
    for batch in batches:
        told.extend(batch)
    assert pace.seconds == seconds
    assert (told.text, told.finished.cost_nano_usd) == (TEXT, 7)
    thoughts = [event for batch in batches for event in batch if isinstance(event, ReasoningDelta)]
    assert "".join(event.text for event in thoughts) == THOUGHT
    assert [event.signature for event in thoughts if event.signature] == [b"signed"]
    assert thoughts[-1].signature == b"signed"
    longest = [max(len(getattr(event, "text", "")) for event in batch) for batch in batches]
    assert max(longest) <= max(characters, 1)
    assert isinstance(batches[0][0], Started)
    assert isinstance(batches[-1][-1], Finished)


def test_the_first_piece_comes_at_once_and_each_further_one_when_it_is_due(monkeypatch):
    slept = []

    async def note(seconds):
        slept.append(seconds)

    async def read():
        stream = Replay(Hit(events=EVENTS, created_at=0), Pace(20)).open([])
        monkeypatch.setattr(asyncio, "sleep", note)
        return [batch async for batch in stream]

    batches = asyncio.run(read())
    assert len(slept) == len(batches) - 1
    # Each is due after all before it, although nobody has slept here.
    assert slept == sorted(slept)
    assert slept[-1] == pytest.approx(0.05 * len(slept), abs=0.05)


def test_without_a_pace_all_of_it_comes_at_once():
    async def read():
        return [batch async for batch in Replay(Hit(events=EVENTS, created_at=0)).open([])]

    assert len(asyncio.run(read())) == 1
