"""Turns the bytes of a Responses request into the suite's vocabulary.

Only shape and types are checked here; sizes and ranges are the domain's, once for every surface. What no answer of ours could
carry is refused by name; what Penstock does not know travels on verbatim.
"""

from __future__ import annotations

import msgspec

from penstock_common.errors import InvalidRequest, UnsupportedParameter
from penstock_common.llm.hints import HINTS
from penstock_common.llm.types import (
    GenerationInput,
    JsonObject,
    JsonSchema,
    Message,
    RequestContext,
    ResponseFormat,
    Role,
    SamplingParams,
    Text,
)
from penstock_gateway.surfaces.wire_formats.format import ReadRequest
from penstock_gateway.surfaces.wire_formats.json_body import check_json, read_members, read_object, shortened
from penstock_gateway.surfaces.wire_formats.openai.chat.prompt import prompt_of
from penstock_gateway.surfaces.wire_formats.openai.chat.turns import verbatim_object
from penstock_gateway.surfaces.wire_formats.openai.fields import hints_in, is_null, whole_number
from penstock_gateway.surfaces.wire_formats.openai.knowledge import CHOICES, use_of
from penstock_gateway.surfaces.wire_formats.openai.responses import request_wire as wire
from penstock_gateway.surfaces.wire_formats.openai.responses.echo import members_of
from penstock_gateway.surfaces.wire_formats.openai.responses.form import (
    ENCRYPTED_REASONING,
    INCLUDABLE,
    LOGPROBS,
    ResponseForm,
)
from penstock_gateway.surfaces.wire_formats.openai.responses.items import check_outputs, messages_of
from penstock_gateway.surfaces.wire_formats.openai.responses.namespaces import names_within
from penstock_gateway.surfaces.wire_formats.openai.responses.state import kept_of
from penstock_gateway.surfaces.wire_formats.openai.responses.tools import choice_of, tools_of

_REQUEST = msgspec.json.Decoder(wire.ResponsesRequest)
_ITEMS = msgspec.json.Decoder(wire.VerbatimItems)
_TOOLS = msgspec.json.Decoder(wire.VerbatimRequest)
_encode = msgspec.json.Encoder().encode

_CHOICES = {
    "text.format.type": "one of 'text', 'json_object' and 'json_schema'",
    "truncation": "'auto' or 'disabled'",
    "tool_choice.mode": "'auto' or 'required'",
    **CHOICES,
}
_READ = (
    frozenset(field.encode_name for field in msgspec.structs.fields(wire.ResponsesRequest)) - {"max_tool_calls"}
) | HINTS
# Keeping answers is ours to do.
_TOLD = HINTS - {"store"}
_DEFAULT_SERVICE_TIERS = (None, "auto", "default")


def parse_responses_request(body: bytes) -> ReadRequest:
    """Return the request that the body holds.

    Raises:
        InvalidRequest: if the body is not JSON, or a field is missing or of the wrong type.
        UnsupportedParameter: if a field asks for what Penstock cannot do.
    """
    members = read_members(body)
    request = read_object(_REQUEST, body, _CHOICES)
    _check(request)
    raw_tools = read_object(_TOOLS, body).tools or () if request.tools else ()
    tools = tools_of(request.tools, raw_tools) if request.tools else ()
    include, messages, kept = request.include or (), _messages(request, body), kept_of(request, members)
    if kept is None or not (kept.previous or kept.refers):
        check_outputs(messages)
    return ReadRequest(
        input=GenerationInput(
            model=request.model,
            messages=messages,
            tools=tools,
            tool_choice=choice_of(request.tool_choice, request.parallel_tool_calls, tools),
            sampling=_sampling(request),
            response_format=_response_format(request.text),
            extra_json=_extra_json(request, members),
            hints_json=_hints(members) if _TOLD & members.keys() else "",
        ),
        context=RequestContext(
            user=request.user or request.safety_identifier or "",
            tags=request.metadata or {},
        ),
        stream=request.stream is True,
        include_usage=True,
        form=ResponseForm(
            model=request.model,
            members=members_of(request, raw_tools),
            namespaces=names_within(request.tools) if request.tools else {},
            with_encrypted=ENCRYPTED_REASONING in include,
            with_summary=_wants_summary(request),
            with_logprobs=LOGPROBS in include or bool(request.top_logprobs),
        ),
        prompt=None if request.prompt is None else prompt_of(request.prompt),
        knowledge=None if request.knowledge is None else use_of(request.knowledge),
        kept=kept,
    )


