"""A package that fails, as `llmlingua` does of a model that is not there: the context stays as it is, and the request goes on."""

import sys
from types import SimpleNamespace

import msgspec
import pytest

from penstock_gateway.adapters.llmlingua import LlmLingua
from penstock_gateway.domain.compression.compressor import Compressor
from penstock_gateway.domain.compression.terms import Method, Terms

TEXT = "Station A has 12 pumps. " * 40
TERMS = Terms(method=Method.LLMLINGUA2, llmlingua2_model="own", min_tokens=10)


class Package:
    """What `llmlingua` offers; ``failing`` is who fails: nobody, whoever loads the model, or whoever runs it."""

    def __init__(self):
        self.failing, self.loaded = "", []

    def PromptCompressor(self, model, **_):  # noqa: N802 - the package's own name
        self.loaded.append(model)
        if self.failing == "load":
            raise OSError("there is no such model")
        return self

    def compress_prompt(self, texts, **_):
        if self.failing == "run":
            raise NotImplementedError
        return {"compressed_prompt": texts[0][: len(texts[0]) // 2]}


@pytest.fixture
def package(monkeypatch):
    made = Package()
    monkeypatch.setitem(sys.modules, "llmlingua", SimpleNamespace(PromptCompressor=made.PromptCompressor))
    return made


@pytest.mark.parametrize("failing", ["load", "run"])
async def test_a_context_stays_as_it_is_where_the_model_fails(package, failing):
    package.failing = failing
    compressor = Compressor(None, LlmLingua())
    found = await compressor.compressed(TEXT, "", TERMS, patience_seconds=60.0)
    assert (found.text, found.reason) == (TEXT, "failed")
    package.failing = ""
    assert len((await compressor.compressed(TEXT, "", TERMS, patience_seconds=60.0)).text) < len(TEXT)


async def test_each_model_is_loaded_once(package):
    compressor = Compressor(None, LlmLingua())
    for model in ("own", "other", "own"):
        await compressor.compressed(
            TEXT, "", msgspec.structs.replace(TERMS, llmlingua2_model=model), patience_seconds=60.0
        )
    assert package.loaded == ["own", "other"]
