from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer

sys.path.insert(0, str(Path(__file__).parent))

from batched import batched_vectors  # noqa: E402
from bert_reference import reference_vectors  # noqa: E402
from embedding_texts import NEARLY_EMPTY, PARAPHRASES, SENTENCES, TEXTS  # noqa: E402

from penstock_embedding.adapters.model_files import ModelFiles  # noqa: E402
from penstock_embedding.adapters.onnx_model import OnnxModel  # noqa: E402

LEAST_COSINE = 0.99
LEAST_COSINE_OF_NEARLY_NOTHING = 0.98


def test_vectors_agree_with_float32_of_the_same_weights(model: OnnxModel, model_files: ModelFiles) -> None:
    assert len(TEXTS) >= 190
    texts = TEXTS + NEARLY_EMPTY
    wanted = reference_vectors(model_files.weights, [text.content for text in model.prepare(texts)])
    cosines = (batched_vectors(model, texts) * wanted).sum(axis=1)
    assert cosines[: len(TEXTS)].min() >= LEAST_COSINE, TEXTS[int(cosines[: len(TEXTS)].argmin())]
    assert cosines.min() >= LEAST_COSINE_OF_NEARLY_NOTHING, texts[int(cosines.argmin())]


def test_vectors_are_normalised_and_of_the_models_size(model: OnnxModel) -> None:
    vectors = batched_vectors(model, SENTENCES[:20])
    assert vectors.shape == (20, 384)
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(np.ones(20), abs=1e-5)


def test_a_texts_vector_does_not_depend_on_its_batch(model: OnnxModel) -> None:
    alone = np.array([model.run(model.prepare([text]))[0] for text in TEXTS[:60]])
    together = np.array(model.run(model.prepare(TEXTS[:60])))
    assert (alone * together).sum(axis=1).min() > 0.9999


def test_paraphrases_are_closer_than_unrelated_sentences(model: OnnxModel) -> None:
    left = batched_vectors(model, [pair[0] for pair in PARAPHRASES])
    right = batched_vectors(model, [pair[1] for pair in PARAPHRASES])
    cosines = left @ right.T
    related = np.diag(cosines)
    unrelated = cosines[~np.eye(len(PARAPHRASES), dtype=bool)]
    assert related.min() > unrelated.max()


@pytest.mark.parametrize(
    ("text", "truncated"),
    [
        ("word " * 254, False),
        ("word " * 255, True),
        ("word " * 100_000, True),
        ("x" * 1_000_000, False),
        (" " * 500_000 + "word", False),
        (" " * 500_000 + "word " * 255, True),
    ],
)
def test_what_does_not_fit_the_window_is_cut_and_said_so(model: OnnxModel, text: str, truncated: bool) -> None:
    (tokenized,) = model.prepare([text])
    assert tokenized.truncated is truncated
    assert len(tokenized.content) <= 256


def test_tokens_are_those_of_the_tokenizers_own_truncation(model: OnnxModel, model_files: ModelFiles) -> None:
    tokenizer = Tokenizer.from_file(str(model_files.tokenizer))
    tokenizer.no_padding()
    tokenizer.enable_truncation(model_files.max_tokens)
    texts = [*TEXTS, "word " * 300, "水" * 5000, "a.b" * 5000]
    assert [text.content for text in model.prepare(texts)] == [tokenizer.encode(text).ids for text in texts]
