"""Every role as a process of its own, over certificates both ways; only the upstreams are programmable."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import grpc
import pytest
import pytest_asyncio
from openai import AsyncOpenAI

from penstock_common.configuration import ConfigurationError
from penstock_common.testing.certificates import CertificateFiles
from penstock_common.testing.name_server import NameServer
from penstock_common.testing.openai_upstream import OpenAIUpstream
from penstock_common.testing.ports import free_ports
from penstock_common.testing.redis_server import RedisServer
from penstock_embedding.adapters.model_files import ModelSource, find_model

KEY = "key-of-app-key-of-app"
ROLES = ("router", "cache", "inference", "gateway")
OPTIONAL_ROLES = ("embedding",)
EMBEDDING_MODEL = "all-MiniLM-L6-v2"
_READY_SECONDS = 100
_STOP_SECONDS = 60
_UNLIMITED = {"requests_per_minute": 1_000_000}


@dataclass
class Role:
    """One running process."""

    name: str
    process: asyncio.subprocess.Process

    def kill(self) -> None:
        self.process.kill()

    async def stop(self) -> int:
        """Ask for the end, and return the exit code."""
        if self.process.returncode is None:
            self.process.send_signal(signal.SIGTERM)
        await asyncio.wait_for(self.process.communicate(), _STOP_SECONDS)
        assert self.process.returncode is not None
        return self.process.returncode


@dataclass
class Fleet:
    """A configuration, and the processes that run by it."""

    folder: Path
    document: dict[str, Any]
    pki: CertificateFiles
    http: str = ""
    grpc: str = ""
    roles: dict[str, Role] = field(default_factory=dict[str, Role])
    session: Any = None

    @property
    def config(self) -> Path:
        return self.folder / "penstock.yaml"

    def write(self) -> None:
        """Write the configuration as it stands."""
        self.config.write_text(json.dumps(self.document))

    async def start(self, name: str, *, label: str = "", overrides: Mapping[str, str] | None = None) -> Role:
        """Return the role once it says that it is ready; ``overrides`` are environment variables."""
        self.write()
        errors = (self.folder / f"{label or name}.stderr").open("ab")
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "penstock_suite", "serve", name, "--config", str(self.config), "--json", "--grace", "10s",
            stdout=asyncio.subprocess.PIPE, stderr=errors, env={**_environment(), **(overrides or {})},
        )  # fmt: skip
        errors.close()
        role = self.roles[label or name] = Role(name, process)
        await asyncio.wait_for(_ready(process, self.folder / f"{label or name}.stderr"), _READY_SECONDS)
        return role

    async def start_edge(self, label: str = "edge", **options: str) -> Role:
        """Start an edge in front of the gateway; requests go to the first."""
        beside = Path(sys.executable).with_name("penstock-edge")
        services, listen = self.document["services"], self.document["listen"]
        arguments = {
            "listen": f"127.0.0.1:{free_ports(1)[0]}",
            "gateway-grpc": listen["grpc"],
            "gateway-http": f"https://{services['gateway']['listen']}",
            "gateway-ca": str(self.pki.ca),
            "gateway-cert": str(self.pki.cert),
            "gateway-key": str(self.pki.key),
            **options,
        }
        with (self.folder / "edge.stderr").open("ab") as errors:
            process = await asyncio.create_subprocess_exec(
                str(beside),
                *(f"--{name}={value}" for name, value in arguments.items()),
                stderr=errors,
                env=_environment(),
            )
        http = f"http://{arguments['listen']}"
        self.http = self.http or http
        role = self.roles[label] = Role("edge", process)
        async with asyncio.timeout(60):
            while await self._status(f"{http}/readyz") != 200:
                await asyncio.sleep(0.02)
        return role

    async def _status(self, url: str) -> int:
        try:
            async with self.session.get(url) as response:
                return response.status
        except aiohttp.ClientError:
            return 0

    async def ask(self, text: str = "Hi", **body: Any) -> tuple[int, dict[str, Any], Mapping[str, str]]:
        """Return status, body and header of a chat through the edge."""
        async with self.open_chat(text, **body) as response:
            return response.status, await response.json(), response.headers

    def open_chat(self, text: str, **body: Any) -> Any:
        """Return a chat through the edge, to be entered."""
        sent = {"model": "fast", "messages": [{"role": "user", "content": text}], **body}
        headers = {"authorization": f"Bearer {KEY}"}
        return self.session.post(f"{self.http}/v1/chat/completions", json=sent, headers=headers)

    async def ask_typed(self, text: str) -> tuple[int, dict[str, Any], Mapping[str, str]]:
        """Return status, body and header of a chat through typed REST."""
        sent = {"input": {"model": "fast", "messages": [{"role": "ROLE_USER", "parts": [{"text": text}]}]}}
        headers = {"authorization": f"Bearer {KEY}"}
        async with self.session.post(f"{self.http}/api/v1/chat", json=sent, headers=headers) as response:
            return response.status, await response.json(), response.headers

    async def embed(self, text: str) -> tuple[int, dict[str, Any], Mapping[str, str]]:
        """Return status, body and header of an embedding through the edge."""
        sent, headers = {"model": EMBEDDING_MODEL, "input": text}, {"authorization": f"Bearer {KEY}"}
        async with self.session.post(f"{self.http}/v1/embeddings", json=sent, headers=headers) as response:
            return response.status, await response.json(), response.headers

    def sdk(self, key: str = KEY) -> AsyncOpenAI:
        return AsyncOpenAI(base_url=f"{self.http}/v1", api_key=key, max_retries=0)

    def channel(self) -> grpc.aio.Channel:
        """Return a caller's channel to the public gRPC port."""
        return grpc.aio.secure_channel(self.grpc, grpc.ssl_channel_credentials(self.pki.ca.read_bytes()))

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "penstock_suite", *arguments, "--config", str(self.config)]


