import asyncio

import pytest
import uvloop

from penstock_common.http import pool


@pytest.hookimpl(optionalhook=True)
def pytest_asyncio_loop_factories(config, item):
    """Both loops: they differ in how a transport pauses, closes and does TLS."""
    return {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


@pytest.fixture(autouse=True)
def no_hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a busy machine a connection's end may be seen late: no test but that of lateness is about it."""
    monkeypatch.setattr(pool, "REPEAT_SECONDS", 600.0)
