"""From a generation's input to the body of ``POST /responses``.

Nothing is stored there: the conversation comes whole with every request, and encrypted reasoning is asked for so that
it can come back with it. The order of the fields is fixed, and what stays the same between turns comes first.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec.structs import replace

from penstock_common.http.body import Body
from penstock_common.llm.encrypted_reasoning import is_encrypted
from penstock_common.llm.hints import HINTS
from penstock_common.llm.types import GenerationInput, JsonObject, Reasoning, ResponseFormat, SamplingParams
from penstock_inference.adapters.providers.carried import Use, left_out
from penstock_inference.adapters.providers.http.large_data import LargeData
from penstock_inference.adapters.providers.http.verbatim import members, verbatim
from penstock_inference.adapters.providers.openai.sampling import sampling_taken
from penstock_inference.adapters.providers.openai_responses.fields import READ, TAKEN
from penstock_inference.adapters.providers.openai_responses.items import Sending, items_from
from penstock_inference.adapters.providers.openai_responses.table import TABLE
from penstock_inference.adapters.providers.openai_responses.tools import tool_choice_from, tools_from
from penstock_inference.domain.failure import unsupported
from penstock_inference.domain.model_facts import ModelFacts, Tools
from penstock_inference.domain.tiers import is_tier_field
from penstock_inference.domain.unsupported import FieldPolicy

LEAST_OUTPUT_TOKENS = 16
"""It refuses a smaller limit."""
ENCRYPTED = "reasoning.encrypted_content"
_STRINGS = msgspec.json.Decoder(list[str])
_ENCODER = msgspec.json.Encoder()
_WITHOUT_FIELD = (
    (Use.TOP_K, "top_k"),
    (Use.STOP, "stop"),
    (Use.SEED, "seed"),
    (Use.FREQUENCY_PENALTY, "frequency_penalty"),
    (Use.PRESENCE_PENALTY, "presence_penalty"),
)


class Asking(msgspec.Struct, frozen=True):
    """How an upstream is asked. ``summary`` is the form of reasoning's that is asked for, or ``''`` for none."""

    passthrough: bool = False
    service_tiers: bool = False
    summary: str = ""


def body_from_input(
    value: GenerationInput, model: str, asking: Asking, policy: FieldPolicy, facts: ModelFacts, *, whole: bool
) -> bytes | Body:
    """Return the request's JSON, in which large data is written only as it is sent.

    Raises:
        AttemptFailed: UNSUPPORTED for what has no place in it, BAD_REQUEST for JSON that is none.
    """
    value = replace(value, sampling=_without_zero_penalties(value.sampling))
    without = left_out(value, TABLE, policy)
    sampling = sampling_taken(value.sampling, facts, policy) if facts.is_known else value.sampling
    breakpoints = facts.is_known and facts.cache_breakpoints
    sending = Sending(breakpoints, policy, LargeData())
    body: dict[str, Any] = {"model": model, "store": False, "stream": not whole}
    if value.tools:
        tools = tools_from(value.tools, policy)
        if tools:
            body["tools"] = tools
    if value.tool_choice is not None and value.tool_choice.mode is not None:
        body["tool_choice"] = tool_choice_from(value.tool_choice, value.tool_choice.mode, value.tools)
    if value.tool_choice is not None and value.tool_choice.parallel is not None:
        body["parallel_tool_calls"] = value.tool_choice.parallel
    text: dict[str, Any] = {}
    if value.response_format is not None:
        text["format"] = _format(value.response_format)
    body["input"] = items_from(value.messages, sending)
    include = [ENCRYPTED] if _reasons(value, facts) else []
    _add_sampling(body, sampling, include, policy)
    body |= {name: getattr(sampling, name) for use, name in _WITHOUT_FIELD if _is_passed(sampling, name, use, without)}
    reasoning: dict[str, Any] = {"summary": asking.summary} if asking.summary and include else {}
    _add_extra(body, value.extra_json, (reasoning, text, include), asking, policy)
    if sampling.reasoning_effort:
        reasoning["effort"] = sampling.reasoning_effort
    body |= {name: made for name, made in (("reasoning", reasoning), ("text", text), ("include", include)) if made}
    _add_hints(body, value.hints_json, policy)
    return sending.large.body(_ENCODER.encode(body))