def _environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PENSTOCK_")}
    # Milliseconds between two exports of spans; OpenTelemetry's own are 5,000.
    return {**kept, "OTEL_BSP_SCHEDULE_DELAY": "200"}


async def _ready(process: asyncio.subprocess.Process, errors: Path) -> None:
    assert process.stdout is not None
    async for line in process.stdout:
        event = json.loads(line)
        if event["event"] == "ready":
            return
        assert event["event"] != "failed", event["message"]
    raise AssertionError(f"it ended before it was ready: {errors.read_text()[-3000:]}")


def configuration(folder: Path, pki: CertificateFiles, upstream: OpenAIUpstream, redis_url: str) -> dict[str, Any]:
    """Return one file for all roles."""
    for name in ("pepper", "cache_key"):
        (folder / name).write_bytes(os.urandom(32))
    router, cache, inference, wire, public = free_ports(5)
    model = {
        "name": "m1", "context_window": 8000, "capabilities": ["chat", "tools", "json_schema", "vision"],
        "price": {"input": 1, "output": 2},
    }  # fmt: skip
    places = {
        name: {"target": f"ipv4:127.0.0.1:{port}", "listen": f"127.0.0.1:{port}"}
        for name, port in (("router", router), ("cache", cache), ("inference", inference))
    }
    return {
        "listen": {"grpc": f"127.0.0.1:{public}", "tls": {"cert_file": str(pki.cert), "key_file": str(pki.key)}},
        "upstreams": [
            {"name": "first", "provider": "openai_compatible", "base_url": upstream.base_url,
             "api_key": "${UPSTREAM_KEY}", "models": [model]}
        ],
        "models": [{"name": "fast", "candidates": ["first/m1"]}],
        "tenants": [{"name": "app", "tier": _UNLIMITED, "keys": [KEY]}],
        "services": {
            **places,
            "gateway": {"listen": f"127.0.0.1:{wire}"},
            "tls": {"cert_file": str(pki.cert), "key_file": str(pki.key), "ca_file": str(pki.ca)},
        },
        "sql": f"sqlite:///{folder}/penstock.db",
        "redis": {"state": redis_url, "cache": redis_url},
        "secrets": {"key_pepper_file": f"{folder}/pepper", "cache_key_file": f"{folder}/cache_key"},
        # Machines that run tests stall for longer than Redis ever would.
        "gateway": {"redis_timeout": "2s", "cache_lookup_timeout": "5s", "router_timeout": "10s", "key_lookup_timeout": "20s"},
        "cache": {"redis_timeout": "2s"},
    }  # fmt: skip


