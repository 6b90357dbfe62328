"""Embedding many texts at once."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple, Protocol

from penstock_common.contract.embedding import Purpose
from penstock_common.errors import ModelNotFound, UnsupportedParameter
from penstock_common.llm.types import UnitPrices
from penstock_embedding.domain.account import Account, cost_of
from penstock_embedding.domain.limits import check_inputs

Vector = list[float]
_REVISION_HEX = 8


OWN_UPSTREAM = "embedding"
"""Where a model runs that this service runs itself."""


class Embedded(NamedTuple):
    """Vectors and truncation flags in the order of the inputs; tokens after truncation."""

    vectors: list[Vector]
    truncated: list[bool]
    input_tokens: int


@dataclass(frozen=True, slots=True)
class ModelOffer:
    """What callers may ask of the model, and at which price.

    ``min_dimensions`` is 0 for a model whose vectors are as long as they are. A
    model trained so that the head of a vector stands for the whole
    (Matryoshka, arXiv:2205.13147) may be asked for fewer, down to this many.
    ``upstream`` is asked first; ``prices`` has those of all.
    """

    min_dimensions: int = 0
    context_window_tokens: int = 0
    unit_prices: UnitPrices = UnitPrices()
    upstream: str = OWN_UPSTREAM
    prices: Mapping[str, UnitPrices] = field(default_factory=dict[str, UnitPrices])

    def price_of(self, upstream: str) -> UnitPrices:
        """Return what an upstream's tokens are billed at."""
        return self.prices.get(upstream, self.unit_prices)

    @property
    def most(self) -> UnitPrices | None:
        """What a token costs at most, whoever reads it; None where a price is not known."""
        each = [self.unit_prices, *self.prices.values()]
        if any(prices.is_unknown for prices in each):
            return None
        return UnitPrices(input_nano_usd=max(prices.input_nano_usd for prices in each))

    def cost_nano_usd(self, tokens: Mapping[str, int]) -> int:
        """Return what the tokens of each upstream cost together."""
        return cost_of(tokens, {upstream: self.price_of(upstream) for upstream in tokens})


class EmbeddingModel(Protocol):
    """A model, whatever runs it; vectors of different revisions may not be compared."""

    @property
    def name(self) -> str:
        """What callers ask for."""
        ...

    @property
    def revision(self) -> str:
        """What tells vectors apart."""
        ...

    async def embed(
        self, texts: Sequence[str], deadline: float | None, account: Account, *, background: bool = False
    ) -> Embedded:
        """Return one L2-normalised vector per text, in order; ``deadline`` is on the clock of ``time.monotonic``.

        What was done for it stands in ``account``, however it ends. Where ``background``,
        those who wait for their vectors go first.

        Raises:
            Overloaded: if too much waits already.
            DeadlineExceeded: if the deadline cannot be met.
        """
        ...


@dataclass(frozen=True, slots=True)
class Prefixes:
    """What a model wants before a question, and before what is searched."""

    query: str = ""
    passage: str = ""

    def of(self, purpose: Purpose) -> str:
        """Return what stands before a text of the purpose."""
        if not purpose:
            return ""
        return self.query if purpose == "query" else self.passage

    def revision_of(self, model_revision: str) -> str:
        """Return what tells vectors of questions and passages apart from those that are made with other prefixes."""
        if not (self.query or self.passage):
            return model_revision
        digest = hashlib.sha256(f"{len(self.query)} {self.query}{self.passage}".encode()).hexdigest()
        return f"{model_revision}-{digest[:_REVISION_HEX]}"


NO_PREFIXES = Prefixes()


@dataclass(frozen=True, slots=True)
class EmbedCall:
    """What a caller asks for. Empty ``model`` means the service's own, 0 ``dimensions`` the model's own."""

    inputs: Sequence[str]
    model: str = ""
    dimensions: int = 0
    deadline: float | None = None
    account: Account = field(default_factory=Account)
    purpose: Purpose = ""
    background: bool = False


class Embedder:
    """Checks what is asked, and lets the model answer."""

    def __init__(self, model: EmbeddingModel, offer: ModelOffer, prefixes: Prefixes = NO_PREFIXES) -> None:
        self._model = model
        self._prefixes = prefixes
        self._size = 0
        self.offer = offer

    def charge(self, offer: ModelOffer) -> None:
        """Bill what is asked from now on at the offer's prices."""
        self.offer = replace(self.offer, unit_prices=offer.unit_prices, prices=offer.prices)

    @property
    def model_name(self) -> str:
        """The name of the model."""
        return self._model.name

    @property
    def model_revision(self) -> str:
        """The revision of the model."""
        return self._model.revision

    @property
    def search_revision(self) -> str:
        """The revision of vectors of questions and passages."""
        return self._prefixes.revision_of(self._model.revision)

    def revision_of(self, purpose: Purpose) -> str:
        """Return the revision of vectors that are made for a purpose."""
        return self.search_revision if purpose else self._model.revision

    async def embed(self, call: EmbedCall) -> Embedded:
        """Return the vectors of the call's inputs.

        Raises:
            ModelNotFound: if another model is asked for.
            InvalidRequest: if the inputs break a limit.
            UnsupportedParameter: if the vectors cannot have these dimensions.
            Overloaded, DeadlineExceeded: as ``EmbeddingModel.embed``.
        """
        name = self._model.name
        if call.model not in ("", name):
            raise ModelNotFound(
                f"The embedding model '{call.model}' is not served here; '{name}' is.", model=call.model
            )
        check_inputs(call.inputs)
        self._check_dimensions(call.dimensions)
        prefix = self._prefixes.of(call.purpose)
        texts = [prefix + text for text in call.inputs] if prefix else call.inputs
        embedded = await self._model.embed(texts, call.deadline, call.account, background=call.background)
        if not self._size:
            self._size = len(embedded.vectors[0])
            self._check_dimensions(call.dimensions)
        if call.dimensions in (0, self._size):
            return embedded
        return embedded._replace(vectors=[normalised(vector[: call.dimensions]) for vector in embedded.vectors])

    def _check_dimensions(self, wanted: int) -> None:
        least, size = self.offer.min_dimensions, self._size
        # Before the first text nobody knows how long this model's vectors are.
        if not wanted or not size or wanted == size or (least and least <= wanted <= size):
            return
        allowed = f"{least} to {size}" if least else f"{size} and nothing else"
        raise UnsupportedParameter(
            f"The vectors of '{self._model.name}' may have {allowed} dimensions, not {wanted}.", parameter="dimensions"
        )


def normalised(vector: Vector) -> Vector:
    """Return the vector with length 1."""
    length = math.hypot(*vector)
    return [value / length for value in vector] if length else vector
