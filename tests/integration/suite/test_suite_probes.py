"""What an orchestrator is told of a role: over plain HTTP, by the event loop itself."""

from __future__ import annotations

import asyncio
import socket
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import pytest

from penstock_common.rpc.server import ListenError
from penstock_common.testing.ports import free_port
from penstock_suite.adapters import probes
from penstock_suite.adapters.probes import answering_probes


def _asked(address: str, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://{address}{path}", timeout=60) as answer:
            return answer.status, answer.read().decode().strip()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode().strip()


async def _ask(address: str, path: str) -> tuple[int, str]:
    return await asyncio.to_thread(_asked, address, path)


async def test_a_process_lives_before_it_is_ready_and_while_it_ends():
    address = f"127.0.0.1:{free_port()}"
    async with answering_probes(address) as standing:
        seen = [await _ask(address, path) for path in ("/healthz", "/readyz")]
        standing.is_ready = True
        seen += [await _ask(address, path) for path in ("/healthz", "/readyz")]
        standing.is_ready = False
        seen.append(await _ask(address, "/readyz"))
    assert seen == [(200, "ok"), (503, "NOT_SERVING"), (200, "ok"), (200, "SERVING"), (503, "NOT_SERVING")]
    with pytest.raises(urllib.error.URLError):
        await _ask(address, "/healthz")


async def test_nothing_else_is_told():
    address = f"127.0.0.1:{free_port()}"
    async with answering_probes(address):
        assert await _ask(address, "/metrics") == (404, "/healthz or /readyz")


async def test_a_loop_that_stands_is_said_to(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(probes, "PATIENCE_SECONDS", 0.05)
    address = f"127.0.0.1:{free_port()}"
    async with answering_probes(address) as standing:
        standing.is_ready = True
        with ThreadPoolExecutor(1) as pool:
            asked = pool.submit(_asked, address, "/healthz")
            # The loop is the one that waits here.
            assert asked.result(60) == (503, "the event loop stands")
        assert await _ask(address, "/healthz") == (200, "ok"), "it goes on"


async def test_taken_address_is_named():
    with socket.create_server(("127.0.0.1", 0)) as other:
        address = f"127.0.0.1:{other.getsockname()[1]}"
        with pytest.raises(ListenError, match=f"{address} .services.probes_listen.: Address already in use"):
            async with answering_probes(address):
                pass
