"""From a generation's input to the body of Ollama's ``POST /api/chat``.

https://docs.ollama.com/api/chat. Schemas and arguments go verbatim.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from penstock_common.http.body import Body
from penstock_common.llm.hints import HINTS
from penstock_common.llm.types import (
    GenerationInput,
    Image,
    JsonObject,
    Message,
    Reasoning,
    ResponseFormat,
    Role,
    Tool,
    ToolChoiceMode,
)
from penstock_inference.adapters.providers.carried import Use, left_out, uses_of
from penstock_inference.adapters.providers.http.large_data import LargeData
from penstock_inference.adapters.providers.http.verbatim import arguments_of, members, verbatim_object
from penstock_inference.adapters.providers.ollama.table import TABLE
from penstock_inference.adapters.providers.openai.fields import READ
from penstock_inference.domain.failure import unsupported
from penstock_inference.domain.model_facts import ModelFacts
from penstock_inference.domain.tiers import is_tier_field
from penstock_inference.domain.unsupported import FieldPolicy

_ENCODER = msgspec.json.Encoder()
_NO_PARAMETERS = {"type": "object", "properties": dict[str, object]()}
_SAMPLING = (
    ("temperature", "temperature"), ("top_p", "top_p"), ("top_k", "top_k"), ("seed", "seed"),
    ("frequency_penalty", "frequency_penalty"), ("presence_penalty", "presence_penalty"),
    ("num_predict", "max_output_tokens"),
)  # fmt: skip
# https://docs.ollama.com/modelfile: what shapes one answer. What reaches for the server itself (num_ctx, num_gpu) is not here.
OPTIONS = frozenset({"min_p", "repeat_last_n", "repeat_penalty", "typical_p"})
"""Fields that a caller may set, beside those that the contract has."""
_NOT_THE_CALLERS = READ | {"format", "keep_alive", "options", "think"}
_WITHOUT_A_PLACE = (Use.LOGPROBS, Use.TOOL_CHOICE_REQUIRED, Use.TOOL_CHOICE_NAMED, Use.PARALLEL_TOOLS)
_WORDS = {"minimal": "low", "xhigh": "high"}
_ROLES = {Role.DEVELOPER: "system"}


class Room(msgspec.Struct, frozen=True):
    """What the server is told of itself: ``num_ctx`` 0 and ``keep_alive`` '' leave it to it."""

    num_ctx: int = 0
    keep_alive: str = ""
    passthrough: bool = False


def body_from_input(
    value: GenerationInput, model: str, room: Room, facts: ModelFacts, policy: FieldPolicy, *, whole: bool = False
) -> bytes | Body:
    """Return the request's JSON, in which large data is written only as it is sent.

    Raises:
        AttemptFailed: UNSUPPORTED for a field this upstream cannot honour, BAD_REQUEST for JSON that is none.
    """
    choice = value.tool_choice
    if choice is not None and choice.parallel is True:
        # As every model does by itself.
        value = msgspec.structs.replace(value, tool_choice=msgspec.structs.replace(choice, parallel=None))
    left_out(value, TABLE, policy)
    uses = uses_of(value)
    for use in _WITHOUT_A_PLACE:
        if use in uses:
            policy.drop(use.value)
    large = LargeData()
    body: dict[str, Any] = {"model": model, "messages": _turns(value.messages, large)}
    if tools := _tools(value, policy):
        body["tools"] = tools
    if value.response_format is not None:
        body["format"] = _format(value.response_format)
    if value.sampling.reasoning_effort:
        body["think"] = _think(value.sampling.reasoning_effort, facts)
    options = _options(value, room, facts, policy)
    _add_extra(body, options, value, room, policy)
    if options:
        body["options"] = options
    body["stream"] = not whole
    if room.keep_alive:
        is_number = room.keep_alive.removeprefix("-").isdecimal()
        body["keep_alive"] = int(room.keep_alive) if is_number else room.keep_alive
    return large.body(_ENCODER.encode(body))


def _turns(messages: tuple[Message, ...], large: LargeData) -> list[dict[str, Any]]:
    names = {call.id: call.name for message in messages for call in message.tool_calls}
    return [_turn(message, names, large) for message in messages]


def _turn(message: Message, names: Mapping[str, str], large: LargeData) -> dict[str, Any]:
    text = f"Error: {message.text}" if message.is_error else message.text
    turn: dict[str, Any] = {"role": _ROLES.get(message.role, message.role.value), "content": text}
    if thinking := "".join(part.text for part in message.parts if isinstance(part, Reasoning)):
        turn["thinking"] = thinking
    if images := [large.base64(part.data) for part in message.parts if isinstance(part, Image)]:
        turn["images"] = images
    if message.tool_calls:
        turn["tool_calls"] = [
            {"function": {"name": call.name, "arguments": arguments_of(call)}} for call in message.tool_calls
        ]
    if message.role is Role.TOOL:
        turn["tool_name"] = names.get(message.tool_call_id, message.name)
    return turn


def _tools(value: GenerationInput, policy: FieldPolicy) -> list[dict[str, Any]]:
    choice = value.tool_choice
    if choice is not None and choice.mode is ToolChoiceMode.NONE:
        return []
    allowed = choice.allowed_tools if choice is not None else ()
    told: list[dict[str, Any]] = []
    for index, tool in enumerate(value.tools):
        if tool.opaque is not None:
            policy.drop(f"tool {tool.name}")
        elif not allowed or tool.name in allowed:
            told.append({"type": "function", "function": _function(tool, f"input.tools[{index}]")})
    return told


def _function(tool: Tool, path: str) -> dict[str, Any]:
    function: dict[str, Any] = {"name": tool.name}
    if tool.description:
        function["description"] = tool.description
    parameters = tool.parameters_json
    function["parameters"] = verbatim_object(parameters, f"{path}.parameters_json") if parameters else _NO_PARAMETERS
    return function


def _format(wanted: ResponseFormat) -> object:
    if isinstance(wanted, JsonObject) or not wanted.schema_json:
        return "json"
    return verbatim_object(wanted.schema_json, "input.response_format.json_schema.schema_json")


def _think(effort: str, facts: ModelFacts) -> bool | str:
    if effort == "none":
        return False
    word = _WORDS.get(effort, effort)
    if facts.efforts and word not in facts.efforts:
        return True
    return word


def _options(value: GenerationInput, room: Room, facts: ModelFacts, policy: FieldPolicy) -> dict[str, Any]:
    sampling = value.sampling
    options: dict[str, Any] = {"num_ctx": room.num_ctx} if room.num_ctx else {}
    for name, ours in _SAMPLING:
        setting = getattr(sampling, ours)
        if setting is not None and _takes(ours, sampling.reasoning_effort, facts, policy):
            options[name] = setting
    if sampling.stop and _takes("stop", sampling.reasoning_effort, facts, policy):
        options["stop"] = sampling.stop
    return options


def _takes(name: str, effort: str, facts: ModelFacts, policy: FieldPolicy) -> bool:
    if name == "max_output_tokens" or facts.takes_sampling(name, effort):
        return True
    return policy.sends(name, f"input.sampling.{name}", "is not taken by the model")


def _add_extra(
    body: dict[str, Any], options: dict[str, Any], value: GenerationInput, room: Room, policy: FieldPolicy
) -> None:
    for name, setting in members(value.extra_json, "extra_json").items():
        path = f"input.extra_json.{name}"
        if name in _NOT_THE_CALLERS or is_tier_field(name):
            raise unsupported(path, "is not a caller's to set")
        if name in OPTIONS:
            options[name] = setting
        elif room.passthrough or policy.sends(name, path):
            body[name] = setting
    for name, setting in members(value.hints_json, "hints_json").items():
        if name not in HINTS:
            raise unsupported(f"input.hints_json.{name}", "is no hint")
        if bytes(setting) != b"false":
            # Who does not know of storing does not store.
            policy.drop(name)
