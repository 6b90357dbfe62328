"""Embedding many texts at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from penstock_common.errors import ModelNotFound
from penstock_embedding.domain.batching import BatchBounds, plan_batches
from penstock_embedding.domain.limits import check_inputs

Vector = list[float]


class TokenizedText(NamedTuple):
    """A text as the model reads it; ``truncated`` if only its head fits the model's window."""

    token_ids: list[int]
    truncated: bool


class EmbeddingModel(Protocol):
    """A model that runs beside the event loop; vectors of different revisions may not be compared."""

    @property
    def name(self) -> str:
        """What callers ask for."""
        ...

    @property
    def revision(self) -> str:
        """What tells vectors apart."""
        ...

    async def tokenize(self, texts: Sequence[str]) -> list[TokenizedText]:
        """Return the texts' tokens, in order.

        Raises:
            Overloaded: if too many callers wait already.
        """
        ...

    async def vectors(self, batch: Sequence[TokenizedText]) -> list[Vector]:
        """Return one L2-normalised vector per text, in order; the batch runs at once.

        Raises:
            Overloaded: if too many callers wait already.
        """
        ...


class Embedded(NamedTuple):
    """Vectors and truncation flags in the order of the inputs; tokens after truncation."""

    vectors: list[Vector]
    truncated: list[bool]
    input_tokens: int


class Embedder:
    """Embeds texts in batches of similar length.

    Batches of different callers take turns at the model, so that a caller
    with one text waits for one batch of another's thousands, not for all.
    Putting different callers' texts into one batch belongs between planning
    and running.
    """

    def __init__(self, model: EmbeddingModel, bounds: BatchBounds) -> None:
        self._model = model
        self._bounds = bounds

    @property
    def model_name(self) -> str:
        """The name of the model."""
        return self._model.name

    @property
    def model_revision(self) -> str:
        """The revision of the model."""
        return self._model.revision

    async def embed(self, inputs: Sequence[str], model: str = "") -> Embedded:
        """Return the vectors of ``inputs``; an empty ``model`` means the service's own.

        Raises:
            ModelNotFound: if another model is asked for.
            InvalidRequest: if the inputs break a limit.
            Overloaded: if too many callers wait already.
        """
        if model not in ("", self._model.name):
            raise ModelNotFound(
                f"The embedding model '{model}' is not served here; '{self._model.name}' is.", model=model
            )
        check_inputs(inputs)
        texts = await self._model.tokenize(inputs)
        vectors: list[Vector] = [[]] * len(texts)
        for batch in plan_batches([len(text.token_ids) for text in texts], self._bounds):
            made = await self._model.vectors([texts[index] for index in batch])
            for index, vector in zip(batch, made, strict=True):
                vectors[index] = vector
        return Embedded(
            vectors=vectors,
            truncated=[text.truncated for text in texts],
            input_tokens=sum(len(text.token_ids) for text in texts),
        )
