"""Turns the bytes of a completions request, the older format, into the suite's vocabulary.

A prompt becomes one turn of the user: every model behind Penstock is a chat
model. Several prompts are several requests, asked one after another. As in
``chat/parse.py``, nothing is dropped in silence.
"""

from __future__ import annotations

import msgspec

from penstock_common.errors import InvalidRequest, UnsupportedParameter
from penstock_common.llm.hints import HINTS
from penstock_common.llm.types import GenerationInput, Message, RequestContext, Role, SamplingParams, Text
from penstock_gateway.surfaces.wire_formats.format import USUAL_FORM, AnswerForm, ReadRequest
from penstock_gateway.surfaces.wire_formats.json_body import read_members, read_object
from penstock_gateway.surfaces.wire_formats.openai.completions import wire
from penstock_gateway.surfaces.wire_formats.openai.fields import (
    hints_in,
    stop_strings,
    verbatim_members,
    wants_usage,
    whole_number,
)

# https://platform.openai.com/docs/api-reference/completions/create
DEFAULT_MAX_TOKENS = 16

_REQUEST = msgspec.json.Decoder(wire.CompletionRequest)
_READ = frozenset(field.encode_name for field in msgspec.structs.fields(wire.CompletionRequest)) | HINTS
MAX_PROMPTS = 128
"""Each is a request of its own: the bound is on how long one caller may keep a connection busy."""


def parse_completion_request(body: bytes) -> ReadRequest:
    """Return the request that the body holds.

    Raises:
        InvalidRequest: if the body is not JSON, or a field is missing or of the wrong type.
        UnsupportedParameter: if a field asks for what Penstock cannot do.
    """
    members = read_members(body)
    request = read_object(_REQUEST, body)
    _refuse_what_is_not_carried(request)
    prompts = _prompts(request.prompt)
    sampling, extra, hints = _sampling(request), _extra_json(members), hints_in(members)
    first, *more = [
        GenerationInput(
            model=request.model,
            messages=(Message(role=Role.USER, parts=(Text(text=prompt),)),),
            sampling=sampling,
            extra_json=extra,
            hints_json=hints,
        )
        for prompt in prompts
    ]
    return ReadRequest(
        input=first,
        context=RequestContext(user=request.user or ""),
        stream=request.stream is True,
        include_usage=wants_usage(request.stream_options, stream=request.stream is True),
        more_inputs=tuple(more),
        form=AnswerForm(echo=prompts) if request.echo else USUAL_FORM,
    )


def _refuse_what_is_not_carried(request: wire.CompletionRequest) -> None:
    if request.suffix:
        raise UnsupportedParameter(
            "'suffix' is not supported: models answer, and fill in nothing. Leave it out.", parameter="suffix"
        )
    if request.best_of is not None and request.best_of != (request.n or 1):
        raise UnsupportedParameter(
            "'best_of' must be 'n', or be left out: every answer is given, and none picked.", parameter="best_of"
        )
    if request.echo and request.logprobs is not None:
        raise UnsupportedParameter(
            "'echo' with 'logprobs' is not supported: models do not say how probable a prompt is. Leave one out.",
            parameter="echo",
        )


def _extra_json(members: dict[str, msgspec.Raw]) -> str:
    names = [name for name in members if name not in _READ]
    return verbatim_members(members, names) if names else ""


def _prompts(prompt: str | list[str | int | list[int]]) -> tuple[str, ...]:
    if isinstance(prompt, str):
        return (prompt,)
    if not 1 <= len(prompt) <= MAX_PROMPTS:
        raise InvalidRequest(
            f"'prompt' must be a string, or an array of 1 to {MAX_PROMPTS} of them, not of {len(prompt)}.",
            field="prompt",
        )
    prompts = tuple([text for text in prompt if isinstance(text, str)])
    if len(prompts) < len(prompt):
        raise UnsupportedParameter("'prompt' as an array of tokens is not supported; send text.", parameter="prompt")
    return prompts


def _sampling(request: wire.CompletionRequest) -> SamplingParams:
    limit = whole_number(request.max_tokens, "max_tokens")
    return SamplingParams(
        temperature=request.temperature,
        top_p=request.top_p,
        top_k=request.top_k,
        max_output_tokens=DEFAULT_MAX_TOKENS if limit is None else limit,
        stop=stop_strings(request.stop),
        seed=request.seed,
        frequency_penalty=request.frequency_penalty,
        presence_penalty=request.presence_penalty,
        top_logprobs=request.logprobs,
        choices=None if request.n == 1 else request.n,
    )
