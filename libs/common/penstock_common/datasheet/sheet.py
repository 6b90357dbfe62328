"""What a datasheet may say of a model."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from penstock_common.configuration import MAX_INT32, Section
from penstock_common.faults import KeyPath, refuse
from penstock_common.prices import PriceStep, Usd

Tokens = Annotated[int, Field(gt=0, le=MAX_INT32)]
Ratio = Annotated[Decimal, Field(gt=0, le=100)]
CapabilityName = Literal[
    "chat", "tools", "json_schema", "vision", "prefill", "embeddings", "reasoning", "rerank", "moderation"
]
Name = Annotated[str, Field(min_length=1)]
SamplingName = Literal[
    "temperature", "top_p", "top_k", "seed", "frequency_penalty", "presence_penalty", "stop"
]  # fmt: skip


def _word(value: Any) -> Any:
    # YAML reads a bare yes or no as true or false.
    return {True: "yes", False: "no"}.get(value, value) if isinstance(value, bool) else value


class Facts(Section):
    """What a model takes, refuses, and is bound to, beside its capabilities. Not said: as of a model that nobody knows."""

    sampling: list[SamplingName] | None = None
    """The sampling parameters that it takes; an empty list for none. Not said: all."""
    sampling_without_effort: bool | None = None
    """It takes them only with reasoning effort `none`."""
    efforts: list[str] | None = None
    """The reasoning efforts that it takes, from the least. Not said: any."""
    default_effort: str | None = None
    """The effort that it has where none is asked for."""
    thinking: list[str] | None = None
    """The types of Anthropic's `thinking` that it takes. Not said: all."""
    thinking_bound: Literal["", "prefix", "account"] | None = None
    """What its signed thinking may not be parted from: `prefix`, all that stands before it; `account`, that and the account."""
    reads_thinking_of: list[str] | None = None
    """Other models whose thinking it reads, too."""
    forced_tool_choice: bool | None = None
    """It can be made to call a tool. Not said: yes."""
    parallel_tools: bool | None = None
    """It can be told not to call several tools at once. Not said: yes."""
    tools_on_chat: Annotated[Literal["yes", "without_effort", "no"], BeforeValidator(_word)] | None = None
    """Whether chat completions take tools for it: `without_effort` with effort `none` alone; `no`: the Responses API does."""
    documents: bool | None = None
    """It reads documents. Not said: yes."""
    images_by_url: bool | None = None
    """It fetches images. Not said: yes."""
    max_tokens_field: Literal["max_tokens", "max_completion_tokens"] | None = None
    """What chat completions call its limit of tokens. Not said: what the provider's do."""
    max_output_tokens: Tokens | None = None
    """The most that it writes."""
    cache_breakpoints: bool | None = None
    """It takes breakpoints for its prompt cache. Not said: yes."""
    denied_betas: list[str] | None = None
    """Values of `anthropic-beta` that it refuses."""
    api_version: str | None = None
    """The version of its provider's interface that it is asked by."""


class SheetPrice(Section):
    """What a model costs, in USD per million tokens, as far as it is known; it is known with ``input`` and ``output``."""

    input: Usd | None = None
    cached_input: Usd | None = None
    cache_write: Usd | None = None
    cache_write_1h: Usd | None = None
    output: Usd | None = None
    steps: list[PriceStep] = []
    source: str = ""
    """The vendor's page and its date."""


class PriceRatios(Section):
    """What parts of a model's input cost as multiples of ``input``, where no price is said of them."""

    cached_input: Ratio | None = None
    cache_write: Ratio | None = None
    cache_write_1h: Ratio | None = None
    source: str = ""


class SheetEntry(Section):
    """One model, by its provider's own name."""

    name: Name
    also: list[Name] = []
    """Other names of the same: of clouds, with dates."""
    source: Name
    """The vendor's page and its date."""
    context_window: Tokens | None = None
    capabilities: list[CapabilityName] | None = None
    price: SheetPrice | None = None
    price_ratios: PriceRatios | None = None
    service_tiers: dict[str, SheetPrice] = {}
    """``batch`` among them: what an answer costs that came of a batch."""
    facts: Facts = Facts()


class Sheet(Section):
    """One file."""

    models: list[SheetEntry] = []

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        seen: dict[str, KeyPath] = {}
        faults: list[tuple[KeyPath, str]] = []
        for index, entry in enumerate(self.models):
            own: list[tuple[str, KeyPath]] = [(entry.name, ("models", index, "name"))]
            own += [(name, ("models", index, "also", at)) for at, name in enumerate(entry.also)]
            for name, path in own:
                if name in seen:
                    faults.append((path, f"the model '{name}' is in this file twice"))
                seen.setdefault(name, path)
        refuse(faults)
        return self
