"""Tokens: the upstream's where they can be true, ours where they cannot."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock_common.llm.estimate import TOKENS_PER_TURN, WRAPPING_BYTES
from penstock_common.llm.events import Answer
from penstock_common.llm.types import GenerationInput, Message, Role, SamplingParams, Text, TextDelta, Usage
from penstock_inference.domain.usage import counted_tokens, interrupted_usage, settled_usage

QUESTION = GenerationInput(model="m", messages=(Message(role=Role.USER, parts=(Text(text="x" * 40),)),))


def answer(text: str = "y" * 20) -> Answer:
    """Return an answer."""
    made = Answer()
    if text:
        made.add(TextDelta(text=text))
    return made


def test_what_the_upstream_counted_stands() -> None:
    counted = Usage(input_tokens=9, output_tokens=5, cached_input_tokens=3, reasoning_tokens=2)
    assert settled_usage(counted, QUESTION, answer(), 4096) == counted


def test_missing_usage_is_estimated() -> None:
    expected = Usage(input_tokens=10 + TOKENS_PER_TURN, output_tokens=5, estimated=True)
    assert settled_usage(None, QUESTION, answer(), 4096) == expected


@pytest.mark.parametrize("output_tokens", [0, -1, 5000])
def test_an_output_that_cannot_be_true_is_estimated(output_tokens: int) -> None:
    settled = settled_usage(Usage(input_tokens=9, output_tokens=output_tokens), QUESTION, answer(), 4096)
    assert settled == Usage(input_tokens=9, output_tokens=5, estimated=True)


def test_parts_of_an_input_that_cannot_be_true_make_nothing_cheaper() -> None:
    counted = Usage(input_tokens=10**15, output_tokens=5, cached_input_tokens=10**15, cache_write_input_tokens=9)
    settled = settled_usage(counted, QUESTION, answer(), 4096)
    assert settled == Usage(input_tokens=10 + TOKENS_PER_TURN, output_tokens=5, estimated=True)


def test_an_empty_answer_may_have_no_tokens() -> None:
    assert not settled_usage(Usage(input_tokens=9), QUESTION, answer(""), 4096).estimated


@pytest.mark.parametrize(
    ("counted", "expected"),
    [
        (None, Usage(input_tokens=10 + TOKENS_PER_TURN, output_tokens=5, estimated=True)),
        # Anthropic's first count of what it writes is a placeholder.
        (Usage(input_tokens=9, output_tokens=1), Usage(input_tokens=9, output_tokens=5, estimated=True)),
        (
            Usage(input_tokens=9, cached_input_tokens=4, output_tokens=7),
            Usage(input_tokens=9, cached_input_tokens=4, output_tokens=7, estimated=True),
        ),
    ],
    ids=["nothing counted", "a placeholder", "counted so far"],
)
def test_an_interrupted_answer_costs_what_was_counted_or_came(counted: Usage | None, expected: Usage) -> None:
    assert interrupted_usage(counted, QUESTION, answer(), 0, 0) == expected


def test_a_part_of_an_answer_in_one_piece_is_reckoned_by_its_size_and_the_limit_holds() -> None:
    bounded = GenerationInput(model="m", messages=QUESTION.messages, sampling=SamplingParams(max_output_tokens=30))
    part_bytes = WRAPPING_BYTES + 400
    assert interrupted_usage(None, QUESTION, answer(""), part_bytes, 0).output_tokens == 100
    assert interrupted_usage(None, bounded, answer(""), part_bytes, 0).output_tokens == 30
    assert interrupted_usage(None, QUESTION, answer(""), 80, 0).output_tokens == 0


@given(*[st.integers(-(2**70), 2**70)] * 5, st.integers(0, 10**6))
def test_whatever_an_upstream_says_the_figures_fit_the_contract(
    inputs: int, outputs: int, cached: int, written: int, reasoning: int, window: int
) -> None:
    said = Usage(
        input_tokens=inputs,
        output_tokens=outputs,
        cached_input_tokens=cached,
        cache_write_input_tokens=written,
        reasoning_tokens=reasoning,
    )
    settled = settled_usage(said, QUESTION, answer(), window)
    assert 0 < settled.input_tokens < 2**32
    assert 0 < settled.output_tokens < 2**32
    assert 0 <= settled.cached_input_tokens <= settled.input_tokens
    assert 0 <= settled.cache_write_input_tokens <= settled.input_tokens
    assert 0 <= settled.reasoning_tokens <= settled.output_tokens


@pytest.mark.parametrize(
    ("inputs", "outputs", "tokens"),
    [(10, 5, 15), (0, 0, None), (-10, 4, None), (4_000_000_000, 5, None), (90, 20, None)],
)
def test_what_a_limit_counts_is_what_the_upstream_says_where_that_can_be_true(
    inputs: int, outputs: int, tokens: int | None
) -> None:
    assert counted_tokens(Usage(input_tokens=inputs, output_tokens=outputs), 100) == tokens


def test_what_no_upstream_has_counted_is_not_known() -> None:
    assert counted_tokens(None, 100) is None


@pytest.mark.parametrize("said", [None, Usage(input_tokens=7, output_tokens=2**31)])
def test_an_answer_without_end_is_owed_for_no_more_than_its_window(said: Usage | None) -> None:
    endless = answer("word " * 10_000)
    assert interrupted_usage(said, QUESTION, endless, 10**9, 500).output_tokens == 500