@pytest.fixture(scope="session")
def edge() -> None:
    if not Path(sys.executable).with_name("penstock-edge").is_file():
        pytest.skip("the edge is not built: run 'make setup'")


@pytest.fixture
async def upstream() -> AsyncIterator[OpenAIUpstream]:
    """The upstream that answers ``fast``."""
    async with OpenAIUpstream() as server:
        yield server


@pytest.fixture
async def names() -> AsyncIterator[NameServer]:
    """The DNS of replicas."""
    async with NameServer() as server:
        yield server


@asynccontextmanager
async def fleet_in(folder: Path, upstream: OpenAIUpstream) -> AsyncIterator[Fleet]:
    """Yield a configuration of which nothing runs yet; what is started by it has ended on exit."""
    with RedisServer() as redis:
        pki = CertificateFiles.make(folder, "*.penstock.test")
        document = configuration(folder, pki, upstream, redis.url)
        fleet = Fleet(folder, document, pki, grpc=document["listen"]["grpc"])
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
            fleet.session = session
            try:
                yield fleet
            finally:
                for role in fleet.roles.values():
                    if role.process.returncode is None:
                        role.kill()
                        await role.process.communicate()


@pytest.fixture
async def idle_fleet(tmp_path: Path, upstream: OpenAIUpstream) -> AsyncIterator[Fleet]:
    """A configuration of which nothing runs yet; what a test starts is ended for it."""
    async with fleet_in(tmp_path, upstream) as fleet:
        yield fleet


async def _upgrade(fleet: Fleet) -> None:
    """Make the database."""
    fleet.write()
    process = await asyncio.create_subprocess_exec(
        *fleet.command("db", "upgrade"), stdout=asyncio.subprocess.DEVNULL, env=_environment()
    )
    assert await process.wait() == 0


async def _start_all(fleet: Fleet, **edge_options: str) -> None:
    configured = [role for role in OPTIONAL_ROLES if role in fleet.document]
    async with asyncio.TaskGroup() as starting:
        for name in (*ROLES, *configured):
            starting.create_task(fleet.start(name, overrides={"UPSTREAM_KEY": "sk-upstream"}))
    await fleet.start_edge(**edge_options)


@pytest.fixture
def upgraded() -> Callable[[Fleet], Any]:
    """A function that makes a fleet's database."""
    return _upgrade


@pytest.fixture
def roles() -> Callable[..., Any]:
    """A function that starts every role, and the edge with the options given."""
    return _start_all


@pytest.fixture(scope="session")
def prepared_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the embedding model is prepared, once."""
    return tmp_path_factory.mktemp("models")


@pytest.fixture
def embedding(idle_fleet: Fleet, prepared_models: Path) -> None:
    """An embedding model among the roles."""
    try:
        find_model(ModelSource(EMBEDDING_MODEL))
    except ConfigurationError as error:
        pytest.skip(str(error))
    (port,) = free_ports(1)
    idle_fleet.document["embedding"] = {"model": EMBEDDING_MODEL, "cache_dir": str(prepared_models)}
    place = {"target": f"ipv4:127.0.0.1:{port}", "listen": f"127.0.0.1:{port}"}
    idle_fleet.document["services"]["embedding"] = place


@pytest.fixture
async def fleet(edge: None, idle_fleet: Fleet) -> Fleet:
    """Six processes: edge, gateway, router, cache, inference and Redis."""
    await _upgrade(idle_fleet)
    await _start_all(idle_fleet)
    return idle_fleet


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def standing(edge: None, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[Fleet, OpenAIUpstream]]:
    """Six processes that no test of a module ends, and whom they ask: to start them takes longer than most tests."""
    async with OpenAIUpstream() as upstream, fleet_in(tmp_path_factory.mktemp("standing"), upstream) as fleet:
        await _upgrade(fleet)
        await _start_all(fleet)
        yield fleet, upstream


@pytest.fixture
def run_command() -> Callable[..., Any]:
    """A function that runs a command and returns its exit code and words."""

    async def run(fleet: Fleet, *arguments: str) -> tuple[int, str]:
        process = await asyncio.create_subprocess_exec(
            *fleet.command(*arguments),
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT, env=_environment(),
        )  # fmt: skip
        words, _ = await asyncio.wait_for(process.communicate(), _READY_SECONDS)
        return process.returncode or 0, words.decode()

    return run
