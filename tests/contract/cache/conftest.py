from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from penstock_cache.app import build
from penstock_cache.settings import Settings
from penstock_common.rpc.client import Channel
from penstock_common.testing.transports import channel_to


@pytest.fixture
async def channel(transport: str, tmp_path: Path) -> AsyncIterator[Channel]:
    key_file = tmp_path / "cache.key"
    key_file.write_bytes(os.urandom(32).hex().encode())
    settings = Settings.model_validate({"secrets": {"cache_key_file": str(key_file)}})
    async with build(settings) as service, channel_to(service, transport) as channel:
        yield channel
