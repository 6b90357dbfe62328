"""The edge: the Go program on the public HTTP port."""

from __future__ import annotations

import asyncio
import shutil
import ssl
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from penstock_suite.adapters.addresses import Address
from penstock_suite.adapters.process import Command, Probe
from penstock_suite.domain.failure import SuiteFailure

EXECUTABLE = "penstock-edge"

OK = 200

_PROBE_TIMEOUT_SECONDS = 2.0
# Of a proxy that asks for itself (haproxy.org, proxy-protocol.txt, section 2.1).
_OF_NOBODY = b"PROXY UNKNOWN\r\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class EdgeOptions:
    """Where the edge listens, whom it calls, and what it traces."""

    listen: Address
    gateway_grpc: tuple[str, ...]
    """host:port or unix:///path of each gateway."""
    gateway_sockets: tuple[Path, ...]
    """Where each serves the wire formats."""
    token: Path
    """The file of what proves it to the gateway."""
    certificate: Path | None = None
    private_key: Path | None = None
    cors_origins: tuple[str, ...] = ()
    pages: bool = True
    otlp: str = ""
    sample_ratio: float = 1.0
    parent_sampling: str = "trusted"
    trusted_proxies: Sequence[str] = ()
    proxy_protocol: bool = False
    grace: timedelta = timedelta(seconds=30)
    longest_answer: timedelta = timedelta(seconds=610)
    """When the edge cuts an answer that the gateway has not ended."""


def edge_executable(configured: Path | None) -> Path:
    """Return the path of the edge: configured, beside this Python, or on the path.

    Raises:
        SuiteFailure: if there is none.
    """
    if configured is not None:
        if configured.is_file():
            return configured
        raise SuiteFailure(f"'local.edge' names {configured}, which is not there")
    beside = Path(sys.executable).parent / EXECUTABLE
    if beside.is_file():
        return beside
    found = shutil.which(EXECUTABLE)
    if found is not None:
        return Path(found)
    raise SuiteFailure(f"there is no {EXECUTABLE} beside {sys.executable} or on the path: run 'make setup'")


def edge_command(executable: Path, options: EdgeOptions) -> Command:
    """Return the command of an edge in front of the gateway."""
    arguments = {
        "listen": str(options.listen),
        "gateway-grpc": ",".join(options.gateway_grpc),
        "gateway-http": ",".join(f"unix://{socket}" for socket in options.gateway_sockets),
        "gateway-token-file": str(options.token),
        "tls-cert": str(options.certificate or ""),
        "tls-key": str(options.private_key or ""),
        "cors-origins": ",".join(options.cors_origins),
        "pages": str(options.pages).lower(),
        "otlp": options.otlp,
        "trace-sample-ratio": str(options.sample_ratio),
        "parent-sampling": options.parent_sampling,
        "trusted-proxies": ",".join(options.trusted_proxies),
        "proxy-protocol": str(options.proxy_protocol).lower(),
        # Nobody could be sent to another edge.
        "drain-notice": "0s",
        "response-timeout": f"{options.longest_answer.total_seconds()}s",
        "grace": f"{options.grace.total_seconds()}s",
    }
    return Command(
        name="edge",
        title="The edge",
        argv=(str(executable), *(f"--{name}={value}" for name, value in arguments.items())),
        stop_timeout=options.grace + timedelta(seconds=5),
    )


@dataclass(frozen=True, slots=True)
class Door:
    """How the edge's port is entered from this machine."""

    tls: bool = False
    as_proxy: bool = False
    """Whether it waits for a PROXY header first, as this machine is one of its trusted proxies."""


def edge_probe(address: Address, path: str, *, tls: bool, as_proxy: bool = False) -> Probe:
    """Return a probe that is true when ``path`` answers 200."""

    async def answers() -> bool:
        return await http_status(address, path, Door(tls, as_proxy)) == OK

    return answers


async def http_status(address: Address, path: str, door: Door) -> int:
    """Return the status of a GET; 0 if nobody answers."""
    try:
        async with asyncio.timeout(_PROBE_TIMEOUT_SECONDS):
            return await _status(address, path, door)
    except (OSError, ValueError, IndexError):
        return 0


async def _status(address: Address, path: str, door: Door) -> int:
    reader, writer = await asyncio.open_connection(address.host, address.port)
    try:
        if door.as_proxy:
            writer.write(_OF_NOBODY)
        if door.tls:
            # We ask our own child on this machine; its certificate names another host.
            context = ssl.create_default_context()
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
            await writer.start_tls(context)
        writer.write(f"GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n".encode())
        return int((await reader.readline()).split()[1])
    finally:
        writer.close()
