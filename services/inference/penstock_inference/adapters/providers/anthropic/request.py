"""From a generation's input to the body of ``POST /v1/messages``.

Schemas, arguments and blocks of this format go verbatim, and the same request gives the same bytes. What cannot be told
is refused, or left out where the request's policy says so and the answer tells; ``table`` says which.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, cast

import msgspec

from penstock_common.http.body import Body
from penstock_common.llm.hints import HINTS
from penstock_common.llm.types import JsonSchema, Role
from penstock_inference.adapters.providers.anthropic.blocks import Block, Writing, type_of
from penstock_inference.adapters.providers.anthropic.fields import (
    ASKED_BETAS,
    BETA_OF_FIELD,
    KNOWN,
    READ,
    betas_sent,
)
from penstock_inference.adapters.providers.anthropic.table import TABLE
from penstock_inference.adapters.providers.anthropic.thinking import (
    NONE,
    always_thinks,
    effort_of,
    is_by_budget,
    is_on,
    never_thinks,
    shown,
    thinking_of,
    thinks_by_budget,
)
from penstock_inference.adapters.providers.anthropic.tools import choice_of, forces, tools_of
from penstock_inference.adapters.providers.anthropic.turns import Turns
from penstock_inference.adapters.providers.carried import Use, left_out
from penstock_inference.adapters.providers.http.verbatim import members, verbatim
from penstock_inference.domain.failure import AttemptFailed, FailureKind, unsupported
from penstock_inference.domain.tiers import is_tier_field
from penstock_inference.domain.unsupported import FieldPolicy
from penstock_inference.domain.upstream import UpstreamCall

_ENCODER = msgspec.json.Encoder()
_JSON_ALONE = (
    "Answer with one JSON object and nothing else: no words before it or after it, and no code fence around it."
)
_JSON_OF_SCHEMA = f"{_JSON_ALONE} This JSON Schema must accept it:\n"
_TIERS = {"default": "standard_only", "standard": "standard_only", "priority": "auto"}
_MOST_USER_CHARACTERS = 256
_NAMING_A_USER = ("metadata", "user", "safety_identifier")
_BETA = re.compile(r"[A-Za-z0-9._-]+")
_MOST_TEMPERATURE = 1
_LEAST_TOP_P_OF_THINKING = 0.95
_FALSE = b"false"
_SENT_AS_THEY_ARE = ("seed", "frequency_penalty", "presence_penalty")
_STRINGS = msgspec.json.Decoder(list[str])


@dataclass(frozen=True, slots=True)
class Options:
    """What the configuration says of requests to one upstream; see its settings."""

    api_version: str = "2023-06-01"
    betas: tuple[str, ...] = ()
    default_max_tokens: int = 8192
    thinking_display: str | None = None
    passthrough: bool = False
    service_tiers: bool = False
    """Takes a field for the tier of service: one of its models has prices for some."""
    cloud_version: str = ""
    """What clouds want in the body in the place of the model, which stands in their path."""


@dataclass(frozen=True, slots=True)
class MessagesRequest:
    """What is sent: the body, the headers that go with it, and what was left out."""

    body: bytes | Body
    version: str
    betas: str
    dropped: tuple[str, ...]
    has_system_turns: bool
    """Whether a system turn stands within the conversation."""


def request_of(call: UpstreamCall, options: Options, *, folds_system: bool = False) -> MessagesRequest:
    """Return the request; ``folds_system``: the model takes no system turns within the conversation.

    Raises:
        AttemptFailed: UNSUPPORTED for what this upstream cannot be told, BAD_REQUEST for JSON that is none.
    """
    return _Request(call, options).written(folds_system=folds_system)


class _Request:
    """One request that is being written."""

    def __init__(self, call: UpstreamCall, options: Options) -> None:
        self._call = call
        self._value = call.input
        self._options = options
        self._policy = FieldPolicy(call.unsupported)
        version = call.facts.api_version or options.api_version
        self._writing = Writing(call.model, call.facts, version, self._policy)
        self._betas = list(options.betas)
        self._body: dict[str, Any] = {}
        # Of the field ``output_config``.
        self._config: dict[str, Any] = {}

    def written(self, *, folds_system: bool) -> MessagesRequest:
        writing, value, body = self._writing, self._value, self._body
        without = left_out(value, TABLE, self._policy)
        if self._options.cloud_version:
            body["anthropic_version"] = self._options.cloud_version
        else:
            body["model"] = self._call.model
        max_tokens = body["max_tokens"] = self._max_tokens()
        turns = self._turns(folds_system=folds_system)
        system = [*turns.system, *self._format_in_words()]
        if system:
            body["system"] = system
        body["messages"] = turns.messages
        if tools := tools_of(value, writing):
            body["tools"] = tools
            if choice := choice_of(value, writing):
                body["tool_choice"] = choice
        extra = self._extra()
        self._add_thinking(max_tokens, extra)
        self._add_sampling(without)
        self._add_logprobs(without)
        self._add_extra(extra)
        self._add_hints()
        body["stream"] = not self._call.whole
        betas = betas_sent(self._betas, writing.betas, self._call.facts.denied_betas)
        return MessagesRequest(
            writing.large.body(_ENCODER.encode(body)),
            writing.version,
            betas,
            self._policy.dropped,
            turns.has_system_turns,
        )

    def _max_tokens(self) -> int:
        asked, most = self._value.sampling.max_output_tokens, self._call.facts.max_output_tokens
        if asked is None:
            return most or self._options.default_max_tokens
        if most and asked > most:
            self._policy.drop(Use.MAX_OUTPUT_TOKENS.value)
            return most
        return asked

    def _turns(self, *, folds_system: bool) -> Turns:
        messages = self._value.messages
        turns = Turns(self._writing, folds_system=folds_system)
        ends_with_answer = bool(messages) and messages[-1].role is Role.ASSISTANT and not messages[-1].tool_calls
        turns.add_all(messages[:-1] if ends_with_answer else messages)
        if ends_with_answer:
            turns.add_begun(messages[-1], f"input.messages[{len(messages) - 1}]")
        turns.end()
        return turns

    def _format_in_words(self) -> list[Block]:
        """Return the system's block that asks for JSON, where nothing else can."""
        wanted = self._value.response_format
        if wanted is None:
            return []
        if not isinstance(wanted, JsonSchema) or not wanted.schema_json:
            return [{"type": "text", "text": _JSON_ALONE}]
        why = "is not supported by this model, which keeps to no JSON schema by itself"
        path = "input.response_format.json_schema"
        if self._call.facts.json_schema or self._policy.sends(Use.JSON_SCHEMA.value, path, why):
            schema = verbatim(wanted.schema_json, f"{path}.schema_json")
            self._config["format"] = {"type": "json_schema", "schema": schema}
            return []
        return [{"type": "text", "text": f"{_JSON_OF_SCHEMA}{wanted.schema_json}"}]

    def _add_thinking(self, max_tokens: int, extra: dict[str, msgspec.Raw]) -> None:
        writing, display = self._writing, self._options.thinking_display
        effort = self._effort()
        if effort not in ("", NONE) and not thinks_by_budget(writing):
            self._config["effort"] = effort
        if "thinking" in extra:
            # The caller has said so in the format's own words.
            return
        thinking = thinking_of(effort, max_tokens, writing, display)
        if not effort and display and always_thinks(writing):
            thinking = shown(display)
        if is_on(thinking) and self._may_not_think(is_by_budget=is_by_budget(thinking)):
            if effort:
                self._policy.drop(Use.REASONING_EFFORT.value)
            return
        if thinking is not None:
            self._body["thinking"] = thinking

    def _effort(self) -> str:
        """Return the effort that the model is asked for, in its own words; '' where none is."""
        asked, writing = self._value.sampling.reasoning_effort, self._writing
        if asked and never_thinks(writing):
            name, path = Use.REASONING_EFFORT.value, "input.sampling.reasoning_effort"
            if asked == NONE or not self._policy.sends(name, path, "is not supported by this model"):
                return ""
        return effort_of(asked, writing) if asked else ""

    def _may_not_think(self, *, is_by_budget: bool) -> bool:
        """Return whether the vendor refuses thinking beside what is asked, or after what has been said."""
        if forces(self._body.get("tool_choice")):
            return True
        return is_by_budget and _goes_on_without_thinking(self._body["messages"])

    def _add_sampling(self, without: frozenset[Use]) -> None:
        sampling, body = self._value.sampling, self._body
        thinks = is_on(body.get("thinking"))
        for name in ("temperature", "top_p", "top_k"):
            setting = getattr(sampling, name)
            if setting is not None and self._takes(name, setting, thinks=thinks):
                body[name] = setting
        if stop := self._stop():
            body["stop_sequences"] = stop
        for name in _SENT_AS_THEY_ARE:
            setting = getattr(sampling, name)
            if setting is not None and Use(name) not in without:
                body[name] = setting

    def _add_logprobs(self, without: frozenset[Use]) -> None:
        alternatives = self._value.sampling.top_logprobs
        if alternatives is not None and Use.LOGPROBS not in without:
            self._body |= {"logprobs": True, "top_logprobs": alternatives}

    def _takes(self, name: str, setting: float, *, thinks: bool) -> bool:
        """Return whether a sampling parameter is sent; see ``FieldPolicy``."""
        facts, effort = self._call.facts, self._value.sampling.reasoning_effort
        if self._writing.is_strict or not facts.takes_sampling(name, effort):
            why = "is not supported by this model"
        elif name == "temperature" and setting > _MOST_TEMPERATURE:
            why = "is at most 1 for this upstream"
        elif thinks and not _goes_with_thinking(name, setting):
            why = "is not supported beside thinking"
        else:
            return True
        return self._policy.sends(name, f"input.sampling.{name}", why)

    def _stop(self) -> list[str]:
        sampling = self._value.sampling
        if not sampling.stop:
            return []
        path = "input.sampling.stop"
        if not self._call.facts.takes_sampling("stop", sampling.reasoning_effort):
            return [*sampling.stop] if self._policy.sends("stop", path, "is not supported by this model") else []
        return [
            stop
            for stop in sampling.stop
            if stop.strip() or self._policy.sends("stop", path, "must hold more than blanks for this upstream")
        ]

    def _extra(self) -> dict[str, msgspec.Raw]:
        """Return the further fields that are sent."""
        text = self._value.extra_json
        if not text:
            return {}
        extra = members(text, "extra_json")
        if asked := extra.pop(ASKED_BETAS, None):
            self._betas += _betas_in(asked)
        return {name: setting for name, setting in extra.items() if self._sends_extra(name)}

    def _sends_extra(self, name: str) -> bool:
        path = f"input.extra_json.{name}"
        if name in READ:
            raise unsupported(path, "has a field of its own")
        is_tier = is_tier_field(name)
        if self._options.passthrough or name in KNOWN or (is_tier and self._options.service_tiers):
            return True
        if not self._policy.sends(name, path):
            return False
        if is_tier:
            # It changes the price, and has none here.
            raise unsupported(path)
        return True

    def _add_extra(self, extra: dict[str, msgspec.Raw]) -> None:
        config = (
            members(bytes(extra.pop("output_config")).decode(), "output_config") if "output_config" in extra else {}
        )
        if config or self._config:
            self._body["output_config"] = {**config, **self._config}
        for name, setting in extra.items():
            self._body[name] = _tier(setting) if name == "service_tier" else setting
            if name in BETA_OF_FIELD:
                self._writing.betas.append(BETA_OF_FIELD[name])

    def _add_hints(self) -> None:
        if not self._value.hints_json:
            return
        hints = members(self._value.hints_json, "hints_json")
        users = {name: user for name, setting in hints.items() if (user := _user_in(name, setting))}
        for name, setting in hints.items():
            if name not in HINTS:
                raise unsupported(f"input.hints_json.{name}", "is no hint")
            # Who does not know of storing does not store.
            if name not in users and bytes(setting) != _FALSE:
                self._policy.drop(name)
        if user := next((users[name] for name in _NAMING_A_USER if name in users), ""):
            self._body["metadata"] = {"user_id": user}


