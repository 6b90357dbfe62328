"""Several choices from servers of odd dialects: each choice is understood as an answer of its own is."""

from __future__ import annotations

import asyncio
import re
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from penstock_common.llm.types import SamplingParams
from penstock_common.testing.generations import QUESTION
from penstock_common.testing.openai_upstream import Body, End

sys.path.insert(0, str(Path(__file__).parent))

from dialect_rows import CALLED, DIALECTS, DONE, END, HI, WEATHER, Dialect, head, raw, sse  # noqa: E402

FIRST = re.compile(rb'("choices": ?\[\{"index": ?)0\b')
PINGS = (b": keep-alive\n\n", raw("null"), b"event: ping\ndata: {}\n\n", b"data:\n\n")
# The first two mean something else in the middle of a stream, or of two choices. Of the third, the second choice's end
# is told when it first comes: callers who stream hear one end of a choice.
OTHERWISE = ("a BOM", "a choice more", "an end with every chunk")
ROWS = [
    row
    for row in DIALECTS
    if row.name not in OTHERWISE and all(frame == DONE or FIRST.search(frame) for frame in row.frames)
]
TWO = msgspec.structs.replace(QUESTION, sampling=SamplingParams(choices=2))


def second(frame: bytes) -> bytes:
    """Return a chunk of the first choice as one of the second."""
    return FIRST.sub(rb"\g<1>1", frame)


def of_both(row: Dialect) -> list[bytes]:
    """Return the chunks of two choices, side by side, which say the same, with signs of life between."""
    frames: list[bytes] = []
    for place, frame in enumerate(frame for frame in row.frames if frame != DONE):
        frames += (frame, PINGS[place % len(PINGS)], second(frame))
    return frames


def told(choice: Any) -> tuple[Any, ...]:
    """Return what a choice says; ids that were made up are empty."""
    calls = [("" if len(call.id) == 29 else call.id, call.name, call.arguments_json) for call in choice.tool_calls]
    return choice.text, choice.reasoning, calls


@pytest.fixture
async def patient(serve, first):
    """The service with every timer long but the one that waits for the end of a response."""
    timeouts = {"first_token": "300s", "idle": "300s", "total": "600s", "end": "100ms"}
    return await serve(first.settings("first", timeouts=timeouts, whole_answers="stream"))


def test_most_dialects_are_tried() -> None:
    assert len(ROWS) > len(DIALECTS) / 2


@pytest.mark.parametrize("row", ROWS, ids=str)
async def test_each_choice_is_understood_as_an_answer_is(row: Dialect, caller, first):
    first.enqueue(Body(frames=[*of_both(row), DONE]))
    outcome = await caller.ask("first/m", value=TWO)
    assert outcome.outcomes == ["first answered"]
    (other,) = outcome.answer.more
    expected = row.text, row.reasoning, list(row.calls)
    assert (told(outcome.answer), told(other)) == (expected, expected)
    assert (outcome.answer.finished.reason, other.reason) == (row.finish, row.finish)


@pytest.mark.parametrize("wants_whole", [False, True], ids=["streamed", "whole"])
async def test_a_late_name_and_silence_after_both_ends_are_an_answer(wants_whole: bool, patient, first):
    call = (head(0, "call_one"), head(0, name="weather"), head(0, arguments='{"city":"Oslo"}'))
    frames = [HI, PINGS[0], second(call[0]), PINGS[2], END, second(call[1]), PINGS[1], second(call[2]), second(CALLED)]
    first.enqueue(Body(frames=frames, end=End.STALL))
    outcome = await asyncio.wait_for(patient.ask("first/m", value=TWO, whole=wants_whole), 60)
    assert outcome.outcomes == ["first answered"]
    (other,) = outcome.answer.more
    assert (told(outcome.answer), told(other)) == (("Hi", "", []), ("", "", [WEATHER]))
    assert (outcome.answer.finished.reason.value, other.reason.value) == ("stop", "tool_calls")
    await asyncio.wait_for(first.requests[0].left.wait(), 10)


async def test_an_end_of_one_choice_is_no_end_of_the_other(serve, first):
    may_go_on = asyncio.Event()
    first.enqueue(Body(frames=[HI, END, second(HI), second(END), DONE], hold={2: may_go_on}))

    def seen(answer: Any) -> None:
        if answer.text == "Hi":
            may_go_on.set()

    caller = await serve(first.settings("first", timeouts={"end": "1ms"}))
    outcome = await caller.ask("first/m", value=TWO, seen=seen)
    assert [told(each) for each in (outcome.answer, *outcome.answer.more)] == [("Hi", "", [])] * 2


async def test_choices_that_are_counted_one_by_one_are_billed_together(caller, first):
    ends = [
        sse({"choices": [{"index": index, "delta": {}, "finish_reason": "stop", "usage": {
            "prompt_tokens": 7, "completion_tokens": 2 + index}}]})
        for index in (0, 1)
    ]  # fmt: skip
    first.enqueue(Body(frames=[HI, second(HI), *ends, DONE]))
    usage = (await caller.ask("first/m", value=TWO)).answer.usage
    assert (usage.input_tokens, usage.output_tokens) == (7, 5)
