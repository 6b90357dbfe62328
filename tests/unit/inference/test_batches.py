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

    def __init__(
        self,
        reads: Sequence[Sequence[UpstreamEvent]],
        *,
        stalls: bool = False,
        sent: bool = True,
        unread_bytes: int = 0,
    ) -> None:
        self._reads = list(reads)
        self._stalls = stalls
        self.sent = sent
        self.unread_bytes = unread_bytes
        self.dropped = ()
        self.ended = False
        self.closed = 0
        self.stalled = asyncio.Event()
        self.call: UpstreamCall | None = None

    def again(self) -> Answered:
        """Return one that does the same."""
        return Answered(self._reads, stalls=self._stalls, sent=self.sent, unread_bytes=self.unread_bytes)

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


TOLD = Usage(input_tokens=7, cached_input_tokens=3, output_tokens=1)
TEXT = [[TextDelta(text="12345678")], [TextDelta(text="12345678")]]
# Four bytes a token, and four for the turn.
ASKED = 14


@pytest.mark.parametrize("whole", [False, True], ids=["streams", "does not"])
@pytest.mark.parametrize(
    ("upstream", "owed"),
    [
        (Answered(TEXT, stalls=True), (ASKED, 0, 4)),
        (Answered([], stalls=True), (ASKED, 0, 0)),
        (Answered([], stalls=True, sent=False), None),
        (Answered([], stalls=True, unread_bytes=256 + 8), (ASKED, 0, 2)),
        (Answered([[TOLD, TextDelta(text="12345678")]], stalls=True), (7, 3, 2)),
        (Answered([[TOLD]], stalls=True), (7, 3, 1)),
    ],
    ids=["some text", "no token yet", "not sent yet", "a part of a whole", "counted so far", "counted before a token"],
)
async def test_who_leaves_owes_the_prompt_once_it_was_sent_and_what_was_written(
    upstream: Answered, owed: tuple[int, int, int] | None, whole: bool
) -> None:
    upstream, steps = upstream.again(), Steps()
    batches = batches_of(upstream, steps, whole=whole, answers_whole=upstream.unread_bytes > 0)
    asking = asyncio.ensure_future(_read_all(batches))
    await upstream.stalled.wait()
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    (step,) = steps.recorded
    names = ("owed_input_tokens", "owed_cached_input_tokens", "owed_output_tokens")
    found = tuple(step.attributes.get(name) for name in names)
    assert found == (owed or (None, None, None))
    assert step.attributes["outcome"] == "cancelled"
    assert upstream.closed == 1


async def _read_all(batches: Batches) -> None:
    async for _ in batches:
        pass
