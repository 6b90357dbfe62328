"""What the embedding service is asked, and what it answers."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import Literal, NamedTuple

from penstock_common.llm.types import UnitPrices, Value

Purpose = Literal["", "query", "passage"]


class EmbedRequest(Value, frozen=True):
    """Texts, and how long their vectors are to be: 0 is as long as the model makes them.

    An empty model means the service's own. With a purpose the texts get the
    prefix that the model wants for it.
    """

    texts: tuple[str, ...]
    model: str = ""
    dimensions: int = 0
    purpose: Purpose = ""


class TextVector(NamedTuple):
    """One input's vector, as an array of 32-bit floats, which is what travels and what callers get.

    ``truncated`` if only the input's head fits the model's window.
    """

    values: array[float]
    truncated: bool


class EmbedResponse(Value, frozen=True):
    """Vectors in the order of the inputs, who made most of them, and what they are billed at.

    ``cost_nano_usd`` is exact where several made them, at prices of their own;
    ``attempts`` is the most that a part of them took. A service that is older
    tells neither: then ``attempts`` is 0.
    """

    vectors: Sequence[TextVector]
    model: str
    revision: str
    upstream: str
    input_tokens: int
    unit_prices: UnitPrices = UnitPrices()
    attempts: int = 0
    cost_nano_usd: int = 0
