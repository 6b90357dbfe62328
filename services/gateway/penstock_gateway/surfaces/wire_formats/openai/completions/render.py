"""Renders answers in OpenAI's completions format, the older one: whole, or as server-sent events.

The format has no place for reasoning; what a model thinks before it answers
counts as output tokens and is not shown. Several prompts have their choices one
after another, in the prompts' order.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from penstock_common.llm.events import Answer
from penstock_common.llm.types import (
    ChoiceFinished,
    Finished,
    FinishReason,
    GenerationEvent,
    Started,
    TextDelta,
    Usage,
)
from penstock_gateway.surfaces.wire_formats.extension import extension_json
from penstock_gateway.surfaces.wire_formats.format import USUAL_FORM, AnswerForm, StreamSummary
from penstock_gateway.surfaces.wire_formats.openai.chat.render import DONE
from penstock_gateway.surfaces.wire_formats.openai.completions import wire
from penstock_gateway.surfaces.wire_formats.openai.completions.logprobs import text_logprobs
from penstock_gateway.surfaces.wire_formats.openai.usage import usage_json, usage_of
from penstock_gateway.surfaces.wire_formats.sse import on_one_line

_encode = msgspec.json.Encoder().encode


class TextChunkRenderer:
    """Renders one stream: ``render`` for each batch of events, then ``end`` once.

    The events of the next prompt's answer follow those of the one before.
    """

    def __init__(self, completion_id: str, created: int, include_usage: bool, form: AnswerForm = USUAL_FORM) -> None:
        self._completion_id = completion_id
        self._created = created
        self._include_usage = include_usage
        self._echo = list(form.echo)
        self._usage: Usage | None = None
        self._finished: Finished | None = None
        # By number, how many characters of each choice of the running answer were sent.
        self._sent = {0: 0}
        self._first_index = 0
        self._prompt = ""
        self._name_model("")

    def render(self, events: Sequence[GenerationEvent]) -> bytes:
        """Return the frames of the next events, b"" where they have none."""
        pieces: list[bytes] = []
        for event in events:
            if isinstance(event, TextDelta):
                self._add_text(event, pieces)
            elif isinstance(event, Started):
                self._begin(event, pieces)
            elif isinstance(event, Usage):
                self._usage = summed(self._usage, event)
            elif isinstance(event, ChoiceFinished):
                self._end_choice(event.choice, event.reason, pieces)
            elif isinstance(event, Finished):
                self._finished = costing(event, self._finished)
                # A recovery may have changed who answers.
                self._name_model(event.answered_by.model)
                self._end_choice(0, event.reason, pieces)
        return on_one_line(b"".join(pieces))

    def end(self, summary: StreamSummary) -> bytes:
        """Return the last frames: the usage chunk where it was asked for, and ``[DONE]``."""
        if not self._include_usage:
            return DONE
        usage, extension = usage_json(self._usage), extension_json(self._finished, summary)
        return b'%b],"usage":%b,"x_penstock":%b}\n\n%b' % (self._head, usage, extension, DONE)

    def _begin(self, event: Started, pieces: list[bytes]) -> None:
        self._name_model(event.answered_by.model)
        if self._finished is not None:
            # The answer to the next prompt.
            self._first_index += len(self._sent)
            self._sent = {0: 0}
        self._prompt = self._echo.pop(0) if self._echo else ""
        if self._prompt:
            self._add_text(TextDelta(text=self._prompt), pieces)

    def _add_text(self, event: TextDelta, pieces: list[bytes]) -> None:
        choice = event.choice
        if choice not in self._sent:
            self._sent[choice] = 0
            if self._prompt:
                self._add_text(TextDelta(text=self._prompt, choice=choice), pieces)
        told = text_logprobs(event.logprobs_json, self._sent[choice])
        self._sent[choice] += len(event.text)
        pieces += (self._head, b'{"text":', _encode(event.text), self._tail(choice, _encode(told), b"null"))

    def _end_choice(self, choice: int, reason: FinishReason, pieces: list[bytes]) -> None:
        self._sent.setdefault(choice, 0)
        pieces += (self._head, b'{"text":""', self._tail(choice, b"null", b'"%b"' % reason.value.encode()))

    def _name_model(self, model: str) -> None:
        self._head = b'data: {"id":%b,"object":"text_completion","created":%d,"model":%b,"choices":[' % (
            _encode(self._completion_id),
            self._created,
            _encode(model),
        )

    def _tail(self, choice: int, logprobs: bytes, finish_reason: bytes) -> bytes:
        usage = b',"usage":null' if self._include_usage else b""
        index = self._first_index + choice
        return b',"index":%d,"logprobs":%b,"finish_reason":%b}]%b}\n\n' % (index, logprobs, finish_reason, usage)


def render_text_completion(
    answers: Sequence[Answer], completion_id: str, created: int, form: AnswerForm = USUAL_FORM
) -> bytes:
    """Return the body of whole answers, one for each prompt; all are complete, ``created`` in Unix seconds."""
    choices: list[wire.TextChoice] = []
    usage: Usage | None = None
    model = ""
    for place, answer in enumerate(answers):
        finished = answer.finished
        if finished is None:
            raise ValueError("an answer without finished is not complete")
        model = finished.answered_by.model
        usage = usage if answer.usage is None else summed(usage, answer.usage)
        prompt = form.echo[place] if form.echo else ""
        for each, reason in ((answer, finished.reason), *((more, more.reason) for more in answer.more)):
            choices.append(
                wire.TextChoice(
                    text=prompt + each.text,
                    index=len(choices),
                    logprobs=text_logprobs(each.logprobs_json),
                    finish_reason=(reason or FinishReason.STOP).value,
                )
            )
    return _encode(
        wire.TextCompletion(id=completion_id, created=created, model=model, choices=choices, usage=usage_of(usage))
    )


def summed(before: Usage | None, usage: Usage) -> Usage:
    """Return the tokens of several answers."""
    if before is None:
        return usage
    return Usage(
        input_tokens=before.input_tokens + usage.input_tokens,
        output_tokens=before.output_tokens + usage.output_tokens,
        cached_input_tokens=before.cached_input_tokens + usage.cached_input_tokens,
        cache_write_input_tokens=before.cache_write_input_tokens + usage.cache_write_input_tokens,
        reasoning_tokens=before.reasoning_tokens + usage.reasoning_tokens,
        estimated=before.estimated or usage.estimated,
        cache_write_1h_input_tokens=before.cache_write_1h_input_tokens + usage.cache_write_1h_input_tokens,
    )


def costing(finished: Finished, before: Finished | None) -> Finished:
    """Return an answer's end with what the answers before it cost, too."""
    if before is None:
        return finished
    prices = finished.unit_prices
    if before.unit_prices.is_unknown:
        prices = msgspec.structs.replace(prices, is_unknown=True)
    cost_nano_usd = finished.cost_nano_usd + before.cost_nano_usd
    return msgspec.structs.replace(finished, cost_nano_usd=cost_nano_usd, unit_prices=prices)
