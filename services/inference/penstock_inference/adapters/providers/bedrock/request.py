"""From a generation's input to the body of ``POST /model/{id}/converse`` and ``/converse-stream``.

https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html; the names and types are those of
botocore 1.44. Schemas and arguments go verbatim.
"""

from __future__ import annotations

from typing import Any

import msgspec

from penstock_common.http.body import Body
from penstock_common.llm.hints import HINTS
from penstock_common.llm.types import (
    GenerationInput,
    JsonSchema,
    Reasoning,
    Role,
    Tool,
    ToolChoice,
    ToolChoiceMode,
)
from penstock_inference.adapters.providers.bedrock.table import TABLE
from penstock_inference.adapters.providers.bedrock.thinking import thinking_of
from penstock_inference.adapters.providers.bedrock.turns import (
    FORMAT,
    Block,
    Turns,
    cache_point,
    opaque_block,
)
from penstock_inference.adapters.providers.carried import Use, left_out, uses_of
from penstock_inference.adapters.providers.http.large_data import LargeData
from penstock_inference.adapters.providers.http.verbatim import members, verbatim, verbatim_object
from penstock_inference.domain.failure import AttemptFailed, FailureKind, unsupported
from penstock_inference.domain.model_facts import ModelFacts, ThinkingBound
from penstock_inference.domain.tiers import STANDARD, is_tier_field
from penstock_inference.domain.unsupported import FieldPolicy

_ENCODER = msgspec.json.Encoder()
_WORDS = msgspec.json.Decoder(list[str])
_WORD = msgspec.json.Decoder(str)
_STOP_POINTER = "/stop_sequence"
"""Where models say which stop string they met."""
_OF_CONVERSE = frozenset(
    {"guardrailConfig", "requestMetadata", "additionalModelResponseFieldPaths", "projectIdentifier", "promptVariables"}
)
"""Fields of the request that a caller may set, beside those that the contract has."""
_OF_THE_MODEL = frozenset({"anthropic_beta", "thinking"})
"""The same of fields that models have; they go where the model looks."""
_NOT_THE_CALLERS = frozenset(
    {
        "fallbacks",
        "max_completion_tokens",
        "max_tokens",
        "messages",
        "model",
        "modelId",
        "models",
        "n",
        "stream",
        "system",
    }
)
_MODELS_FIELDS = "additionalModelRequestFields"
_SAMPLING = (("maxTokens", "max_output_tokens"), ("temperature", "temperature"), ("topP", "top_p"))
_OF_A_MODEL = (Use.SEED, Use.FREQUENCY_PENALTY, Use.PRESENCE_PENALTY)
# What ``pass`` cannot send either.
_WITHOUT_A_PLACE = (Use.LOGPROBS, Use.JSON_OBJECT, Use.PARALLEL_TOOLS)
_ANY_ARGUMENTS = {"type": "object"}


def body_from_input(
    value: GenerationInput,
    facts: ModelFacts,
    policy: FieldPolicy,
    *,
    service_tiers: bool = False,
    passthrough: bool = False,
) -> bytes | Body:
    """Return the request's JSON, in which large data is written only as it is sent.

    ``service_tiers``: a field for the tier of service is sent; ``passthrough``: fields that we do not know are the model's.

    Raises:
        AttemptFailed: UNSUPPORTED for a field this upstream cannot honour, BAD_REQUEST for JSON that is none.
    """
    value = _without_what_is_usual(value)
    without = left_out(value, TABLE, policy)
    uses = uses_of(value)
    for use in _WITHOUT_A_PLACE:
        if use in uses:
            policy.drop(use.value)
    request = _Request(value, facts, policy)
    large = request.add_turns(goes_on=facts.prefill or not facts.is_known)
    request.add_sampling(without)
    request.add_tools()
    if isinstance(value.response_format, JsonSchema):
        request.add_schema(value.response_format)
    if value.extra_json:
        request.add_extra(service_tiers=service_tiers, passthrough=passthrough)
    if value.hints_json:
        request.note_hints()
    if request.of_the_model:
        request.body[_MODELS_FIELDS] = request.of_the_model
    return large.body(_ENCODER.encode(request.body))


def _without_what_is_usual(value: GenerationInput) -> GenerationInput:
    """Return the input without the wish for what every model does by itself: several calls at once."""
    choice = value.tool_choice
    if choice is None or choice.parallel is not True:
        return value
    return msgspec.structs.replace(value, tool_choice=msgspec.structs.replace(choice, parallel=None))


