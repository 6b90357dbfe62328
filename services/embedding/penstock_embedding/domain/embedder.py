"""Embedding many texts at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from penstock_common.errors import ModelNotFound
from penstock_embedding.domain.limits import check_inputs

Vector = list[float]


class Embedded(NamedTuple):
    """Vectors and truncation flags in the order of the inputs; tokens after truncation."""

    vectors: list[Vector]
    truncated: list[bool]
    input_tokens: int


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

    async def embed(self, texts: Sequence[str], deadline: float | None) -> Embedded:
        """Return one L2-normalised vector per text, in order; ``deadline`` is on the clock of ``time.monotonic``.

        Raises:
            Overloaded: if too much waits already.
            DeadlineExceeded: if the deadline cannot be met.
        """
        ...


class Embedder:
    """Checks what is asked, and lets the model answer."""

    def __init__(self, model: EmbeddingModel) -> None:
        self._model = model

    @property
    def model_name(self) -> str:
        """The name of the model."""
        return self._model.name

    @property
    def model_revision(self) -> str:
        """The revision of the model."""
        return self._model.revision

    async def embed(self, inputs: Sequence[str], model: str = "", deadline: float | None = None) -> Embedded:
        """Return the vectors of ``inputs``; an empty ``model`` means the service's own.

        Raises:
            ModelNotFound: if another model is asked for.
            InvalidRequest: if the inputs break a limit.
            Overloaded, DeadlineExceeded: as ``EmbeddingModel.embed``.
        """
        if model not in ("", self._model.name):
            raise ModelNotFound(
                f"The embedding model '{model}' is not served here; '{self._model.name}' is.", model=model
            )
        check_inputs(inputs)
        return await self._model.embed(inputs, deadline)
