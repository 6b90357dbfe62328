"""Turns the bytes of a completions request, the older format, into the suite's vocabulary.

The prompt becomes one turn of the user: every model behind Penstock is a chat
model. As in ``chat/parse.py``, nothing is dropped in silence.
"""

from __future__ import annotations

from typing import Any

import msgspec

from penstock_common.errors import InvalidRequest, UnsupportedParameter
from penstock_common.llm.types import GenerationInput, Message, RequestContext, Role, SamplingParams, Text
from penstock_gateway.surfaces.wire_formats.format import ReadRequest
from penstock_gateway.surfaces.wire_formats.json_body import read_members, read_object
from penstock_gateway.surfaces.wire_formats.openai.completions import wire
from penstock_gateway.surfaces.wire_formats.openai.fields import stop_strings, verbatim_members, wants_usage

# https://platform.openai.com/docs/api-reference/completions/create
DEFAULT_MAX_TOKENS = 16

_REQUEST = msgspec.json.Decoder(wire.CompletionRequest)
_READ = frozenset(field.encode_name for field in msgspec.structs.fields(wire.CompletionRequest))
_ONLY: dict[str, tuple[Any, str]] = {
    "n": (1, "'n' must be 1: one answer a request."),
    "best_of": (1, "'best_of' must be 1: one answer a request."),
    "echo": (False, "'echo' is not supported; put the prompt before the answer yourself."),
    "logprobs": (None, "'logprobs' is not supported; leave it out."),
    "suffix": (None, "'suffix' is not supported; leave it out."),
}


def parse_completion_request(body: bytes) -> ReadRequest:
    """Return the request that the body holds.

    Raises:
        InvalidRequest: if the body is not JSON, or a field is missing or of the wrong type.
        UnsupportedParameter: if a field asks for what Penstock cannot do.
    """
    members = read_members(body)
    request = read_object(_REQUEST, body)
    for name, (only, reason) in _ONLY.items():
        if getattr(request, name) not in (None, only):
            raise UnsupportedParameter(reason, parameter=name)
    turn = Message(role=Role.USER, parts=(Text(text=_prompt(request.prompt)),))
    return ReadRequest(
        input=GenerationInput(
            model=request.model,
            messages=(turn,),
            sampling=_sampling(request),
            extra_json=verbatim_members(members, [name for name in members if name not in _READ]),
        ),
        context=RequestContext(user=request.user or ""),
        stream=request.stream is True,
        include_usage=wants_usage(request.stream_options, stream=request.stream is True),
    )


def _prompt(prompt: str | list[str | int | list[int]]) -> str:
    if isinstance(prompt, str):
        return prompt
    if not prompt:
        raise InvalidRequest("'prompt' must be a string, but is an empty array.", field="prompt")
    first = prompt[0]
    if not isinstance(first, str):
        raise UnsupportedParameter("'prompt' as an array of tokens is not supported; send text.", parameter="prompt")
    if len(prompt) > 1:
        raise UnsupportedParameter(
            f"'prompt' must be one text, not {len(prompt)}: send a request for each.", parameter="prompt"
        )
    return first


def _sampling(request: wire.CompletionRequest) -> SamplingParams:
    return SamplingParams(
        temperature=request.temperature,
        top_p=request.top_p,
        top_k=request.top_k,
        max_output_tokens=DEFAULT_MAX_TOKENS if request.max_tokens is None else request.max_tokens,
        stop=stop_strings(request.stop),
        seed=request.seed,
        frequency_penalty=request.frequency_penalty,
        presence_penalty=request.presence_penalty,
    )
