from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock_common.errors import ModelNotFound
from penstock_embedding.domain.batching import BatchBounds
from penstock_embedding.domain.embedder import Embedder, TokenizedText, Vector


class LengthModel:
    """Tokenizes into characters, cut at 20, and makes of a text its own first and only vector."""

    name = "lengths"
    revision = "1"

    async def tokenize(self, texts: Sequence[str]) -> list[TokenizedText]:
        return [TokenizedText([ord(character) for character in text[:20]], len(text) > 20) for text in texts]

    async def vectors(self, batch: Sequence[TokenizedText]) -> list[Vector]:
        return [[float(token) for token in text.token_ids] for text in batch]


@given(st.lists(st.text("abcdefgh", min_size=1, max_size=30), min_size=1, max_size=80), st.integers(1, 9))
async def test_vectors_come_in_the_order_of_the_inputs(inputs: list[str], max_texts: int) -> None:
    embedder = Embedder(LengthModel(), BatchBounds(max_texts, max_padded_tokens=60))
    embedded = await embedder.embed(inputs)
    assert embedded.vectors == [[float(ord(character)) for character in text[:20]] for text in inputs]
    assert embedded.truncated == [len(text) > 20 for text in inputs]
    assert embedded.input_tokens == sum(min(20, len(text)) for text in inputs)


async def test_another_model_is_not_found() -> None:
    embedder = Embedder(LengthModel(), BatchBounds())
    with pytest.raises(ModelNotFound, match="'other' is not served here; 'lengths' is"):
        await embedder.embed(["a"], "other")
    assert (await embedder.embed(["a"], "lengths")).vectors == (await embedder.embed(["a"], "")).vectors
