"""Cosines of pairs, by the embedding model that Penstock ships with."""

import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from pairs import Pair

from penstock_embedding.adapters.model_cache import prepare
from penstock_embedding.adapters.model_files import ModelSource, find_model
from penstock_embedding.adapters.onnx_model import OnnxModel

MODEL = "all-MiniLM-L6-v2"


def similarities_of(pairs: Sequence[Pair]) -> list[float]:
    """Return the cosine of each pair's texts."""
    texts = sorted({text for pair in pairs for text in (pair.stored, pair.asked)})
    found = find_model(ModelSource(MODEL))
    with tempfile.TemporaryDirectory() as folder:
        model = OnnxModel(found.tokenizer, prepare(found, Path(folder)).graph, found.max_tokens)
        vectors = {text: np.array(model.run(model.prepare([text]))[0]) for text in texts}
    return [float(vectors[pair.stored] @ vectors[pair.asked]) for pair in pairs]
