"""Runs an ASGI application on a socket with uvicorn, under our own start and end."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import uvicorn

from penstock_common.rpc.server import ListenError
from penstock_common.sections import MutualTls

_UNIX = "unix:"
_BACKLOG = 8192
# Longer than the edge keeps an idle connection, so that it never sends into one that we are closing.
_KEEP_ALIVE_SECONDS = 75
_LAST_RESPONSES = timedelta(seconds=5)


@asynccontextmanager
async def serving_http(application: Any, address: str, tls: MutualTls | None = None) -> AsyncGenerator[None, None]:
    """Serve ``application`` at ``unix:/path`` or ``host:port`` while the context is open; with ``tls``, to proven clients only.

    Raises:
        ListenError: if the address is taken or not ours.
    """
    listener = _bind(address)
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
        **_tls_options(tls),
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
        if address.startswith(_UNIX):
            _unlink(Path(address.removeprefix(_UNIX)))


def _tls_options(tls: MutualTls | None) -> dict[str, Any]:
    if tls is None:
        return {}
    return {
        "ssl_certfile": tls.cert_file,
        "ssl_keyfile": tls.key_file,
        "ssl_ca_certs": str(tls.ca_file),
        "ssl_cert_reqs": ssl.CERT_REQUIRED,
    }


def _bind(address: str) -> socket.socket:
    if address.startswith(_UNIX):
        return _bind_unix(Path(address.removeprefix(_UNIX)))
    host, _, port = address.rpartition(":")
    host = host.strip("[]")
    try:
        return socket.create_server(
            (host, int(port)), family=socket.AF_INET6 if ":" in host else socket.AF_INET, backlog=_BACKLOG
        )
    except (OSError, ValueError) as error:
        raise ListenError(f"cannot listen on {address}: {error}") from None


def _bind_unix(path: Path) -> socket.socket:
    _unlink(path)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(str(path))
    path.chmod(0o600)
    return listener


def _unlink(path: Path) -> None:
    path.unlink(missing_ok=True)