def _goes_with_thinking(name: str, setting: float) -> bool:
    if name == "top_p":
        return setting >= _LEAST_TOP_P_OF_THINKING
    return name == "temperature" and setting == 1


def _goes_on_without_thinking(messages: list[dict[str, Any]]) -> bool:
    """Return whether the model is to go on with a turn of its own that was made without thinking, or lost it.

    It is one after whose calls their results stand, or the last.
    """
    answers = [turn for turn in messages if turn["role"] == "assistant"]
    last = next((turn for turn in reversed(messages) if turn["role"] != "system"), None)
    if not answers or last is None or (last is not answers[-1] and type_of(last["content"][0]) != "tool_result"):
        return False
    return type_of(answers[-1]["content"][0]) not in ("thinking", "redacted_thinking")


def _user_in(name: str, setting: msgspec.Raw) -> str:
    """Return whom a hint names, '' where it names nobody in a form that this format has."""
    if name not in _NAMING_A_USER:
        return ""
    value: object = msgspec.json.decode(setting)
    if name == "metadata":
        value = cast("dict[str, object]", value).get("user_id") if isinstance(value, dict) else None
    return value if isinstance(value, str) and len(value) <= _MOST_USER_CHARACTERS else ""


def _tier(setting: msgspec.Raw) -> object:
    """Return a tier in this format's words: ``auto`` takes of the account's priority, where it has any."""
    value = msgspec.json.decode(setting)
    return _TIERS.get(value, value) if isinstance(value, str) else setting


def _betas_in(setting: msgspec.Raw) -> list[str]:
    try:
        betas = _STRINGS.decode(setting)
    except msgspec.DecodeError:
        betas = [""]
    if not all(map(_BETA.fullmatch, betas)):
        raise AttemptFailed(FailureKind.BAD_REQUEST, f"{ASKED_BETAS} is no list of names", parameter=ASKED_BETAS)
    return betas
