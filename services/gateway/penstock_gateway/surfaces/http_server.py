"""Runs an ASGI application on a socket with uvicorn, under our own start and end."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import uvicorn

_BACKLOG = 8192
# Longer than the edge keeps an idle connection, so that it never sends into one that we are closing.
_KEEP_ALIVE_SECONDS = 75
_LAST_RESPONSES = timedelta(seconds=5)


@asynccontextmanager
async def serving_http(application: Any, path: Path) -> AsyncGenerator[None, None]:
    """Serve ``application`` on a unix socket at ``path`` while the context is open."""
    listener = _bind(path)
    config = uvicorn.Config(
        application,
        http="httptools",
        ws="none",
        lifespan="off",
        interface="asgi3",
        access_log=False,
        log_config=None,
        server_header=False,
        proxy_headers=False,
        backlog=_BACKLOG,
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=int(_LAST_RESPONSES.total_seconds()),
    )
    config.load()
    server = uvicorn.Server(config)
    server.lifespan = config.lifespan_class(config)
    await server.startup([listener])
    ticking = asyncio.get_running_loop().create_task(server.main_loop())
    try:
        yield
    finally:
        server.should_exit = True
        await ticking
        await server.shutdown([listener])
        _unlink(path)


def _bind(path: Path) -> socket.socket:
    _unlink(path)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(str(path))
    path.chmod(0o600)
    return listener


def _unlink(path: Path) -> None:
    path.unlink(missing_ok=True)
