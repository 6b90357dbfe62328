"""Renders a whole answer as a response."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from penstock_common.llm.events import Answer
from penstock_common.llm.types import (
    GenerationEvent,
    Opaque,
    OpaqueDelta,
    Reasoning,
    ReasoningDelta,
    Text,
    TextDelta,
    ToolCall,
    ToolCallDelta,
)
from penstock_gateway.surfaces.wire_formats.beside import with_unread
from penstock_gateway.surfaces.wire_formats.format import AnswerForm
from penstock_gateway.surfaces.wire_formats.openai.responses.form import ResponseForm
from penstock_gateway.surfaces.wire_formats.openai.responses.items import FORMAT
from penstock_gateway.surfaces.wire_formats.openai.responses.output import output_of
from penstock_gateway.surfaces.wire_formats.openai.responses.response import ID_PREFIX, ended, is_complete

_encode = msgspec.json.Encoder().encode


def render_response(answers: Sequence[Answer], response_id: str, created: int, form: AnswerForm) -> bytes:
    """Return the body of a whole answer, of which there is one, complete."""
    (answer,), finished = answers, answers[0].finished
    assert isinstance(form, ResponseForm), "a form of this format's"
    if finished is None:
        raise ValueError("an answer without finished is not complete")
    told = response_id, created, finished.answered_by.model
    response = ended(told, form, finished, answer.usage, items_of_answer(answer, response_id, form))
    return with_unread(_encode(response), finished, FORMAT)


def items_of_answer(answer: Answer, response_id: str, form: ResponseForm) -> Sequence[Any]:
    """Return the items of a complete answer."""
    whole = answer.finished is not None and is_complete(answer.finished)
    return output_of(list(_events(answer)), response_id.removeprefix(ID_PREFIX), form, is_whole=whole).items


def _events(answer: Answer) -> Iterator[GenerationEvent]:
    """Yield what an answer is the sum of, each part of it in one piece."""
    calls = list(enumerate(answer.tool_calls))
    logprobs = answer.logprobs_json if answer.logprobs else ""
    for place, part in enumerate(answer.parts):
        while calls and calls[0][1].parts_before is not None and calls[0][1].parts_before <= place:
            yield _call(*calls.pop(0))
        if isinstance(part, Text):
            yield TextDelta(
                text=part.text,
                citations_json=part.citations_json,
                logprobs_json=logprobs,
                is_refusal=answer.is_refusal,
            )
            # Nobody told which of several texts they are of.
            logprobs = ""
        elif isinstance(part, Reasoning):
            yield ReasoningDelta(
                text=part.text,
                signature=part.signature,
                hidden=part.hidden,
                extra_json=part.extra_json,
                origin=part.origin,
            )
        elif isinstance(part, Opaque):
            yield OpaqueDelta(block=part)
    for index, call in calls:
        yield _call(index, call)


def _call(index: int, call: ToolCall) -> ToolCallDelta:
    return ToolCallDelta(
        index=index,
        id=call.id,
        name=call.name,
        arguments_json_fragment=call.arguments_json,
        extra_json=call.extra_json,
        is_custom=call.is_custom,
        origin=call.origin,
    )
