"""``stack_in_roots.py PLAN``: the compose file's own services, each in the root of its image, in one network.

The caller has made a network namespace for this process. Users, commands, variables, mounts, secrets and health checks
are those of the compose file and of the Dockerfiles; Redis and PostgreSQL are this machine's, with the compose file's
flags and secrets. Each name is an address of loopback. Prints what came out as one JSON object.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import redis
from image_roots import Layer, Mount, container_of, inside
from redis.backoff import NoBackoff
from redis.retry import Retry

from penstock_common.testing.postgres_server import PostgresServer
from penstock_common.testing.redis_server import redis_executable

JOBS = ("certificates", "database")
ROLES = ("triton", "router", "cache", "embedding", "inference", "gateway", "edge")
# Away, and everything goes on without it.
ABSENT = ("otel-collector",)
_HEALTHY_SECONDS = 90
_STOP_SECONDS = 60
_IFF_UP = 0x1
_SIOCSIFFLAGS, _SIOCGIFFLAGS = 0x8914, 0x8913


class Stack:
    """The services of a compose model, as far as their images were built."""

    def __init__(self, plan: dict[str, Any], stack: ExitStack) -> None:
        self.services: dict[str, Any] = plan["model"]["services"]
        self._secrets: dict[str, Any] = plan["model"]["secrets"]
        self._layers = {name: Layer.loaded(text) for name, text in plan["layers"].items()}
        self._folder = Path(plan["folder"])
        self._deploy, self._copy = plan["deploy"], plan["copy"]
        self._stack = stack
        names = [*self.services, *ABSENT]
        self.addresses = {name: f"127.0.1.{number}" for number, name in enumerate(dict.fromkeys(names), 1)}
        self.hosts = self._folder / "hosts"
        lines = ["127.0.0.1 localhost", *(f"{address} {name}" for name, address in self.addresses.items())]
        self.hosts.write_text("\n".join(lines) + "\n")
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    def secret(self, name: str) -> Path:
        """Return the file of a secret."""
        return self._here(self._secrets[name]["file"])

    def _here(self, source: str) -> Path:
        """Return the copy of what the compose file mounts from deploy/secrets, and anything else as it is."""
        secrets = f"{self._deploy}/secrets"
        return Path(source.replace(secrets, f"{self._copy}/secrets", 1) if source.startswith(secrets) else source)

    def argv(self, name: str, command: list[str] | None = None) -> list[str]:
        """Return what runs the service, or a command beside it, as an engine would."""
        service, layer = self.services[name], self._layers[name]
        mounts = [Mount(self.hosts, "/etc/hosts")]
        for volume in service.get("volumes") or []:
            if volume["type"] == "bind":
                mounts.append(Mount(self._here(volume["source"]), volume["target"], volume.get("read_only", False)))
        for secret in service.get("secrets") or []:
            mounts.append(Mount(self.secret(secret["source"]), f"/run/secrets/{secret['source']}"))
        for entry in service.get("tmpfs") or []:
            target = entry.partition(":")[0]
            if target != "/tmp":
                folder = Path(tempfile.mkdtemp(dir=self._folder))
                folder.chmod(0o1777)
                mounts.append(Mount(folder, target, read_only=False))
        environment = dict(service.get("environment") or {})
        # Containers have a network each, and here one port can be one process's alone.
        environment["PENSTOCK_TELEMETRY__METRICS_LISTEN"] = f"{self.addresses[name]}:9464"
        whole = command or [*layer.entrypoint, *(service.get("command") or layer.command)]
        return inside(layer, whole, environment=environment, mounts=tuple(mounts), user=service["user"])

    def run_job(self, name: str) -> None:
        """Run a one-shot service.

        Raises:
            RuntimeError: if it fails.
        """
        ran = subprocess.run(self.argv(name), capture_output=True, text=True, timeout=60)
        if ran.returncode:
            raise RuntimeError(f"{name} failed: {ran.stdout[-800:]}{ran.stderr[-800:]}")

    def start(self, name: str) -> None:
        """Start a service; it is killed at the end if it has not ended."""
        log = self._stack.enter_context((self._folder / f"{name}.log").open("wb"))
        process = subprocess.Popen(self.argv(name), stdout=log, stderr=subprocess.STDOUT)
        self._stack.callback(_end, process)
        self.processes[name] = process

    def health(self, name: str) -> int:
        """Return the exit code of the image's own health check, run beside the service."""
        return subprocess.run(
            self.argv(name, self._layers[name].healthcheck), capture_output=True, timeout=30
        ).returncode

    def await_health(self, name: str) -> None:
        """Return when the image's own health check says yes."""
        deadline = time.monotonic() + _HEALTHY_SECONDS
        while self.health(name):
            if self.processes[name].poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{name} is not healthy: {(self._folder / f'{name}.log').read_text()[-3000:]}")
            time.sleep(0.1)

    def stop(self, name: str) -> int | None:
        """Send what an engine sends, and return the exit code; None if it had to be killed."""
        process = self.processes[name]
        with contextlib.suppress(ProcessLookupError):
            subprocess.run(["kill", "-TERM", str(container_of(process))], check=False)
        try:
            return process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            return None

    @contextlib.contextmanager
    def redis_server(self, name: str) -> Iterator[None]:
        """Run this machine's Redis with the compose file's flags."""
        folder = Path(tempfile.mkdtemp(dir=self._folder))
        argv = list(self.services[name]["command"])
        argv[0] = str(redis_executable())
        argv[argv.index("--aclfile") + 1] = str(self.secret("redis-users"))
        argv[argv.index("--dir") + 1] = str(folder)
        process = subprocess.Popen([*argv, "--bind", self.addresses[name]], stdout=subprocess.DEVNULL)
        try:
            _await_port(self.addresses[name], 6379)
            yield
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait()
            shutil.rmtree(folder)

    @contextlib.contextmanager
    def postgres_server(self) -> Iterator[None]:
        """Run this machine's PostgreSQL where the configuration expects it."""
        password = self.secret("postgres-password").read_text().strip()
        with PostgresServer(password=password) as server:
            asyncio.run(_make_database(server.url_over_tcp(), self.services["postgres"]["environment"]["POSTGRES_DB"]))
            with _forwarding((self.addresses["postgres"], 5432), server.port):
                yield


