from __future__ import annotations

from pathlib import Path

import pytest

from penstock_common.configuration import ConfigurationError
from penstock_embedding.adapters.model_cache import prepare
from penstock_embedding.adapters.model_files import ModelFiles, ModelSource, find_model
from penstock_embedding.adapters.onnx_model import OnnxModel

MODEL = "all-MiniLM-L6-v2"


@pytest.fixture(scope="session")
def model_files() -> ModelFiles:
    try:
        return find_model(ModelSource(MODEL))
    except ConfigurationError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def cache_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model cache of this session's own, so that the graph under test is built from the code under test."""
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="session")
def model(model_files: ModelFiles, cache_dir: Path) -> OnnxModel:
    prepared = prepare(model_files, cache_dir)
    return OnnxModel(model_files.tokenizer, prepared.graph, model_files.max_tokens)
