"""From a generation's input to the body of ``generateContent``: the same bytes for the same request, schemas verbatim."""

from __future__ import annotations

from typing import Any

import msgspec

from penstock_common.http.body import Body
from penstock_common.llm.types import (
    GenerationInput,
    JsonSchema,
    Opaque,
    SamplingParams,
    Tool,
    ToolChoice,
    ToolChoiceMode,
    UnsupportedFields,
)
from penstock_inference.adapters.providers.carried import Use, left_out
from penstock_inference.adapters.providers.gemini.contents import Conversation
from penstock_inference.adapters.providers.gemini.fields import add_extra, drop_hints
from penstock_inference.adapters.providers.gemini.manner import Manner
from penstock_inference.adapters.providers.gemini.reader import FORMAT
from penstock_inference.adapters.providers.gemini.table import table_for
from penstock_inference.adapters.providers.gemini.thinking import thinking_config
from penstock_inference.adapters.providers.http.large_data import LargeData
from penstock_inference.adapters.providers.http.verbatim import verbatim
from penstock_inference.domain.unsupported import FieldPolicy
from penstock_inference.domain.upstream import UpstreamCall

_ENCODER = msgspec.json.Encoder()
_SMALLEST_TOP_P = 1e-6
_SAMPLING = (
    (Use.TEMPERATURE, "temperature"), (Use.TOP_P, "topP"), (Use.TOP_K, "topK"), (Use.MAX_OUTPUT_TOKENS, "maxOutputTokens"),
    (Use.SEED, "seed"), (Use.FREQUENCY_PENALTY, "frequencyPenalty"), (Use.PRESENCE_PENALTY, "presencePenalty"),
)  # fmt: skip

_Object = dict[str, Any]


def body_of(call: UpstreamCall, manner: Manner, policy: FieldPolicy, *, by_budget: bool = False) -> bytes | Body:
    """Return the request's JSON; ``policy`` notes what is left out of it. ``by_budget``: see ``thinking_config``.

    Raises:
        AttemptFailed: UNSUPPORTED for what Gemini cannot be told, BAD_REQUEST for JSON that is none.
    """
    value, facts = call.input, call.facts
    without = left_out(_checked(value), table_for(facts, value.sampling.reasoning_effort), policy)
    data = LargeData()
    conversation = Conversation(value.messages, data, any_url=call.unsupported is UnsupportedFields.PASS)
    # The order in which inline data is encoded: instructions first.
    instruction = conversation.system_instruction()
    body: _Object = {"systemInstruction": instruction} if instruction else {}
    body["contents"] = conversation.contents()
    _add_tools(body, value, without, policy)
    if manner.safety:
        body["safetySettings"] = [{"category": name, "threshold": word} for name, word in manner.safety.items()]
    config = _generation_config(value, without)
    if Use.REASONING_EFFORT not in without:
        thinking = thinking_config(value.sampling.reasoning_effort, facts, policy, by_budget=by_budget)
        config |= {"thinkingConfig": thinking} if thinking else {}
    if config:
        body["generationConfig"] = config
    if value.extra_json:
        add_extra(body, value.extra_json, manner, policy)
    if value.hints_json:
        drop_hints(value.hints_json, policy)
    return data.body(_ENCODER.encode(body))


def _checked(value: GenerationInput) -> GenerationInput:
    """Return what the table decides of: that several calls at once are allowed need not be said."""
    choice = value.tool_choice
    if choice is None or not choice.parallel:
        return value
    return msgspec.structs.replace(value, tool_choice=msgspec.structs.replace(choice, parallel=None))


def _add_tools(body: _Object, value: GenerationInput, without: frozenset[Use], policy: FieldPolicy) -> None:
    functions: list[_Object] = []
    own: list[Any] = []
    for index, tool in enumerate(value.tools):
        path = f"input.tools[{index}]"
        if tool.opaque is None:
            functions.append(_function(tool, path))
        elif _is_sent(tool.opaque, path, policy):
            own.append(verbatim(tool.opaque.json, f"{path}.opaque.json"))
    tools = [*([{"functionDeclarations": functions}] if functions else []), *own]
    if tools:
        body["tools"] = tools
    is_strict = Use.STRICT_TOOLS not in without and any(tool.strict for tool in value.tools)
    config = _calling(_choice(value, without), is_strict=is_strict)
    if config and functions:
        body["toolConfig"] = {"functionCallingConfig": config}


def _is_sent(opaque: Opaque, path: str, policy: FieldPolicy) -> bool:
    why = f"is a tool of the format {opaque.format}"
    return opaque.format == FORMAT or policy.sends("tools", f"{path}.opaque", why)


def _function(tool: Tool, path: str) -> _Object:
    function: _Object = {"name": tool.name}
    if tool.description:
        function["description"] = tool.description
    if tool.parameters_json:
        function["parametersJsonSchema"] = verbatim(tool.parameters_json, f"{path}.parameters_json")
    return function


def _choice(value: GenerationInput, without: frozenset[Use]) -> ToolChoice:
    """Return the choice among tools, free where a model cannot be made to call one."""
    choice = value.tool_choice or ToolChoice()
    is_forced = choice.mode in (ToolChoiceMode.REQUIRED, ToolChoiceMode.NAMED)
    if is_forced and {Use.TOOL_CHOICE_REQUIRED, Use.TOOL_CHOICE_NAMED} & without:
        return ToolChoice(mode=ToolChoiceMode.AUTO, allowed_tools=choice.allowed_tools)
    return choice


def _calling(choice: ToolChoice, *, is_strict: bool) -> _Object:
    """Return the ``functionCallingConfig``; nothing where the model may do as it likes."""
    match choice.mode:
        case ToolChoiceMode.NONE:
            return {"mode": "NONE"}
        case ToolChoiceMode.NAMED:
            return {"mode": "ANY", "allowedFunctionNames": [choice.tool_name]}
        case ToolChoiceMode.REQUIRED:
            mode = "ANY"
        case _:
            # Names are taken with these two modes only.
            mode = "VALIDATED" if choice.allowed_tools or is_strict else "AUTO"
    if choice.allowed_tools:
        return {"mode": mode, "allowedFunctionNames": choice.allowed_tools}
    return {"mode": mode} if choice.mode is not None or is_strict else {}


def _generation_config(value: GenerationInput, without: frozenset[Use]) -> _Object:
    sampling, config = value.sampling, dict[str, Any]()
    for use, name in _SAMPLING:
        setting = getattr(sampling, use.value)
        if setting is not None and use not in without:
            config[name] = setting
    if config.get("topP") == 0:
        config["topP"] = _SMALLEST_TOP_P
    if sampling.stop and Use.STOP not in without:
        config["stopSequences"] = sampling.stop
    _add_answers_form(config, sampling)
    if value.response_format is not None and Use.JSON_SCHEMA not in without:
        config["responseMimeType"] = "application/json"
        wanted = value.response_format
        if isinstance(wanted, JsonSchema) and wanted.schema_json:
            path = "input.response_format.json_schema.schema_json"
            config["responseJsonSchema"] = verbatim(wanted.schema_json, path)
    return config


def _add_answers_form(config: _Object, sampling: SamplingParams) -> None:
    if sampling.choices is not None and sampling.choices > 1:
        config["candidateCount"] = sampling.choices
    if sampling.top_logprobs is not None:
        config["responseLogprobs"] = True
        if sampling.top_logprobs:
            config["logprobs"] = sampling.top_logprobs
