"""A configuration with an embedding model, for suites that serve one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from penstock_common.configuration import ConfigurationError
from penstock_embedding.adapters.model_files import ModelSource, find_model

MODEL = "all-MiniLM-L6-v2"


def embedding_section(cache_dir: Path) -> dict[str, Any]:
    """Return the section; skips the test where the model's weights are not installed."""
    try:
        find_model(ModelSource(MODEL))
    except ConfigurationError as error:
        pytest.skip(str(error))
    return {"cache_dir": str(cache_dir), "price": {"input": "0.02"}}
