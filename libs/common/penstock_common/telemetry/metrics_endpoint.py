"""Where Prometheus scrapes."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from prometheus_client import CollectorRegistry, start_http_server

from penstock_common.rpc.server import ListenError


@asynccontextmanager
async def serving_metrics(registry: CollectorRegistry, address: str) -> AsyncGenerator[None, None]:
    """Serve the registry on ``host:port`` while the context is open; nowhere if it is empty.

    Raises:
        ListenError: if the address is taken or not ours.
    """
    if not address:
        yield
        return
    host, _, port = address.rpartition(":")
    try:
        server, thread = start_http_server(int(port), host or "127.0.0.1", registry)
    except OSError as error:
        raise ListenError(f"cannot listen on {address} (telemetry.metrics_listen): {error.strerror}") from None
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
