"""The batches of one answer over upstreams that a test plays: what is held, what is sent, what a leaver leaves."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from penstock_common.llm.types import (
    Candidate,
    Finished,
    FinishReason,
    GenerationInput,
    Message,
    Plan,
    Role,
    Started,
    Text,
    TextDelta,
    Usage,
)
from penstock_common.telemetry.steps import Steps
from penstock_inference.domain.attempt_loop import AttemptLoop, Batches, Generation
from penstock_inference.domain.catalogue import Catalogue, Model
from penstock_inference.domain.endpoint import Endpoint, Pool
from penstock_inference.domain.upstream import Stopped, UpstreamCall, UpstreamEvent

CANDIDATE = Candidate(upstream="u", model="m")
QUESTION = GenerationInput(model="fast", messages=(Message(role=Role.USER, parts=(Text(text="x" * 40),)),))
END: list[UpstreamEvent] = [Usage(input_tokens=7, output_tokens=2), Stopped(FinishReason.STOP)]


class Answered:
    """Brings these reads, then ends, or waits for ever."""

    def __init__(self, reads: Sequence[Sequence[UpstreamEvent]], *, stalls: bool = False, begun: bool = False) -> None:
        self._reads = list(reads)
        self._stalls = stalls
        self.begun = begun
        self.dropped = ()
        self.ended = False
        self.closed = 0
        self.stalled = asyncio.Event()
        self.call: UpstreamCall | None = None

    def ask(self, call: UpstreamCall) -> Answered:
        self.call = call
        return self

    async def read(self) -> Sequence[UpstreamEvent]:
        if not self._reads and self._stalls:
            self.stalled.set()
            await asyncio.Event().wait()
        events = self._reads.pop(0) if self._reads else ()
        self.ended = not self._reads and not self._stalls
        return events

    async def aclose(self) -> None:
        self.closed += 1


def batches_of(upstream: Answered, steps: Steps, *, whole: bool, answers_whole: bool = False) -> Batches:
    """Return the batches of one generation."""
    catalogue = Catalogue([Model(CANDIDATE, answers_whole=answers_whole)])
    loop = AttemptLoop({"u": Pool([Endpoint(upstream)])}, catalogue)
    return loop.batches(Generation(QUESTION, Plan(candidates=(CANDIDATE,)), None, whole), steps)


def kinds(batch: Sequence[object]) -> list[type]:
    """Return what a batch consists of."""
    return [type(event) for event in batch]


async def test_what_is_there_at_once_is_one_batch() -> None:
    upstream = Answered([[TextDelta(text="a"), *END]])
    read = [kinds(batch) async for batch in batches_of(upstream, Steps(), whole=False)]
    assert read == [[Started, TextDelta, Usage, Finished]]
    assert upstream.closed == 1


async def test_the_end_never_delays_content() -> None:
    upstream = Answered([[TextDelta(text="a")], [TextDelta(text="b")], END])
    read = [kinds(batch) async for batch in batches_of(upstream, Steps(), whole=False)]
    assert read == [[Started, TextDelta], [TextDelta], [Usage, Finished]]


async def test_for_who_does_not_stream_all_is_one_batch_and_deltas_are_merged() -> None:
    upstream, steps = Answered([[TextDelta(text="a")], [TextDelta(text="b")], END]), Steps()
    (batch,) = [batch async for batch in batches_of(upstream, steps, whole=True)]
    assert kinds(batch) == [Started, TextDelta, Usage, Finished]
    assert batch[1] == TextDelta(text="ab")
    assert upstream.call is not None
    assert not upstream.call.whole
    # The upstream streamed: its first token has a time.
    assert "time_to_first_token_ms" in steps.recorded[0].attributes


async def test_nothing_is_asked_before_the_first_batch_is() -> None:
    upstream = Answered([END])
    batches = batches_of(upstream, Steps(), whole=False)
    assert upstream.call is None
    await batches.aclose()
    assert [batch async for batch in batches] == []
    assert upstream.call is None


@pytest.mark.parametrize(
    ("reads", "answers_whole", "begun", "output_tokens"),
    [
        ([[TextDelta(text="12345678")], [TextDelta(text="12345678")]], False, False, 4),
        ([], True, True, 0),
        ([], True, False, None),
        ([], False, False, None),
    ],
    ids=["streamed to us", "a part of a whole", "nothing of a whole", "nothing of a stream"],
)
async def test_who_leaves_before_the_whole_is_there_leaves_what_it_cost(
    reads: list[list[UpstreamEvent]], answers_whole: bool, begun: bool, output_tokens: int | None
) -> None:
    upstream, steps = Answered(reads, stalls=True, begun=begun), Steps()
    batches = batches_of(upstream, steps, whole=True, answers_whole=answers_whole)
    asking = asyncio.ensure_future(anext(batches))
    await upstream.stalled.wait()
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    (step,) = steps.recorded
    assert step.attributes["outcome"] == "cancelled"
    assert step.attributes.get("estimated_output_tokens") == output_tokens
    assert step.attributes.get("begun", False) is (output_tokens is not None)
    assert upstream.closed == 1
