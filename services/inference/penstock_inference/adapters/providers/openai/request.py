"""From a generation's input to the body of ``POST /chat/completions``.

Schemas go verbatim. What an upstream cannot honour is refused, or left out where
the request's policy says so and the answer tells; never dropped in silence. The
exception is a model's earlier reasoning, and what else came with it, where a server takes none back.
"""

from __future__ import annotations

from typing import Any

import msgspec

from penstock_common.http.body import Body
from penstock_common.llm.hints import HINTS
from penstock_common.llm.types import GenerationInput, JsonObject, ResponseFormat, SamplingParams
from penstock_common.rpc.scope import CURRENT_SCOPE
from penstock_inference.adapters.providers.http.large_data import LargeData
from penstock_inference.adapters.providers.http.verbatim import members, verbatim
from penstock_inference.adapters.providers.openai.dialect import Dialect
from penstock_inference.adapters.providers.openai.fields import READ
from penstock_inference.adapters.providers.openai.sampling import sampling_taken
from penstock_inference.adapters.providers.openai.tools import add_tool_choice, add_tools
from penstock_inference.adapters.providers.openai.turns import Sending, turns_from
from penstock_inference.domain.failure import unsupported
from penstock_inference.domain.model_facts import UNKNOWN_MODEL, ModelFacts
from penstock_inference.domain.tiers import is_tier_field
from penstock_inference.domain.unsupported import FieldPolicy

_DEFAULT_SAMPLING = SamplingParams()
_ENCODER = msgspec.json.Encoder()
_SMALLEST_TOP_P = 1e-6
_SAMPLING_FIELDS = ("temperature", "top_p", "seed", "frequency_penalty", "presence_penalty")
_REFUSABLE_FIELDS = (*_SAMPLING_FIELDS, "top_k", "stop")


def body_from_input(
    value: GenerationInput,
    model: str,
    dialect: Dialect,
    policy: FieldPolicy | None = None,
    *,
    whole: bool = False,
    is_continued: bool = False,
    facts: ModelFacts = UNKNOWN_MODEL,
) -> bytes | Body:
    """Return the request's JSON, in which large data is written only as it is sent.

    It asks for a stream and for usage, or for a ``whole`` answer, which has it always.

    ``policy`` decides of the fields that this upstream cannot honour, or this model by its ``facts``, and notes those left
    out; None refuses them.

    Raises:
        AttemptFailed: UNSUPPORTED for a field this upstream cannot honour, BAD_REQUEST for JSON that is none.
    """
    policy = policy or FieldPolicy()
    # Those of a model that nobody has described may be too old to know them.
    breakpoints = dialect.cache_breakpoints and facts.is_known and facts.cache_breakpoints
    sending = Sending(dialect, policy, breakpoints, LargeData())
    body: dict[str, Any] = {"model": model, "messages": turns_from(value.messages, sending), "stream": not whole}
    if dialect.stream_options and not whole:
        body["stream_options"] = {"include_usage": True}
    if is_continued and dialect.says_continued:
        body["continue_final_message"], body["add_generation_prompt"] = True, False
    if value.sampling is not _DEFAULT_SAMPLING and value.sampling != _DEFAULT_SAMPLING:
        _add_sampling(body, value.sampling, dialect, policy, facts)
    if value.tools:
        add_tools(body, value, dialect, policy)
    if value.tool_choice is not None:
        add_tool_choice(body, value.tool_choice, value.tools, dialect, policy)
    if value.response_format is not None:
        body["response_format"] = _response_format(value.response_format)
    if value.extra_json:
        _add_extra(body, value.extra_json, dialect, policy)
    if value.hints_json:
        _add_hints(body, value.hints_json, dialect, policy)
    if dialect.fields_of_scope is not None:
        body.update(dialect.fields_of_scope(CURRENT_SCOPE.get()))
    encoded, large = _ENCODER.encode(body), sending.large
    # Most have none.
    return large.body(encoded) if large.pieces else encoded


def _add_sampling(
    body: dict[str, Any], sampling: SamplingParams, dialect: Dialect, policy: FieldPolicy, facts: ModelFacts
) -> None:
    if facts.is_known:
        sampling = sampling_taken(sampling, facts, policy)
    for name in _SAMPLING_FIELDS:
        setting = getattr(sampling, name)
        if setting is not None:
            body[name] = setting
    if sampling.top_p == 0 and not dialect.zero_top_p:
        body["top_p"] = _SMALLEST_TOP_P
    if sampling.top_k is not None and (dialect.top_k or policy.sends("top_k", "input.sampling.top_k")):
        body["top_k"] = sampling.top_k
    if sampling.max_output_tokens is not None:
        body[facts.max_tokens_field or dialect.max_tokens_field] = sampling.max_output_tokens
    if sampling.stop:
        body["stop"] = sampling.stop
    if sampling.reasoning_effort:
        body["reasoning_effort"] = sampling.reasoning_effort
    _add_answers_form(body, sampling, dialect, policy)


def _add_answers_form(body: dict[str, Any], sampling: SamplingParams, dialect: Dialect, policy: FieldPolicy) -> None:
    alternatives, choices = sampling.top_logprobs, sampling.choices
    if alternatives is not None and (dialect.logprobs or policy.sends("logprobs", "input.sampling.top_logprobs")):
        body["logprobs"] = True
        if alternatives:
            body["top_logprobs"] = alternatives
    if choices is not None and choices > 1:
        if not dialect.choices:
            # One answer instead of several is another answer: it is never left out.
            raise unsupported("input.sampling.choices")
        body["n"] = choices


def _response_format(wanted: ResponseFormat) -> dict[str, Any]:
    if isinstance(wanted, JsonObject):
        return {"type": "json_object"}
    schema: dict[str, Any] = {"name": wanted.name}
    if wanted.description:
        schema["description"] = wanted.description
    if wanted.schema_json:
        schema["schema"] = verbatim(wanted.schema_json, "input.response_format.json_schema.schema_json")
    if wanted.strict is not None:
        schema["strict"] = wanted.strict
    return {"type": "json_schema", "json_schema": schema}


def _add_extra(body: dict[str, Any], extra_json: str, dialect: Dialect, policy: FieldPolicy) -> None:
    for name, setting in members(extra_json, "extra_json").items():
        path = f"input.extra_json.{name}"
        if name in READ:
            raise unsupported(path, "has a field of its own")
        if not dialect.nulls and bytes(setting) == b"null":
            continue
        is_tier = is_tier_field(name)
        if dialect.passthrough or name in dialect.fields or (is_tier and dialect.service_tiers):
            body[name] = setting
        elif policy.sends(name, path):
            if is_tier:
                # It changes the price, and has none here.
                raise unsupported(path)
            body[name] = setting


def _add_hints(body: dict[str, Any], hints_json: str, dialect: Dialect, policy: FieldPolicy) -> None:
    for name, setting in members(hints_json, "hints_json").items():
        if name not in HINTS:
            raise unsupported(f"input.hints_json.{name}", "is no hint")
        if dialect.passthrough or name in dialect.fields:
            body[name] = setting
        elif bytes(setting) != b"false":
            # Who does not know of storing does not store.
            policy.drop(name)
