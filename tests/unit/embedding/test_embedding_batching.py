"""The queue of texts: what runs together, in whose turn, and who is dropped. No clock, no loop."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from penstock_embedding.domain.batching import BatchBounds, PreparedText, QueuedCall, QueuedText, TextQueue

CALLS = st.lists(st.lists(st.integers(1, 300), min_size=1, max_size=40), max_size=12)
BOUNDS = st.builds(
    BatchBounds,
    max_texts=st.integers(1, 64),
    max_padded_tokens=st.integers(1, 2000),
    max_padding_ratio=st.floats(0, 1),
)


def put(queue: TextQueue, lengths: Sequence[int], deadline: float | None = None) -> QueuedCall:
    call = QueuedCall(arrived=0, deadline=deadline)
    queue.put(call, [PreparedText(f"{index}", tokens, False) for index, tokens in enumerate(lengths)])
    return call


def emptied(queue: TextQueue) -> list[list[QueuedText]]:
    batches: list[list[QueuedText]] = []
    while batch := queue.take(0, 0).batch:
        batches.append(batch)
    return batches


@given(CALLS, BOUNDS)
def test_every_text_of_every_call_runs_once(calls: list[list[int]], bounds: BatchBounds) -> None:
    queue = TextQueue(bounds)
    wanted = {(id(call), index) for call in [put(queue, lengths) for lengths in calls] for index in range(40)}
    ran = [(id(text.call), text.position) for batch in emptied(queue) for text in batch]
    assert len(ran) == len(set(ran)) == sum(map(len, calls))
    assert set(ran) <= wanted
    assert (queue.texts, queue.tokens, queue.oldest_arrival) == (0, 0, None)


@given(CALLS, BOUNDS)
def test_a_batch_keeps_its_bounds_or_is_one_text(calls: list[list[int]], bounds: BatchBounds) -> None:
    queue = TextQueue(bounds)
    for lengths in calls:
        put(queue, lengths)
    for batch in emptied(queue):
        sizes = [text.text.tokens for text in batch]
        padded = len(sizes) * max(sizes)
        assert len(sizes) <= bounds.max_texts
        assert len(sizes) == 1 or padded <= bounds.max_padded_tokens
        assert len(sizes) == 1 or padded - sum(sizes) <= max(10, bounds.max_padding_ratio * padded)


@given(CALLS, st.sets(st.integers(0, 11)), BOUNDS)
def test_nothing_of_a_call_that_left_runs(calls: list[list[int]], leaving: set[int], bounds: BatchBounds) -> None:
    queue = TextQueue(bounds)
    waiting = [put(queue, lengths) for lengths in calls]
    first = queue.take(0, 0).batch
    gone = [call for number, call in enumerate(waiting) if number in leaving]
    for call in [*gone, *gone]:
        queue.drop(call)
    ran = [text.call for batch in emptied(queue) for text in batch]
    assert not set(map(id, ran)) & set(map(id, gone))
    stayed = sum(len(lengths) for number, lengths in enumerate(calls) if number not in leaving)
    assert len(ran) + sum(text.call not in gone for text in first) == stayed
    assert (queue.texts, queue.tokens) == (0, 0)


def test_texts_of_callers_that_come_and_go_are_forgotten() -> None:
    queue = TextQueue(BatchBounds())
    put(queue, [200])
    for _ in range(100):
        queue.drop(put(queue, [5] * 2048))
    assert queue.texts == 1
    assert sum(map(len, queue._buckets.values())) < 4096


def test_a_small_call_beside_a_big_one_runs_in_the_next_batch() -> None:
    queue = TextQueue(BatchBounds())
    put(queue, [20] * 2048)
    queue.take(0, 0)
    small = put(queue, [20])
    assert small in [text.call for text in queue.take(0, 0).batch]


def test_small_calls_of_any_length_wait_for_a_batch_each_at_the_most() -> None:
    queue = TextQueue(BatchBounds())
    put(queue, [5, 10, 20, 40, 80, 160] * 300)
    queue.take(0, 0)
    small = [put(queue, [tokens]) for tokens in (4, 11, 19, 37, 90, 170, 256)]
    ran = [text.call for _ in small for text in queue.take(0, 0).batch]
    assert all(call in ran for call in small)


def test_a_long_text_is_not_overtaken_by_short_ones_for_ever() -> None:
    queue = TextQueue(BatchBounds(max_texts=4))
    long = put(queue, [250])
    batches = 0
    while long.waiting_texts:
        for _ in range(4):
            put(queue, [5])
        queue.take(0, 0)
        batches += 1
        assert batches < 100


def test_a_call_that_cannot_be_in_time_is_dropped_before_any_of_it_runs() -> None:
    queue = TextQueue(BatchBounds())
    late, punctual = put(queue, [10] * 100, deadline=5), put(queue, [10], deadline=5)
    taken = queue.take(now=4, seconds_per_token=0.002)
    assert taken.dropped == [late]
    assert [text.call for text in taken.batch] == [punctual]
    assert queue.texts == 0


def test_when_everybody_is_late_there_is_no_batch() -> None:
    queue = TextQueue(BatchBounds())
    calls = [put(queue, lengths, deadline=1) for lengths in ([3, 30, 200], [30], [200])]
    taken = queue.take(now=1, seconds_per_token=0)
    assert taken.batch == []
    assert set(map(id, taken.dropped)) == set(map(id, calls))
    assert (queue.texts, queue.tokens) == (0, 0)
