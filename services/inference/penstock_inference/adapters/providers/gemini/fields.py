"""Further fields of a request that Gemini takes, in its own words or in those of its OpenAI form."""

from __future__ import annotations

from typing import Any

from penstock_common.llm.hints import HINTS
from penstock_inference.adapters.providers.gemini.manner import Manner
from penstock_inference.adapters.providers.http.verbatim import members
from penstock_inference.domain.failure import unsupported
from penstock_inference.domain.tiers import is_tier_field
from penstock_inference.domain.unsupported import FieldPolicy

_CONFIG = "generationConfig"
# What changes the price is not here: see `domain/tiers`. The types of python-genai 3.6.
_TAKEN = {
    "cachedContent": "cachedContent",
    "cached_content": "cachedContent",
    "labels": "labels",
}
_OF_CONFIG = frozenset(
    {
        "responseModalities", "mediaResolution", "speechConfig", "imageConfig", "audioTimestamp", "thinkingConfig",
        "enableEnhancedCivicAnswers",
    }
)  # fmt: skip
_SAFETY = ("safetySettings", "safety_settings")
_TIER = "serviceTier"
_READ = frozenset(
    {"model", "contents", "systemInstruction", "system_instruction", "tools", "toolConfig", "tool_config"}
)
"""The contract has fields for them: an extra field never sets one."""
_READ_OF_CONFIG = frozenset(
    {
        "temperature", "topP", "topK", "maxOutputTokens", "seed", "frequencyPenalty", "presencePenalty",
        "stopSequences", "candidateCount", "responseLogprobs", "logprobs", "responseMimeType", "responseSchema",
        "responseJsonSchema",
    }
)  # fmt: skip


def add_extra(body: dict[str, Any], extra_json: str, manner: Manner, policy: FieldPolicy) -> None:
    """Add the fields of ``extra_json`` that are taken; of the others ``policy`` decides.

    Raises:
        AttemptFailed: UNSUPPORTED for what is refused.
    """
    for name, setting in members(extra_json, "extra_json").items():
        path = f"input.extra_json.{name}"
        if name in _READ or (name in _SAFETY and manner.safety):
            raise unsupported(path, "has a field of its own" if name in _READ else "is the configuration's to say")
        if name in (_CONFIG, "generation_config"):
            _add_config(body, bytes(setting).decode(), manner, policy)
        elif name in _SAFETY:
            body[_SAFETY[0]] = setting
        elif name in _TAKEN:
            body[_TAKEN[name]] = setting
        elif is_tier_field(name):
            _add_tier(body, setting, path, manner, policy)
        elif manner.passthrough or policy.sends(name, path):
            body[name] = setting


def _add_tier(body: dict[str, Any], setting: Any, path: str, manner: Manner, policy: FieldPolicy) -> None:
    if manner.service_tiers or manner.passthrough:
        body[_TIER] = setting
    elif policy.sends(_TIER, path):
        # It changes the price, and has none here.
        raise unsupported(path)


def _add_config(body: dict[str, Any], text: str, manner: Manner, policy: FieldPolicy) -> None:
    config = body.setdefault(_CONFIG, {})
    for name, setting in members(text, _CONFIG).items():
        path = f"input.extra_json.{_CONFIG}.{name}"
        if _camel(name) in _READ_OF_CONFIG:
            raise unsupported(path, "has a field of its own")
        if is_tier_field(name):
            raise unsupported(path)
        if name in _OF_CONFIG or manner.passthrough or policy.sends(name, path):
            config[name] = setting


def _camel(name: str) -> str:
    """Return a field's name in the form that is written here; Google's servers take ``snake_case`` as well."""
    first, *rest = name.split("_")
    return first + "".join([word.capitalize() for word in rest])


def drop_hints(hints_json: str, policy: FieldPolicy) -> None:
    """Note the hints, none of which Gemini takes; who does not know of storing does not store.

    Raises:
        AttemptFailed: UNSUPPORTED for what is no hint.
    """
    for name, setting in members(hints_json, "hints_json").items():
        if name not in HINTS:
            raise unsupported(f"input.hints_json.{name}", "is no hint")
        if bytes(setting) != b"false":
            policy.drop(name)
