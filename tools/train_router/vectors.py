"""Vectors of prompts, by the embedding model that Penstock ships with."""

import tempfile
from collections.abc import Sequence
from pathlib import Path

from penstock_embedding.adapters.model_cache import prepare
from penstock_embedding.adapters.model_files import ModelSource, find_model
from penstock_embedding.adapters.onnx_model import OnnxModel

MODEL = "all-MiniLM-L6-v2"


def vectors_of(texts: Sequence[str]) -> list[list[float]]:
    """Return the unit vector of each text."""
    found = find_model(ModelSource(MODEL))
    with tempfile.TemporaryDirectory() as folder:
        model = OnnxModel(found.tokenizer, prepare(found, Path(folder)).graph, found.max_tokens)
        return [list(map(float, model.run(model.prepare([text]))[0])) for text in texts]
