"""Turns the bytes of a Messages request into the suite's vocabulary.

Only shape and types are checked here; sizes and ranges are the domain's, once for every surface. What Penstock does not
know travels on verbatim. How much a model is to think is told in the suite's own word, an effort, so that models of every
provider can be told; a budget of tokens becomes the effort that is nearest.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from penstock_common.errors import InvalidRequest
from penstock_common.llm.estimate import estimated_input_tokens
from penstock_common.llm.types import GenerationInput, JsonSchema, RequestContext, SamplingParams
from penstock_gateway.surfaces.wire_formats.anthropic.messages import request_wire as wire
from penstock_gateway.surfaces.wire_formats.anthropic.messages.tools import choice_of, is_own, tools_of
from penstock_gateway.surfaces.wire_formats.anthropic.messages.turns import system_of, turns_of
from penstock_gateway.surfaces.wire_formats.format import AnswerForm, ReadRequest
from penstock_gateway.surfaces.wire_formats.json_body import check_json, read_members, read_object, shortened

_REQUEST = msgspec.json.Decoder(wire.MessagesRequest)
_VERBATIM = msgspec.json.Decoder(wire.VerbatimRequest)
_MEMBERS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_encode = msgspec.json.Encoder().encode

_CHOICES = {
    "messages[].role": "'user', 'assistant' or 'system'",
    "messages[].content[].cache_control.type": "'ephemeral'",
    "messages[].content[].cache_control.ttl": "'5m' or '1h'",
    "system[].type": "'text'",
    "system[].cache_control.ttl": "'5m' or '1h'",
    "tools[].cache_control.ttl": "'5m' or '1h'",
    "tool_choice.type": "'auto', 'any', 'tool' or 'none'",
    "output_config.format.type": "'json_schema'",
}
_READ = frozenset(field.encode_name for field in msgspec.structs.fields(wire.MessagesRequest))
_READ_OF_CONFIG = frozenset({"effort", "format"})
_USUAL_TIERS = (None, "auto", "standard_only")
# The largest budget of thinking that an effort stands for.
_EFFORTS = ((2_048, "low"), (8_192, "medium"))
_MOST_USER_CHARACTERS = 256
_BETA_FIELD = "anthropic_beta"


def parse_messages_request(body: bytes) -> ReadRequest:
    """Return the request that the body holds.

    Raises:
        InvalidRequest: if the body is not JSON, or a field is missing or of the wrong type.
    """
    request, members = _read(body)
    if request.max_tokens is None:
        raise InvalidRequest("'max_tokens' is required, but it is missing.", field="max_tokens")
    read = _input(request, members, body)
    user = request.metadata.user_id if request.metadata is not None else None
    return ReadRequest(
        input=read,
        context=RequestContext(user=user if user and len(user) <= _MOST_USER_CHARACTERS else ""),
        stream=request.stream is True,
        include_usage=True,
        form=AnswerForm(input_tokens=estimated_input_tokens(read)) if request.stream else AnswerForm(),
    )


def parse_counting_request(body: bytes) -> GenerationInput:
    """Return the input whose tokens are to be counted; raises what ``parse_messages_request`` raises."""
    return _input(*_read(body), body)


def with_betas(read: ReadRequest, headers: Mapping[str, str]) -> ReadRequest:
    """Return the request with what its headers ask for: ``anthropic-beta`` is for a provider of this format."""
    betas = [beta.strip() for beta in headers.get("anthropic-beta", "").split(",") if beta.strip()]
    if not betas:
        return read
    asked = read.input
    extra = _MEMBERS.decode(asked.extra_json) if asked.extra_json else {}
    extra[_BETA_FIELD] = msgspec.Raw(_encode(betas))
    told = msgspec.structs.replace(asked, extra_json=_encode(extra).decode())
    return msgspec.structs.replace(read, input=told)


def _read(body: bytes) -> tuple[wire.MessagesRequest, dict[str, msgspec.Raw]]:
    members = read_members(body)
    for field in ("model", "messages"):
        if field not in members:
            raise InvalidRequest(f"'{field}' is required, but it is missing.", field=field)
    return read_object(_REQUEST, body, _CHOICES), members


def _input(request: wire.MessagesRequest, members: dict[str, msgspec.Raw], body: bytes) -> GenerationInput:
    verbatim: list[wire.VerbatimRequest] = []

    def as_written() -> wire.VerbatimRequest:
        # Few requests have anything of which only the provider knows.
        if not verbatim:
            verbatim.append(read_object(_VERBATIM, body))
        return verbatim[0]

    def block(turn: int, place: int) -> msgspec.Raw:
        content = as_written().messages[turn].content
        assert not isinstance(content, str), "a block of a turn that has none"
        return content[place]

    tools = request.tools or ()
    raw_tools = as_written().tools or () if any(map(is_own, tools)) else ()
    return GenerationInput(
        model=request.model,
        messages=(*(system_of(request.system) if request.system else ()), *turns_of(request.messages, block)),
        tools=tools_of(tools, raw_tools) if tools else (),
        tool_choice=choice_of(request.tool_choice),
        sampling=SamplingParams(
            temperature=request.temperature,
            top_p=request.top_p,
            top_k=request.top_k,
            max_output_tokens=request.max_tokens,
            stop=tuple(request.stop_sequences or ()),
            reasoning_effort=_effort(request),
        ),
        response_format=_format(request.output_config),
        extra_json=_extra(request, members),
        hints_json=_hints(request, members),
    )


def _effort(request: wire.MessagesRequest) -> str:
    if request.output_config is not None and request.output_config.effort:
        return request.output_config.effort
    thinking = request.thinking
    if thinking is None or thinking.type == "adaptive":
        return ""
    if thinking.type == "disabled":
        return "none"
    budget = thinking.budget_tokens
    if budget is None:
        return ""
    return next((effort for most, effort in _EFFORTS if budget <= most), "high")


def _format(config: wire.OutputConfig | None) -> JsonSchema | None:
    if config is None or config.format is None:
        return None
    check_json(config.format.schema, "output_config.format.schema")
    return JsonSchema(name="answer", schema_json=bytes(config.format.schema).decode(), strict=True)


def _extra(request: wire.MessagesRequest, members: dict[str, msgspec.Raw]) -> str:
    """Return one object of what Penstock does not read, as written, or ''."""
    names = [name for name in members if name not in _READ]
    extra = {name: members[name] for name in names if bytes(members[name]) != b"null"}
    if request.output_config is not None and (rest := _rest_of_config(members["output_config"])):
        extra["output_config"] = msgspec.Raw(_encode(rest))
    if request.service_tier not in _USUAL_TIERS:
        extra["service_tier"] = members["service_tier"]
    for name, value in extra.items():
        check_json(value, shortened(name))
    return _encode(extra).decode() if extra else ""


def _rest_of_config(config: msgspec.Raw) -> dict[str, msgspec.Raw]:
    return {name: value for name, value in _MEMBERS.decode(config).items() if name not in _READ_OF_CONFIG}


def _hints(request: wire.MessagesRequest, members: dict[str, msgspec.Raw]) -> str:
    if request.metadata is None or not request.metadata.user_id:
        return ""
    return _encode({"metadata": members["metadata"]}).decode()