def _end(process: subprocess.Popen[bytes]) -> None:
    """Kill what still runs in a root, and then what keeps it there: alone, that would leave it behind."""
    if process.poll() is None:
        with contextlib.suppress(OSError, RuntimeError):
            os.kill(container_of(process), signal.SIGKILL)
    process.kill()
    process.wait()


async def _make_database(url: str, name: str) -> None:
    import asyncpg

    connection = await asyncpg.connect(url)
    await connection.execute(f'CREATE DATABASE "{name}"')
    await connection.close()


@contextlib.contextmanager
def _forwarding(place: tuple[str, int], port: int) -> Iterator[None]:
    """Carry connections to ``place`` on to a port of this machine."""

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        writer.close()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(carry(reader, inner_writer), carry(inner_reader, writer))

    loop = asyncio.new_event_loop()
    server = loop.run_until_complete(asyncio.start_server(accept, *place))
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        yield
    finally:
        loop.call_soon_threadsafe(server.close)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()


def _await_port(host: str, port: int) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            socket.create_connection((host, port), 1).close()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)
        else:
            return


def _bring_loopback_up() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        request = struct.pack("16sh14s", b"lo", 0, b"")
        flags = struct.unpack("16sh14s", fcntl.ioctl(any_socket, _SIOCGIFFLAGS, request))[1]
        fcntl.ioctl(any_socket, _SIOCSIFFLAGS, struct.pack("16sh14s", b"lo", flags | _IFF_UP, b""))


