"""Dynamic batching over a model that runs when the test lets it."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock_common.errors import DeadlineExceeded, ModelNotFound, Overloaded, UnsupportedParameter
from penstock_embedding.domain.account import Account
from penstock_embedding.domain.batcher import Batcher, BatchPolicy, RanBatch
from penstock_embedding.domain.batching import BatchBounds, PreparedText
from penstock_embedding.domain.embedder import EmbedCall, Embedder, ModelOffer, Vector

HOUR = timedelta(hours=1)


class LengthModel:
    """Cuts texts at 20 characters, and makes of a text its own vector; each run waits for a permit."""

    name = "lengths"
    revision = "1"

    def __init__(self, permits: int) -> None:
        self.permits = asyncio.Semaphore(permits)
        self.began: asyncio.Queue[list[str]] = asyncio.Queue()
        self.failure: Exception | None = None
        self.deadlines: list[float | None] = []

    async def prepare(self, texts: Sequence[str]) -> list[PreparedText]:
        return [PreparedText(text[:20], min(20, len(text)), len(text) > 20) for text in texts]

    async def run(self, batch: Sequence[PreparedText], deadline: float | None, account: Account) -> list[Vector]:
        self.deadlines.append(deadline)
        self.began.put_nowait([text.content for text in batch])
        await self.permits.acquire()
        if self.failure is not None:
            raise self.failure
        return [[float(ord(character)) for character in text.content] for text in batch]


class Noted:
    def __init__(self) -> None:
        self.runs: list[RanBatch] = []
        self.waits: list[float] = []

    def ran(self, batch: RanBatch) -> None:
        self.runs.append(batch)

    def waited(self, seconds: float) -> None:
        self.waits.append(seconds)


class World:
    """A batcher that works until the test ends; ``ask`` starts a call."""

    def __init__(self, stack: AsyncExitStack) -> None:
        self._stack = stack
        self.noted = Noted()
        self.now = 0.0

    async def start(self, permits: int = 0, **policy: object) -> None:
        self.model = LengthModel(permits)
        self.batcher = Batcher(self.model, BatchPolicy(**policy), self.noted, lambda: self.now)  # type: ignore[arg-type]
        await self._stack.enter_async_context(self.batcher.running())

    def ask(self, *texts: str, deadline: float | None = None, account: Account | None = None) -> asyncio.Task:
        return asyncio.ensure_future(self.batcher.embed(texts, deadline, account or Account()))

    def take_in(self, *texts: str) -> asyncio.Task:
        return asyncio.ensure_future(self.batcher.embed(texts, None, Account(), background=True))

    async def busy(self) -> asyncio.Task:
        """Return the call that keeps the model busy until there is a permit."""
        call = self.ask("busy")
        assert await self.model.began.get() == ["busy"]
        return call


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with AsyncExitStack() as stack:
        yield World(stack)


def vector(text: str) -> list[float]:
    return [float(ord(character)) for character in text[:20]]


async def settled() -> None:
    """Let everything happen that can happen by itself."""
    for _ in range(20):
        await asyncio.sleep(0)


@given(st.lists(st.text("abcdefgh", min_size=1, max_size=30), min_size=1, max_size=80), st.integers(1, 9))
async def test_vectors_come_in_the_order_of_the_inputs(inputs: list[str], max_texts: int) -> None:
    policy = BatchPolicy(bounds=BatchBounds(max_texts, max_padded_tokens=60))
    batcher = Batcher(LengthModel(10_000), policy, Noted())
    async with batcher.running():
        embedded = await batcher.embed(inputs, None, Account())
    assert embedded.vectors == [vector(text) for text in inputs]
    assert embedded.truncated == [len(text) > 20 for text in inputs]
    assert embedded.input_tokens == sum(min(20, len(text)) for text in inputs)


async def test_texts_of_callers_that_wait_run_together(world: World) -> None:
    await world.start()
    busy = await world.busy()
    calls = [world.ask(text) for text in ("one", "two", "six")]
    await settled()
    world.model.permits.release()
    await busy
    assert sorted(await world.model.began.get()) == ["one", "six", "two"]
    world.model.permits.release()
    assert [(await call).vectors for call in calls] == [[vector(text)] for text in ("one", "two", "six")]
    assert [run.texts for run in world.noted.runs] == [1, 3]
    assert world.noted.runs[1].tokens == world.noted.runs[1].padded_tokens == 9


async def test_an_idle_model_waits_for_nobody(world: World) -> None:
    await world.start(permits=9, max_wait=HOUR)
    for text in ("one", "two"):
        assert (await world.ask(text)).vectors == [vector(text)]
        # The worker looks for more, finds nothing, and is idle again.
        await settled()


async def test_after_a_run_texts_wait_for_companions_until_the_batch_is_full(world: World) -> None:
    await world.start(permits=9, max_wait=HOUR, bounds=BatchBounds(max_texts=3))
    world.model.permits = asyncio.Semaphore(0)
    busy = await world.busy()
    first = [world.ask("one"), world.ask("two")]
    await settled()
    world.model.permits.release()
    await busy
    await settled()
    assert world.batcher.waiting_texts == 2
    last = world.ask("six")
    assert sorted(await world.model.began.get()) == ["one", "six", "two"]
    world.model.permits.release()
    await asyncio.wait([*first, last])


async def test_waiting_for_companions_has_an_end(world: World) -> None:
    await world.start(max_wait=timedelta(milliseconds=1), bounds=BatchBounds(max_texts=3))
    busy = await world.busy()
    call = world.ask("one")
    await settled()
    world.model.permits.release()
    await busy
    assert await world.model.began.get() == ["one"]
    world.model.permits.release()
    await call


async def test_texts_of_a_caller_that_leaves_never_run(world: World) -> None:
    await world.start()
    busy = await world.busy()
    leaving, staying = world.ask("leaving", "too"), world.ask("staying")
    await settled()
    assert world.batcher.waiting_texts == 3
    leaving.cancel()
    await asyncio.wait([leaving])
    assert world.batcher.waiting_texts == 1
    world.model.permits.release()
    await busy
    assert await world.model.began.get() == ["staying"]
    world.model.permits.release()
    await staying


async def test_a_full_queue_refuses_with_advice_and_recovers(world: World) -> None:
    await world.start(max_waiting_texts=2)
    busy = await world.busy()
    waiting = world.ask("one", "two")
    await settled()
    with pytest.raises(Overloaded, match="2 texts wait to be embedded already") as refused:
        await world.batcher.embed(["three"], None, Account())
    assert refused.value.retry_after > timedelta()
    for _ in range(9):
        world.model.permits.release()
    await asyncio.wait([busy, waiting])
    assert (await world.batcher.embed(["three"], None, Account())).vectors == [vector("three")]


async def test_a_queue_full_of_tokens_refuses(world: World) -> None:
    await world.start(max_waiting_tokens=30)
    busy = await world.busy()
    waiting = world.ask("x" * 20)
    await settled()
    with pytest.raises(Overloaded):
        await world.batcher.embed(["y" * 11], None, Account())
    for _ in range(9):
        world.model.permits.release()
    await asyncio.wait([busy, waiting])


async def test_one_call_may_be_larger_than_the_queue(world: World) -> None:
    await world.start(permits=99, max_waiting_texts=2, max_waiting_tokens=3)
    assert len((await world.batcher.embed(["one"] * 40, None, Account())).vectors) == 40


async def test_a_call_whose_deadline_has_passed_is_refused_and_never_runs(world: World) -> None:
    await world.start()
    busy = await world.busy()
    late, punctual = world.ask("late", deadline=1.0), world.ask("punctual", deadline=3.0)
    await settled()
    world.now = 2.0
    world.model.permits.release()
    await busy
    with pytest.raises(DeadlineExceeded):
        await late
    assert await world.model.began.get() == ["punctual"]
    world.model.permits.release()
    await punctual


async def test_a_deadline_that_passes_while_the_model_runs_ends_the_call(world: World) -> None:
    await world.start()
    with pytest.raises(DeadlineExceeded):
        await world.ask("silence", deadline=0.01)
    for _ in range(2):
        world.model.permits.release()
    assert (await world.ask("after", deadline=1000.0)).vectors == [vector("after")]


@pytest.mark.parametrize(("deadlines", "wanted"), [((1000.0, 3000.0), 3000.0), ((1000.0, None), None)])
async def test_a_run_has_as_long_as_its_most_patient_caller(
    world: World, deadlines: tuple[float | None, ...], wanted: float | None
) -> None:
    await world.start(bounds=BatchBounds(max_texts=2))
    busy = await world.busy()
    calls = [world.ask("text", deadline=deadline) for deadline in deadlines]
    await settled()
    for _ in range(2):
        world.model.permits.release()
    await asyncio.gather(busy, *calls)
    assert world.model.deadlines == [None, wanted]


async def test_a_run_that_fails_fails_its_callers_and_no_others(world: World) -> None:
    await world.start(permits=9)
    world.model.failure = ZeroDivisionError("boom")
    failing = await asyncio.gather(world.batcher.embed(["one"], None, Account()), return_exceptions=True)
    assert isinstance(failing[0], ZeroDivisionError)
    world.model.failure = None
    assert (await world.batcher.embed(["two"], None, Account())).vectors == [vector("two")]


async def test_closing_refuses_who_waits_and_who_comes() -> None:
    model = LengthModel(0)
    batcher = Batcher(model, BatchPolicy(), Noted())
    async with batcher.running():
        calls = [
            asyncio.ensure_future(batcher.embed([text], None, Account())) for text in ("one", "two two two two two two")
        ]
        await model.began.get()
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [Overloaded, Overloaded]
    with pytest.raises(Overloaded, match="wait to be embedded|shutting down"):
        await batcher.embed(["three"], None, Account())


async def test_runs_of_a_model_that_is_elsewhere_overlap(world: World) -> None:
    await world.start(runs_at_once=2, bounds=BatchBounds(max_texts=1))
    calls = [world.ask(text) for text in ("one", "two")]
    assert sorted([*(await world.model.began.get()), *(await world.model.began.get())]) == ["one", "two"]
    for _ in calls:
        world.model.permits.release()
    await asyncio.wait(calls)


async def test_a_full_batch_stands_ready_while_the_model_runs(world: World) -> None:
    await world.start(taken_ahead=1, bounds=BatchBounds(max_texts=2), max_wait=HOUR)
    busy = await world.busy()
    alone = world.ask("one")
    await settled()
    assert (world.model.began.qsize(), world.batcher.waiting_texts) == (0, 1)
    companion = world.ask("two")
    assert sorted(await world.model.began.get()) == ["one", "two"]
    for _ in range(2):
        world.model.permits.release()
    await asyncio.gather(busy, alone, companion)


async def test_what_was_taken_ahead_runs_from_the_end_of_the_run_before(world: World) -> None:
    await world.start(taken_ahead=1, bounds=BatchBounds(max_texts=1))
    first = await world.busy()
    second = world.ask("next")
    await world.model.began.get()
    for world.now in (3.0, 5.0):
        world.model.permits.release()
        await settled()
    await asyncio.gather(first, second)
    assert [run.seconds for run in world.noted.runs] == [3.0, 2.0]
    assert world.noted.waits == [0.0, 3.0]


async def test_a_call_that_overlapping_runs_could_serve_in_time_is_not_dropped(world: World) -> None:
    await world.start(runs_at_once=2, bounds=BatchBounds(max_texts=1))
    slow = world.ask("x" * 20)
    await world.model.began.get()
    # A tenth of a second a token, so a twentieth where two runs overlap.
    world.now = 2.0
    world.model.permits.release()
    await slow
    busy = [world.ask("busy"), world.ask("busy")]
    await settled()
    call = world.ask("y" * 15, "z" * 15, deadline=world.now + 2.0)
    for _ in range(4):
        world.model.permits.release()
    assert (await call).vectors == [vector("y" * 15), vector("z" * 15)]
    await asyncio.gather(*busy)


@pytest.mark.parametrize("model", ["", "lengths"])
async def test_the_service_answers_to_its_models_name_and_to_none(model: str) -> None:
    batcher = Batcher(LengthModel(9), BatchPolicy(), Noted())
    async with batcher.running():
        embedder = Embedder(batcher, ModelOffer())
        assert (await embedder.embed(EmbedCall(["one"], model))).vectors == [vector("one")]
        with pytest.raises(ModelNotFound):
            await embedder.embed(EmbedCall(["one"], "other"))


async def test_vectors_are_cut_and_of_length_one_where_the_model_permits() -> None:
    async with (batcher := Batcher(LengthModel(9), BatchPolicy(), Noted())).running():
        embedder = Embedder(batcher, ModelOffer(min_dimensions=2))
        (cut,) = (await embedder.embed(EmbedCall(["abc"], dimensions=2))).vectors
        assert cut == pytest.approx([97 / math.hypot(97, 98), 98 / math.hypot(97, 98)])
        assert (await embedder.embed(EmbedCall(["abc"], dimensions=3))).vectors == [vector("abc")]


@pytest.mark.parametrize(("least", "wanted"), [(0, 2), (2, 1), (2, 4)])
async def test_other_dimensions_are_refused_before_the_model_works(least: int, wanted: int) -> None:
    model = LengthModel(9)
    async with (batcher := Batcher(model, BatchPolicy(), Noted())).running():
        embedder = Embedder(batcher, ModelOffer(min_dimensions=least))
        await embedder.embed(EmbedCall(["abc"]))
        with pytest.raises(UnsupportedParameter) as refused:
            await embedder.embed(EmbedCall(["def"], dimensions=wanted))
    assert refused.value.parameter == "dimensions"
    assert [model.began.get_nowait() for _ in range(model.began.qsize())] == [["abc"]]


PASSAGES = ["aaaa", "bbbb", "cccc", "dddd", "eeee", "ffff"]
ONE_AT_ONCE = BatchBounds(max_texts=1)


async def test_a_caller_waits_for_one_batch_of_the_background(world: World) -> None:
    await world.start(background_bounds=ONE_AT_ONCE, taken_ahead=1)
    taking = world.take_in(*PASSAGES)
    assert await world.model.began.get() == ["aaaa"]
    await settled()
    assert world.model.began.empty(), "nothing of the background is taken ahead"
    assert world.batcher.waiting_texts == 5
    asked = world.ask("question")
    await settled()
    assert await world.model.began.get() == ["question"]
    for _ in range(7):
        world.model.permits.release()
    assert (await asked).vectors == [vector("question")]
    assert (await taking).vectors == [vector(text) for text in PASSAGES]


async def test_the_background_has_its_turn_though_callers_leave_no_gap(world: World) -> None:
    await world.start(bounds=ONE_AT_ONCE, background_bounds=ONE_AT_ONCE, background_turn=4, max_wait=timedelta())
    busy = await world.busy()
    asked = world.ask(*[f"q{number:03}" for number in range(12)])
    taking = world.take_in(*PASSAGES[:3])
    for _ in range(16):
        world.model.permits.release()
    await asyncio.gather(busy, asked, taking)
    order = "".join([(await world.model.began.get())[0][0] for _ in range(15)])
    assert order == "qqaqqqbqqqcqqqq"


async def test_what_is_left_of_a_caller_who_goes_is_not_done_in_the_background(world: World) -> None:
    await world.start(background_bounds=ONE_AT_ONCE)
    taking = world.take_in(*PASSAGES)
    await world.model.began.get()
    taking.cancel()
    await settled()
    assert world.batcher.waiting_texts == 0


async def test_the_background_is_refused_by_its_own_queue(world: World) -> None:
    await world.start(background_bounds=ONE_AT_ONCE, max_waiting_texts=6)
    taking = world.take_in(*PASSAGES)
    await world.model.began.get()
    with pytest.raises(Overloaded, match="5 texts wait"):
        await world.take_in(*PASSAGES)
    asked = world.ask(*PASSAGES)
    for _ in range(12):
        world.model.permits.release()
    await asyncio.gather(taking, asked)