class _Request:
    """One request as it is written: ``body``, and the fields of the model's own, which go into it last."""

    def __init__(self, value: GenerationInput, facts: ModelFacts, policy: FieldPolicy) -> None:
        self._value = value
        self._facts = facts
        self._policy = policy
        self.body: dict[str, Any] = {}
        self.of_the_model: dict[str, Any] = {}

    def add_turns(self, *, goes_on: bool) -> LargeData:
        """Add the system's and the conversation's turns; return their large data.

        ``goes_on``: the model goes on with an assistant's turn at the end.
        """
        large = LargeData()
        turns = Turns(large, self._policy, caches=self._facts.cache_breakpoints)
        system, first = turns.system(self._value.messages)
        if system:
            self.body["system"] = system
        self.body["messages"] = turns.conversation(self._value.messages, first, goes_on=goes_on)
        return large

    def add_sampling(self, without: frozenset[Use]) -> None:
        """Add how the answer is to be, but for what is left out."""
        sampling, config = self._value.sampling, dict[str, Any]()
        for name, ours in _SAMPLING:
            setting = getattr(sampling, ours)
            if setting is not None and self._takes(ours):
                config[name] = setting
        if sampling.stop and self._takes("stop"):
            config["stopSequences"] = sampling.stop
            self.body["additionalModelResponseFieldPaths"] = [_STOP_POINTER]
        if config:
            self.body["inferenceConfig"] = config
        thinking = thinking_of(sampling, self._facts, self._policy)
        if thinking.effort:
            self.body["outputConfig"] = {"effort": thinking.effort}
        if thinking.thinking is not None:
            self.of_the_model["thinking"] = thinking.thinking
        if sampling.top_k is not None and self._takes("top_k"):
            self.of_the_model["top_k"] = sampling.top_k
        for use in _OF_A_MODEL:
            setting = getattr(sampling, use.value)
            if setting is not None and use not in without:
                self.of_the_model[use.value] = setting

    def _takes(self, name: str) -> bool:
        if name == "max_output_tokens" or self._facts.takes_sampling(name, self._value.sampling.reasoning_effort):
            return True
        return self._policy.sends(name, f"input.sampling.{name}", "is not taken by the model")

    def add_tools(self) -> None:
        """Add the tools; those that earlier turns called where the caller names none, as Bedrock wants some then."""
        messages, tools = self._value.messages, self._value.tools
        choice = self._value.tool_choice or ToolChoice()
        calls = [call.name for message in messages for call in message.tool_calls]
        has_calls = bool(calls) or any(message.role is Role.TOOL for message in messages)
        if choice.mode is ToolChoiceMode.NONE:
            if tools and (has_calls or self._thinking_is_bound):
                raise unsupported(
                    "input.tool_choice", "cannot be 'none' here once the conversation holds calls, or thinking"
                )
            tools = ()
        told = self._tools_told(tools, self._allowed(choice))
        if not told and has_calls:
            told = [_tool_spec(name, _ANY_ARGUMENTS) for name in dict.fromkeys(calls or ["tool"])]
        if not told:
            return
        config: dict[str, Any] = {"tools": told}
        if (chosen := self._choice(choice)) is not None:
            config["toolChoice"] = chosen
        self.body["toolConfig"] = config

    @property
    def _thinking_is_bound(self) -> bool:
        """Whether the history holds thinking that another list of tools would make invalid."""
        return self._facts.thinking_bound is not ThinkingBound.NOTHING and any(
            isinstance(part, Reasoning) and (part.signature or part.hidden)
            for message in self._value.messages
            for part in message.parts
        )

    def _allowed(self, choice: ToolChoice) -> tuple[str, ...]:
        """Return the names of the tools that are told of; none for all of them."""
        if choice.allowed_tools and self._thinking_is_bound:
            path, why = (
                "input.tool_choice.allowed_tools",
                "would part the model from its thinking, which is bound to the tools",
            )
            return choice.allowed_tools if self._policy.sends("allowed_tools", path, why) else ()
        return choice.allowed_tools

    def _tools_told(self, tools: tuple[Tool, ...], allowed: tuple[str, ...]) -> list[Block]:
        told: list[Block] = []
        for index, tool in enumerate(tools):
            path = f"input.tools[{index}]"
            if tool.opaque is not None:
                if tool.opaque.format != FORMAT:
                    self._policy.drop(f"tool {tool.name}")
                    continue
                told.append(opaque_block(tool.opaque, f"{path}.opaque"))
            elif not allowed or tool.name in allowed:
                told.append(_tool(tool, path))
            else:
                continue
            if tool.cache_breakpoint and self._facts.cache_breakpoints:
                told.append(cache_point(tool.cache_ttl, self._policy))
        return told

    def _choice(self, choice: ToolChoice) -> Block | None:
        if choice.mode is ToolChoiceMode.AUTO:
            return {"auto": {}}
        if choice.mode not in (ToolChoiceMode.REQUIRED, ToolChoiceMode.NAMED):
            return None
        why = "cannot make the model call a tool"
        if not self._facts.forced_tool_choice and not self._policy.sends("tool_choice", "input.tool_choice", why):
            return {"auto": {}}
        return {"any": {}} if choice.mode is ToolChoiceMode.REQUIRED else {"tool": {"name": choice.tool_name}}

    def add_schema(self, wanted: JsonSchema) -> None:
        """Add the schema of the answer, which is a text in Converse, and not an object."""
        path = "input.response_format.json_schema"
        if not self._facts.json_schema:
            raise unsupported(path, "is not kept to by the model")
        schema = wanted.schema_json or "{}"
        verbatim(schema, f"{path}.schema_json")
        definition = {"schema": schema, "name": wanted.name}
        if wanted.description:
            definition["description"] = wanted.description
        text_format = {"type": "json_schema", "structure": {"jsonSchema": definition}}
        self.body["outputConfig"] = {"textFormat": text_format, **self.body.get("outputConfig", {})}

    def add_extra(self, *, service_tiers: bool, passthrough: bool) -> None:
        """Add fields that the contract has none for."""
        for name, setting in members(self._value.extra_json, "extra_json").items():
            path = f"input.extra_json.{name}"
            if is_tier_field(name):
                if not service_tiers:
                    raise unsupported(path)
                _add_tier(self.body, name, setting)
            elif name in _OF_CONVERSE:
                self.body[name] = setting
            elif name == _MODELS_FIELDS:
                for own, its in members(bytes(setting).decode(), name).items():
                    self._add_models_own(own, its, f"{path}.{own}")
            elif name in _OF_THE_MODEL or passthrough or self._policy.sends(name, path):
                self._add_models_own(name, setting, path)

    def _add_models_own(self, name: str, setting: msgspec.Raw, path: str) -> None:
        if name in _NOT_THE_CALLERS or is_tier_field(name):
            # What decides who answers, and what it costs.
            raise unsupported(path, "is not a caller's to set")
        self.of_the_model[name] = self._betas(setting, path) if name == "anthropic_beta" else setting

    def _betas(self, setting: msgspec.Raw, path: str) -> list[str]:
        try:
            betas = _WORDS.decode(setting)
        except msgspec.DecodeError:
            raise AttemptFailed(FailureKind.BAD_REQUEST, f"{path} is not a list of texts", parameter=path) from None
        denied = self._facts.denied_betas
        for beta in betas:
            if beta in denied:
                self._policy.drop(f"anthropic_beta: {beta}")
        return [beta for beta in betas if beta not in denied]

    def note_hints(self) -> None:
        """Note what hints are left out: Converse takes none of them."""
        for name, setting in members(self._value.hints_json, "hints_json").items():
            if name not in HINTS:
                raise unsupported(f"input.hints_json.{name}", "is no hint")
            if bytes(setting) != b"false":
                # Who does not know of storing does not store.
                self._policy.drop(name)


def _tool(tool: Tool, path: str) -> Block:
    schema: object = _ANY_ARGUMENTS
    if tool.parameters_json:
        schema = verbatim_object(tool.parameters_json, f"{path}.parameters_json")
    return _tool_spec(tool.name, schema, tool.description, tool.strict)


def _tool_spec(name: str, schema: object, description: str = "", strict: bool | None = None) -> Block:
    spec: dict[str, Any] = {"name": name}
    if description:
        spec["description"] = description
    spec["inputSchema"] = {"json": schema}
    if strict is not None:
        spec["strict"] = strict
    return {"toolSpec": spec}


def _add_tier(body: dict[str, Any], name: str, setting: msgspec.Raw) -> None:
    path = f"input.extra_json.{name}"
    if name in ("serviceTier", "performanceConfig"):
        body[name] = setting
        return
    if name != "service_tier":
        raise unsupported(path)
    try:
        word = _WORD.decode(setting).lower()
    except msgspec.DecodeError:
        raise AttemptFailed(FailureKind.BAD_REQUEST, f"{path} is not a text", parameter=path) from None
    body["serviceTier"] = {"type": "default" if word in STANDARD else word}