def ask(url: str, key: str = "", body: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return status, headers and body."""
    headers = {"content-type": "application/json", **({"authorization": f"Bearer {key}"} if key else {})}
    request = urllib.request.Request(url, json.dumps(body).encode() if body is not None else None, headers)
    try:
        with urllib.request.urlopen(request, timeout=60) as response:
            return {"status": response.status, "headers": dict(response.headers), "body": response.read().decode()}
    except urllib.error.HTTPError as error:
        return {"status": error.code, "headers": dict(error.headers), "body": error.read().decode()}


def ask_until_kept(chat: str, key: str, body: dict[str, Any]) -> dict[str, Any]:
    """Return the first answer that is a kept one: answers are kept behind the callers' backs, and a busy cache is passed by."""
    for _ in range(50):
        told = ask(chat, key, body)
        if told["headers"].get("X-Penstock-Cache", "").startswith("hit"):
            break
        time.sleep(0.2)
    return told


def _redis_facts(stack: Stack, name: str) -> dict[str, Any]:
    password = stack.secret("redis-password").read_text().strip()
    host = stack.addresses[name]
    try:
        # By default it would try again for seconds.
        stranger = str(redis.Redis(host, retry=Retry(NoBackoff(), 0)).ping())
    except redis.AuthenticationError as error:
        stranger = type(error).__name__
    with redis.Redis(host, password=password) as client:
        settings = {key: client.config_get(key)[key] for key in ("maxmemory-policy", "appendonly", "maxmemory")}
        return {"stranger": stranger, "keys": client.dbsize(), **settings}


def run(plan: dict[str, Any]) -> dict[str, Any]:
    """Return what came out."""
    facts: dict[str, Any] = {}
    with ExitStack() as exits:
        stack = Stack(plan, exits)
        stack.run_job("certificates")
        for name in ("redis-state", "redis-cache"):
            exits.enter_context(stack.redis_server(name))
        exits.enter_context(stack.postgres_server())
        stack.run_job("database")
        facts["health_before"] = {"router": stack.health("router")}
        for name in ROLES[:-2]:
            stack.start(name)
        for name in ROLES[:-2]:
            stack.await_health(name)
        for name in ROLES[-2:]:
            stack.start(name)
            stack.await_health(name)
        facts["writes"] = subprocess.run(
            stack.argv("router", ["/bin/sh", "-c", "touch /x || touch /opt/penstock/x"]), capture_output=True, text=True
        ).stderr
        edge = f"http://{stack.addresses['edge']}:8080"
        key = stack.secret("demo-key").read_text().strip()
        body = {
            "model": "penstock-demo",
            "temperature": 0,
            "messages": [{"role": "user", "content": "What does the router do?"}],
        }
        chat = f"{edge}/v1/chat/completions"
        facts["ready"] = ask(f"{edge}/readyz")["status"]
        facts["chats"] = [ask(chat, key, body), ask_until_kept(chat, key, body)]
        facts["stranger"] = ask(chat, "another", body)["status"]
        facts["typed"] = ask(f"{edge}/api/v1/models", key)
        facts["embeddings"] = ask(f"{edge}/v1/embeddings", key, {"model": "all-MiniLM-L6-v2", "input": ["a", "b"]})
        facts["administration"] = {
            name: ask(f"{edge}/api/v1/admin/tenants", stack.secret(f"{name}-key").read_text().strip())["status"]
            for name in ("operator", "demo")
        }
        made = subprocess.run(
            stack.argv("gateway", ["penstock", "keys", "create", "--tenant", "demo", "--json"]),
            capture_output=True,
            text=True,
        )
        facts["command"] = (
            made.stdout + made.stderr
            if made.returncode
            else ask_until_kept(chat, json.loads(made.stdout)["key"], body)["status"]
        )
        facts["redis"] = {name: _redis_facts(stack, name) for name in ("redis-state", "redis-cache")}
        facts["metrics"] = {
            name: ask(f"http://{stack.addresses[name]}:9464/metrics")["body"]
            for name in ROLES
            if name not in ("edge", "triton")
        }
        facts["metrics"]["triton"] = ask(f"http://{stack.addresses['triton']}:8002/metrics")["body"]
        facts["exits"] = {name: stack.stop(name) for name in reversed(ROLES)}
        facts["tables"] = sorted(_tables(stack))
    return facts


def _tables(stack: Stack) -> list[str]:
    import asyncpg

    async def names() -> list[str]:
        password = stack.secret("postgres-password").read_text().strip()
        connection = await asyncpg.connect(f"postgresql://penstock:{password}@{stack.addresses['postgres']}/penstock")
        try:
            rows = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
            return [row[0] for row in rows]
        finally:
            await connection.close()

    return asyncio.run(names())


if __name__ == "__main__":
    _bring_loopback_up()
    json.dump(run(json.loads(Path(sys.argv[1]).read_text())), sys.stdout)
