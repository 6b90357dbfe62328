"""One estimate of tokens: everything a model reads counts, wherever the bill is made."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock_common.llm.estimate import (
    BYTES_PER_PAGE,
    TOKENS_PER_IMAGE,
    TOKENS_PER_PAGE,
    TOKENS_PER_SMALL_IMAGE,
    TOKENS_PER_TURN,
    estimated_input_tokens,
    estimated_output_tokens,
    estimated_tokens,
)
from penstock_common.llm.events import Answer
from penstock_common.llm.types import (
    File,
    GenerationInput,
    Image,
    JsonSchema,
    Message,
    Reasoning,
    ReasoningDelta,
    Role,
    SamplingParams,
    Text,
    TextDelta,
    Tool,
    ToolCall,
    ToolCallDelta,
)

QUESTION = Message(role=Role.USER, parts=(Text(text="x" * 40),))


def asked(*parts, tools=(), response_format=None, turns=(), sampling=SamplingParams()):  # noqa: B008 - immutable
    messages = (*turns, Message(role=Role.USER, parts=parts or QUESTION.parts))
    return GenerationInput(
        model="m", messages=messages, tools=tools, response_format=response_format, sampling=sampling
    )


PLAIN = 10 + TOKENS_PER_TURN


@pytest.mark.parametrize(
    ("request_", "tokens"),
    [
        (asked(), PLAIN),
        (asked(Image(data=b"x")), TOKENS_PER_TURN + TOKENS_PER_IMAGE),
        (asked(Image(url="https://example.com/a.png", detail="high")), TOKENS_PER_TURN + TOKENS_PER_IMAGE),
        (asked(Image(data=b"x", detail="low")), TOKENS_PER_TURN + TOKENS_PER_SMALL_IMAGE),
        (asked(File(media_type="text/plain", data=b"y" * 41)), TOKENS_PER_TURN + 11),
        (asked(File(media_type="application/pdf", data=b"y" * (BYTES_PER_PAGE + 1))), TOKENS_PER_TURN + 2 * TOKENS_PER_PAGE),
        (asked(tools=(Tool(name="abcd", description="e" * 8, parameters_json="f" * 20),)), PLAIN + 8),
        (asked(response_format=JsonSchema(name="abcd", description="e" * 4, schema_json="f" * 12)), PLAIN + 5),
        (asked(turns=(Message(role=Role.SYSTEM, parts=(Text(text="s" * 9),)),)), PLAIN + TOKENS_PER_TURN + 3),
        (asked(turns=(Message(role=Role.ASSISTANT, parts=(Reasoning(text="abcde"),)),)), PLAIN + TOKENS_PER_TURN + 2),
        (
            asked(
                turns=(
                    Message(
                        role=Role.ASSISTANT, tool_calls=(ToolCall(id="1", name="abcd", arguments_json='{"a":1234}'),)
                    ),
                )
            ),
            PLAIN + TOKENS_PER_TURN + 4,
        ),
    ],
    ids=[
        "text", "image", "large image", "small image", "text file", "document", "tools", "schema", "system turn",
        "reasoning", "earlier call",
    ],
)  # fmt: skip
def test_everything_that_a_model_reads_counts(request_, tokens):
    assert estimated_input_tokens(request_) == tokens


def test_everything_that_a_model_writes_counts_up_to_what_it_may():
    answer = Answer()
    for event in (
        TextDelta(text="abcd" * 2),
        ReasoningDelta(text="efgh"),
        ToolCallDelta(index=0, id="call_1", name="weather", arguments_json_fragment='{"a"'),
    ):
        answer.add(event)
    assert estimated_output_tokens(asked(), answer) == 2 + 1 + 3
    assert estimated_output_tokens(asked(sampling=SamplingParams(max_output_tokens=4)), answer) == 4


@given(st.text(max_size=200), st.text(max_size=200))
def test_an_estimate_grows_with_the_text(first, second):
    assert estimated_tokens("") == 0
    assert estimated_tokens(first) == -(-len(first.encode()) // 4)
    assert (
        estimated_tokens(first)
        <= estimated_tokens(first + second)
        <= estimated_tokens(first) + estimated_tokens(second)
    )


def test_half_a_character_is_counted():
    assert estimated_tokens("\ud83d") == 1


def test_every_choice_counts_and_each_has_the_limit_of_its_own():
    answer = Answer()
    for choice in (0, 1, 2):
        answer.add(TextDelta(text="x" * 40, choice=choice))
    request = GenerationInput(model="m", messages=(), sampling=SamplingParams(choices=3, max_output_tokens=8))
    one = estimated_output_tokens(GenerationInput(model="m", messages=()), answer) // 3
    assert one == 10
    assert estimated_output_tokens(request, answer) == 24
