"""A real HAProxy for tests: a balancer that asks each of its servers whether it is ready."""

from __future__ import annotations

import asyncio
import csv
import shutil
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from penstock_common.testing.ports import free_ports

_CONFIGURATION = """\
global
  stats socket {control} level user
defaults
  mode http
  timeout connect 1s
  timeout client 60s
  timeout server 60s
  # Of a check, not of a request: a machine that runs tests stalls.
  timeout check 5s
frontend public
  bind {address}
  default_backend servers
backend servers
  balance roundrobin
  option httpchk GET /readyz
  default-server check inter 100ms fall 1 rise 1
{servers}
"""


def haproxy_executable() -> Path:
    """Return the path of HAProxy.

    Raises:
        FileNotFoundError: if there is none.
    """
    found = shutil.which("haproxy", path="/usr/local/sbin:/usr/sbin:/usr/local/bin:/usr/bin")
    if found is None:
        raise FileNotFoundError("HAProxy is not installed: run 'apt-get install haproxy'")
    return Path(found)


class HaProxy:
    """Shares requests out over the servers that answer ``GET /readyz`` with 200.

    Args:
        folder: where its files may be; its path must be short enough for a unix socket.
        servers: name to host:port.
    """

    def __init__(self, folder: Path, servers: Mapping[str, str]) -> None:
        self._control = folder / "haproxy.sock"
        self._file = folder / "haproxy.cfg"
        self.address = f"127.0.0.1:{free_ports(1)[0]}"
        lines = (f"  server {name} {address}" for name, address in servers.items())
        text = _CONFIGURATION.format(control=self._control, address=self.address, servers="\n".join(lines))
        self._file.write_text(text)

    async def __aenter__(self) -> Self:
        self._process = await asyncio.create_subprocess_exec(str(haproxy_executable()), "-db", "-f", str(self._file))
        async with asyncio.timeout(60):
            while not self._control.exists():
                assert self._process.returncode is None, "HAProxy has ended"
                await asyncio.sleep(0.01)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process.returncode is None:
            self._process.terminate()
        await self._process.wait()

    async def until_up(self, name: str) -> None:
        """Return once requests go to this server."""
        async with asyncio.timeout(60):
            while not (await self._states())[name].startswith("UP"):
                await asyncio.sleep(0.02)

    async def _states(self) -> dict[str, str]:
        reader, writer = await asyncio.open_unix_connection(self._control)
        writer.write(b"show stat\n")
        table = (await reader.read()).decode().removeprefix("# ")
        writer.close()
        await writer.wait_closed()
        return {row["svname"]: row["status"] for row in csv.DictReader(table.splitlines())}
