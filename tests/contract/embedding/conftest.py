from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from penstock_common.configuration import ConfigurationError
from penstock_common.rpc.client import Channel
from penstock_common.service import Service
from penstock_common.testing.transports import channel_to
from penstock_embedding.adapters.model_files import ModelSource, find_model
from penstock_embedding.app import build
from penstock_embedding.settings import Settings


@pytest.fixture(scope="session")
def cache_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    try:
        find_model(ModelSource("all-MiniLM-L6-v2"))
    except ConfigurationError as error:
        pytest.skip(str(error))
    return tmp_path_factory.mktemp("models")


@pytest.fixture
async def service(cache_dir: Path) -> AsyncIterator[Service]:
    async with build(
        Settings.model_validate({"embedding": {"cache_dir": str(cache_dir), "price": {"input": "0.02"}}})
    ) as service:
        yield service


@pytest.fixture
async def channel(transport: str, service: Service) -> AsyncIterator[Channel]:
    async with channel_to(service, transport) as channel:
        yield channel
