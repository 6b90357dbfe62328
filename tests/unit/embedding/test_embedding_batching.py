from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock_common.errors import InvalidRequest
from penstock_embedding.domain.batching import BatchBounds, plan_batches
from penstock_embedding.domain.limits import MAX_INPUT_BYTES, check_inputs

LENGTHS = st.lists(st.integers(1, 300), max_size=200)
BOUNDS = st.builds(BatchBounds, max_texts=st.integers(1, 64), max_padded_tokens=st.integers(1, 2000))


@given(LENGTHS, BOUNDS)
def test_every_text_is_in_exactly_one_batch(lengths: list[int], bounds: BatchBounds) -> None:
    planned = [index for batch in plan_batches(lengths, bounds) for index in batch]
    assert sorted(planned) == list(range(len(lengths)))


@given(LENGTHS, BOUNDS)
def test_a_batch_keeps_its_bounds_or_is_one_text(lengths: list[int], bounds: BatchBounds) -> None:
    for batch in plan_batches(lengths, bounds):
        assert 1 <= len(batch) <= bounds.max_texts
        padded = len(batch) * max(lengths[index] for index in batch)
        assert padded <= bounds.max_padded_tokens or len(batch) == 1


@given(LENGTHS, BOUNDS)
def test_texts_of_similar_length_go_together(lengths: list[int], bounds: BatchBounds) -> None:
    batches = [[lengths[index] for index in batch] for batch in plan_batches(lengths, bounds)]
    for shorter, longer in zip(batches, batches[1:], strict=False):
        assert max(shorter) <= min(longer)


@given(LENGTHS, BOUNDS)
def test_no_two_neighbouring_batches_would_fit_into_one(lengths: list[int], bounds: BatchBounds) -> None:
    batches = plan_batches(lengths, bounds)
    for left, right in zip(batches, batches[1:], strict=False):
        texts = len(left) + 1
        padded = texts * lengths[right[0]]
        assert texts > bounds.max_texts or padded > bounds.max_padded_tokens


@pytest.mark.parametrize(
    ("inputs", "field"),
    [
        ([], "inputs"),
        (["a"] * 2049, "inputs"),
        (["a", "b", "c", ""], "inputs[3]"),
        (["a", "b" * (MAX_INPUT_BYTES + 1)], "inputs[1]"),
        (["é" * (MAX_INPUT_BYTES // 2 + 1)], "inputs[0]"),
    ],
)
def test_a_request_beyond_a_limit_names_the_input(inputs: list[str], field: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        check_inputs(inputs)
    assert caught.value.field == field


@pytest.mark.parametrize("inputs", [["a"], ["a"] * 2048, ["b" * MAX_INPUT_BYTES], [" "]])
def test_a_request_at_a_limit_passes(inputs: list[str]) -> None:
    check_inputs(inputs)
