"""What a caller may choose that changes the price of an answer: the one rule for tiers of service.

A tier is refused unless the model has a price for it, whichever vendor's field asks for it, and whether that field is one we
know or passes through. The standard tier is what everybody gets who asks for none. An answer is billed at the tier that
the upstream says it had.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import msgspec

from penstock_common.llm.types import GenerationInput, UnitPrices, Usage
from penstock_inference.domain.catalogue import Model
from penstock_inference.domain.price_steps import prices_at

STANDARD = frozenset({"", "auto", "default", "standard", "standard_only", "on_demand", "global"})
"""What vendors call the tier that a model's price is for: OpenAI, Anthropic, Groq."""

# Without case and separators: some servers read names so. OpenAI and Groq; Anthropic; Bedrock.
_TIER_FIELDS = frozenset({"servicetier", "speed", "inferencegeo", "performanceconfig"})
# OpenRouter and LiteLLM: another model may answer than the one that is billed.
_OTHER_MODELS = frozenset({"models", "fallbacks", "fallbackmodels"})
# Gemini and LiteLLM read what is within as if it stood outside.
_WRAPPER = "extrabody"
_OBJECT = msgspec.json.Decoder(dict[str, object])
_SHORT = Usage()


class AskedTier(msgspec.Struct, frozen=True, gc=False):
    """A tier other than the standard one, and the field that asks for it; without a name it is one that has no price."""

    field: str
    name: str = ""


def asked_tier(value: GenerationInput) -> AskedTier | None:
    """Return the tier that a request asks for, None for the standard one."""
    if not value.extra_json:
        return None
    try:
        fields = _OBJECT.decode(value.extra_json)
    except msgspec.DecodeError:
        # Whoever sends it on refuses it.
        return None
    asked = _asked_in(fields)
    if len(asked) > 1:
        # Each has a price, both together have none.
        return AskedTier(" and ".join(tier.field for tier in asked))
    return asked[0] if asked else None


def is_tier_field(name: str) -> bool:
    """Return whether a field asks for a tier."""
    return _plain(name) in _TIER_FIELDS


def asked_prices(model: Model, tier: str, usage: Usage = _SHORT) -> UnitPrices:
    """Return what is billed while the upstream has not said at which tier it answers; ``tier`` was asked for."""
    priced = tier if tier in model.tier_prices else ""
    return _prices_in(model, priced, usage)


def prices_of(model: Model, asked: str, answered: str, usage: Usage = _SHORT) -> UnitPrices | None:
    """Return what an answer is billed at; None where the upstream names a tier that has no price.

    ``answered`` is the tier that the upstream says the answer had, empty where it does not: then it is the one that was
    asked for. An upstream may serve a dearer tier's request at the standard one, and by default at another.
    """
    tier = answered.lower() or asked
    if tier in STANDARD:
        return _prices_in(model, "", usage)
    return _prices_in(model, tier, usage) if tier in model.tier_prices else None


def _prices_in(model: Model, tier: str, usage: Usage) -> UnitPrices:
    prices = model.tier_prices[tier] if tier else model.prices
    steps = model.price_steps.get(tier) if model.price_steps else None
    return prices_at(usage, prices, steps) if steps else prices


def _asked_in(fields: Mapping[str, object]) -> list[AskedTier]:
    found: list[AskedTier] = []
    for name, choice in fields.items():
        plain = _plain(name)
        if plain in _TIER_FIELDS:
            tier = _word_of(choice)
            if choice is not None and (not tier or tier not in STANDARD):
                found.append(AskedTier(name, tier))
        elif plain in _OTHER_MODELS:
            found.append(AskedTier(name))
        elif plain == _WRAPPER and isinstance(choice, dict):
            found += _asked_in(cast("Mapping[str, object]", choice))
    return found


def _word_of(choice: object) -> str:
    """Return the tier that a field names: its text, or that of an object of one member (Bedrock)."""
    if isinstance(choice, dict):
        members = list(cast("Mapping[str, object]", choice).values())
        choice = members[0] if len(members) == 1 else None
    return choice.lower() if isinstance(choice, str) else ""


def _plain(name: str) -> str:
    return name.replace("_", "").replace("-", "").casefold()