def _without_zero_penalties(sampling: SamplingParams) -> SamplingParams:
    """Return the parameters; a penalty of 0, which many clients always send, asks for nothing."""
    if sampling.frequency_penalty == 0:
        sampling = replace(sampling, frequency_penalty=None)
    return replace(sampling, presence_penalty=None) if sampling.presence_penalty == 0 else sampling


def _is_passed(sampling: SamplingParams, name: str, use: Use, without: frozenset[Use]) -> bool:
    return use not in without and getattr(sampling, name) not in (None, ())


def _reasons(value: GenerationInput, facts: ModelFacts) -> bool:
    """Return whether the model reasons, as far as it is known: one that does not refuses what is asked of reasoning."""
    if facts.efforts or facts.default_effort or value.sampling.reasoning_effort:
        return True
    return facts.tools_on_chat is not Tools.YES or any(
        isinstance(part, Reasoning) and is_encrypted(part.hidden)
        for message in value.messages
        for part in message.parts
    )


def _add_sampling(body: dict[str, Any], sampling: SamplingParams, include: list[str], policy: FieldPolicy) -> None:
    if sampling.temperature is not None:
        body["temperature"] = sampling.temperature
    if sampling.top_p is not None:
        body["top_p"] = sampling.top_p
    most = sampling.max_output_tokens
    if most is not None:
        if most < LEAST_OUTPUT_TOKENS:
            policy.drop(f"max_output_tokens={most}")
        body["max_output_tokens"] = max(most, LEAST_OUTPUT_TOKENS)
    if sampling.top_logprobs is not None:
        include.append("message.output_text.logprobs")
        body["top_logprobs"] = sampling.top_logprobs


def _format(wanted: ResponseFormat) -> dict[str, Any]:
    if isinstance(wanted, JsonObject):
        return {"type": "json_object"}
    schema: dict[str, Any] = {"type": "json_schema", "name": wanted.name}
    if wanted.description:
        schema["description"] = wanted.description
    if wanted.schema_json:
        schema["schema"] = verbatim(wanted.schema_json, "input.response_format.json_schema.schema_json")
    schema["strict"] = bool(wanted.strict)
    return schema


def _add_extra(
    body: dict[str, Any],
    extra_json: str,
    within: tuple[dict[str, Any], dict[str, Any], list[str]],
    asking: Asking,
    policy: FieldPolicy,
) -> None:
    """Add the fields that the contract has none for; ``within`` are those for reasoning, for text, and for what is included."""
    for name, setting in members(extra_json, "extra_json").items():
        path = f"input.extra_json.{name}"
        if _is_within(name, setting, within, policy):
            continue
        if name in READ:
            raise unsupported(path, "has a field of its own")
        if asking.passthrough or name in TAKEN or (is_tier_field(name) and asking.service_tiers):
            body[name] = setting
        elif policy.sends(name, path):
            if is_tier_field(name):
                # It changes the price, and has none here.
                raise unsupported(path)
            body[name] = setting


def _is_within(
    name: str, setting: msgspec.Raw, within: tuple[dict[str, Any], dict[str, Any], list[str]], policy: FieldPolicy
) -> bool:
    """Add a field to the object, or the list, that it belongs to; return whether it belongs to one."""
    reasoning, text, include = within
    path = f"input.extra_json.{name}"
    if name == "include":
        include += [wanted for wanted in _strings(setting, path) if wanted not in include]
    elif name == "reasoning_summary":
        # A model that does not reason refuses it.
        if ENCRYPTED in include:
            reasoning["summary"] = setting
        else:
            policy.drop(name)
    elif name == "verbosity":
        text["verbosity"] = setting
    elif name == "reasoning":
        reasoning |= members(bytes(setting).decode(), path)
    else:
        return False
    return True


def _strings(setting: msgspec.Raw, path: str) -> list[str]:
    try:
        return _STRINGS.decode(setting)
    except msgspec.DecodeError:
        raise unsupported(path, "must be an array of strings") from None


def _add_hints(body: dict[str, Any], hints_json: str, policy: FieldPolicy) -> None:
    for name, setting in members(hints_json, "hints_json").items():
        if name not in HINTS:
            raise unsupported(f"input.hints_json.{name}", "is no hint")
        if name in TAKEN:
            body[name] = setting
        elif bytes(setting) != b"false":
            policy.drop(name)
