"""OpenAI's models format: the models that callers may name, and beside OpenAI's fields what they can do.

The names of the further fields are those that callers read elsewhere:
``context_length`` and ``pricing`` of OpenRouter (https://openrouter.ai/docs/api-reference/list-available-models),
``max_model_len`` of vLLM. What is not known is absent.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from penstock_common.llm.types import ModelInfo, UnitPrices

_encode = msgspec.json.Encoder().encode
_DECIMALS = 15
"""Of a nano-dollar per million tokens, in dollars per token."""


class Pricing(msgspec.Struct, kw_only=True):
    """Dollars per token, as exact decimal text."""

    prompt: str
    completion: str
    input_cache_read: str


class Model(msgspec.Struct, kw_only=True):
    """A model that callers may name. ``created`` is in Unix seconds, windows are in tokens."""

    id: str
    object: str = "model"
    created: int
    owned_by: str = "penstock"
    context_length: int | msgspec.UnsetType = msgspec.UNSET
    max_model_len: int | msgspec.UnsetType = msgspec.UNSET
    capabilities: tuple[str, ...] | msgspec.UnsetType = msgspec.UNSET
    pricing: Pricing | msgspec.UnsetType = msgspec.UNSET


class ModelList(msgspec.Struct, kw_only=True):
    """Body of ``GET /v1/models``."""

    object: str = "list"
    data: list[Model]


def render_model(info: ModelInfo, created: int) -> bytes:
    """Return the body of ``GET /v1/models/{id}``."""
    return _encode(_model(info, created))


def render_model_list(infos: Iterable[ModelInfo], created: int) -> bytes:
    """Return the body of ``GET /v1/models``, in the order given."""
    return _encode(ModelList(data=[_model(info, created) for info in infos]))


def _model(info: ModelInfo, created: int) -> Model:
    window = info.context_window_tokens or msgspec.UNSET
    return Model(
        id=info.name,
        created=created,
        context_length=window,
        max_model_len=window,
        capabilities=info.capabilities or msgspec.UNSET,
        pricing=msgspec.UNSET if info.prices is None else _pricing(info.prices),
    )


def _pricing(prices: UnitPrices) -> Pricing:
    return Pricing(
        prompt=_usd_per_token(prices.input_nano_usd),
        completion=_usd_per_token(prices.output_nano_usd),
        input_cache_read=_usd_per_token(prices.cached_input_nano_usd),
    )


def _usd_per_token(nano_usd_per_million: int) -> str:
    """Return exact dollars, never in exponent form."""
    whole, rest = divmod(nano_usd_per_million, 10**_DECIMALS)
    return f"{whole}.{rest:0{_DECIMALS}d}".rstrip("0").removesuffix(".")
