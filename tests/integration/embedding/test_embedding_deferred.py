"""A model that is loaded by whoever asks first."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from penstock_common.configuration import ConfigurationError
from penstock_common.errors import ServiceUnavailable
from penstock_embedding.adapters.deferred_model import DeferredModel
from penstock_embedding.adapters.model_files import ModelFiles
from penstock_embedding.app import build
from penstock_embedding.domain.account import Account
from penstock_embedding.domain.batching import PreparedText
from penstock_embedding.domain.embedder import Vector
from penstock_embedding.settings import Settings


class Model:
    name = "any"
    revision = "1"

    async def prepare(self, texts: Sequence[str]) -> list[PreparedText]:
        return [PreparedText(text, 1, False) for text in texts]

    async def run(self, batch: Sequence[PreparedText], deadline: float | None, account: Account) -> list[Vector]:
        return [[1.0] for _ in batch]


class Opener:
    def __init__(self) -> None:
        self.happened: list[str] = []
        self.failures = 0

    @asynccontextmanager
    async def __call__(self) -> AsyncIterator[Model]:
        self.happened.append("loading")
        await asyncio.sleep(0)
        if self.failures:
            self.failures -= 1
            raise ConfigurationError("no such file")
        yield Model()
        self.happened.append("closed")


async def test_the_first_callers_load_the_model_once() -> None:
    opener = Opener()
    async with DeferredModel.open("any", opener) as model:
        assert (model.name, model.revision, opener.happened) == ("any", "", [])
        prepared = await asyncio.gather(*[model.prepare([text]) for text in "abc"])
        assert opener.happened == ["loading"]
        assert [texts[0].content for texts in prepared] == ["a", "b", "c"]
        assert model.revision == "1"
        assert await model.run(prepared[0], None, Account()) == [[1.0]]
    assert opener.happened == ["loading", "closed"]


async def test_a_model_that_nobody_asks_for_is_never_loaded() -> None:
    opener = Opener()
    async with DeferredModel.open("any", opener):
        pass
    assert opener.happened == []


async def test_a_model_that_cannot_be_loaded_is_unavailable_and_tried_again() -> None:
    opener = Opener()
    opener.failures = 1
    async with DeferredModel.open("any", opener) as model:
        with pytest.raises(ServiceUnavailable, match="cannot be loaded"):
            await model.prepare(["a"])
        assert (await model.prepare(["a"]))[0].content == "a"


async def test_a_caller_whose_time_is_over_leaves_the_model_loading_for_the_next() -> None:
    opener = Opener()
    async with DeferredModel.open("any", opener) as model:
        hasty = asyncio.create_task(model.prepare(["a"]))
        await asyncio.sleep(0)
        hasty.cancel()
        await asyncio.wait([hasty])
        assert (await model.prepare(["b"]))[0].content == "b"
    assert opener.happened == ["loading", "closed"]


async def test_a_model_that_is_loading_at_the_end_is_not_waited_for() -> None:
    loads = asyncio.Event()

    @asynccontextmanager
    async def opener() -> AsyncIterator[Model]:
        loads.set()
        await asyncio.Event().wait()
        yield Model()

    async with DeferredModel.open("any", opener) as model:
        asked = asyncio.create_task(model.prepare(["a"]))
        await loads.wait()
    with pytest.raises(asyncio.CancelledError):
        await asked


async def test_a_service_that_loads_later_has_prepared_nothing_when_it_starts(
    model_files: ModelFiles, tmp_path: Path
) -> None:
    section = {"path": str(model_files.folder), "cache_dir": str(tmp_path / "models"), "load": "on_first_use"}
    async with build(Settings.model_validate({"embedding": section})):
        assert not (tmp_path / "models").exists()


async def test_a_service_that_loads_later_names_a_missing_model_when_it_starts(tmp_path: Path) -> None:
    section = {"path": str(tmp_path), "load": "on_first_use"}
    with pytest.raises(ConfigurationError, match="has no config.json"):
        async with build(Settings.model_validate({"embedding": section})):
            pass