def _check(request: wire.ResponsesRequest) -> None:
    for field in ("model", "input"):
        if not getattr(request, field) and request.prompt is None:
            raise InvalidRequest(f"'{field}' is required, but it is missing or empty.", field=field)
    for value in request.include or ():
        if value not in INCLUDABLE:
            known = ", ".join(sorted(INCLUDABLE))
            raise InvalidRequest(f"'include' holds '{shortened(value)}'; it may hold {known}.", field="include")
    if request.stream_options is not None and request.stream is not True:
        raise InvalidRequest("'stream_options' is only allowed with 'stream': true.", field="stream_options")
    if request.stream_options is not None and request.stream_options.include_obfuscation:
        name = "stream_options.include_obfuscation"
        raise UnsupportedParameter(f"'{name}' is not supported; leave it out or set it to false.", parameter=name)


def _messages(request: wire.ResponsesRequest, body: bytes) -> tuple[Message, ...]:
    messages: list[Message] = []
    if request.instructions:
        messages.append(Message(role=Role.SYSTEM, parts=(Text(text=request.instructions),)))
    if isinstance(request.input, str):
        if request.input:
            messages.append(Message(role=Role.USER, parts=(Text(text=request.input),)))
    elif request.input:
        verbatim: list[list[msgspec.Raw]] = []

        def as_written(index: int) -> msgspec.Raw:
            # Few requests have anything of which only the provider knows.
            if not verbatim:
                verbatim.append(read_object(_ITEMS, body).input)
            return verbatim[0][index]

        messages += messages_of(request.input, as_written)
    return tuple(messages)


def _sampling(request: wire.ResponsesRequest) -> SamplingParams:
    most = request.max_output_tokens
    wants_logprobs = request.top_logprobs is not None or LOGPROBS in (request.include or ())
    return SamplingParams(
        temperature=request.temperature,
        top_p=request.top_p,
        max_output_tokens=None if most is None else whole_number(most, "max_output_tokens"),
        frequency_penalty=request.frequency_penalty,
        presence_penalty=request.presence_penalty,
        reasoning_effort=(request.reasoning.effort or "") if request.reasoning is not None else "",
        top_logprobs=(request.top_logprobs or 0) if wants_logprobs else None,
    )


def _wants_summary(request: wire.ResponsesRequest) -> bool:
    asked = request.reasoning
    return asked is not None and bool(asked.summary or asked.generate_summary)


def _response_format(text: wire.TextConfig | None) -> ResponseFormat | None:
    wanted = None if text is None else text.format
    if wanted is None or wanted.type == "text":
        return None
    if wanted.type == "json_object":
        return JsonObject()
    if wanted.name is None:
        raise InvalidRequest("'text.format.name' is required, but it is missing.", field="text.format.name")
    return JsonSchema(
        name=wanted.name,
        schema_json=verbatim_object(wanted.schema, "text.format.schema"),
        strict=wanted.strict,
        description=wanted.description or "",
    )


def _hints(members: dict[str, msgspec.Raw]) -> str:
    return hints_in({name: value for name, value in members.items() if name in _TOLD})


def _extra_json(request: wire.ResponsesRequest, members: dict[str, msgspec.Raw]) -> str:
    """Return one object of all members that Penstock does not read, as written, or ''."""
    extra = {name: value for name, value in members.items() if name not in _READ and not is_null(value)}
    if request.service_tier not in _DEFAULT_SERVICE_TIERS:
        extra["service_tier"] = members["service_tier"]
    if request.truncation == "auto":
        extra["truncation"] = members["truncation"]
    if request.text is not None and request.text.verbosity:
        extra["verbosity"] = msgspec.Raw(_encode(request.text.verbosity))
    if request.reasoning is not None and (summary := request.reasoning.summary or request.reasoning.generate_summary):
        extra["reasoning_summary"] = msgspec.Raw(_encode(summary))
    if include := [wanted for wanted in request.include or () if wanted not in (ENCRYPTED_REASONING, LOGPROBS)]:
        extra["include"] = msgspec.Raw(_encode(include))
    for name, value in extra.items():
        check_json(value, shortened(name))
    return _encode(extra).decode() if extra else ""
