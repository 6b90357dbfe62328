"""Our ONNX graph against sentence-transformers, on a thousand varied texts, and the runtime that uses the latter.

sentence-transformers needs torch, which `make setup` does not install: `make parity` does, in an environment beside it.
Without it, float32 in numpy stands in on every fifth text; the two agree to the seventh digit.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from batched import batched_vectors  # noqa: E402
from bert_reference import reference_vectors  # noqa: E402
from varied_texts import COUNT, varied_texts  # noqa: E402

from penstock_common.configuration import ConfigurationError  # noqa: E402
from penstock_embedding.adapters.model_files import ModelFiles  # noqa: E402
from penstock_embedding.adapters.onnx_model import OnnxModel  # noqa: E402
from penstock_embedding.app.models import load_torch_model  # noqa: E402
from penstock_embedding.settings import EmbeddingSettings  # noqa: E402

# torch is at work for a minute, and for more where others are at work, too.
pytestmark = pytest.mark.timeout(900)

LEAST_COSINE = 0.99
TEXTS = varied_texts()


@pytest.fixture(scope="module")
def torch_model(model_files: ModelFiles) -> Any:
    pytest.importorskip("sentence_transformers", reason="sentence-transformers is not installed: run 'make parity'")
    settings = EmbeddingSettings(runtime="sentence_transformers", path=model_files.folder, device="cpu")
    model, _ = load_torch_model(settings)
    return model


def test_the_texts_are_a_thousand_and_varied(model: OnnxModel) -> None:
    prepared = model.prepare(TEXTS)
    assert len(TEXTS) == len(set(TEXTS)) == COUNT
    assert all(TEXTS)
    assert sum(text.truncated for text in prepared) > 50
    assert sum(text.tokens <= 5 for text in prepared) > 50
    assert sum(not text.isascii() for text in TEXTS) > 400


def test_vectors_agree_with_float32_of_the_same_weights(model: OnnxModel, model_files: ModelFiles) -> None:
    texts = TEXTS[::5]
    wanted = reference_vectors(model_files.weights, [text.content for text in model.prepare(texts)])
    cosines = (batched_vectors(model, texts) * wanted).sum(axis=1)
    assert cosines.min() >= LEAST_COSINE, texts[int(cosines.argmin())]


def test_vectors_agree_with_sentence_transformers(model: OnnxModel, torch_model: Any) -> None:
    cosines = (batched_vectors(model, TEXTS) * batched_vectors(torch_model, TEXTS)).sum(axis=1)
    worst = int(cosines.argmin())
    print(f"\nworst cosine {cosines[worst]:.5f} of {len(TEXTS)}, mean {cosines.mean():.5f}, at {TEXTS[worst][:40]!r}")
    assert cosines.min() >= LEAST_COSINE, TEXTS[worst]


def test_both_runtimes_count_and_cut_alike(model: OnnxModel, torch_model: Any) -> None:
    ours = [(text.tokens, text.truncated) for text in model.prepare(TEXTS)]
    assert [(text.tokens, text.truncated) for text in torch_model.prepare(TEXTS)] == ours


def test_the_torch_runtimes_vectors_are_those_of_sentence_transformers(torch_model: Any) -> None:
    texts = TEXTS[:50]
    wanted = torch_model.run(torch_model.prepare(texts))
    alone = np.array([torch_model.run(torch_model.prepare([text]))[0] for text in texts])
    assert (alone * np.array(wanted)).sum(axis=1).min() > 0.9999
    assert np.linalg.norm(alone, axis=1) == pytest.approx(np.ones(len(texts)), abs=1e-5)
    assert torch_model.revision.startswith("torch-fp32-")


def test_a_missing_extra_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    with pytest.raises(ConfigurationError, match=r"penstock-embedding\[torch\]"):
        load_torch_model(EmbeddingSettings(runtime="sentence_transformers"))


def test_a_model_that_is_not_there_is_named(torch_model: Any, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be loaded"):
        load_torch_model(EmbeddingSettings(runtime="sentence_transformers", path=tmp_path / "none", device="cpu"))


def test_a_device_that_is_not_there_is_named(torch_model: Any) -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    with pytest.raises(ConfigurationError, match="cuda"):
        load_torch_model(EmbeddingSettings(runtime="sentence_transformers", device="cuda"))
