"""The whole suite in one process: real services, Redis, SQLite and sockets; only the upstreams are programmable."""

from __future__ import annotations

import asyncio
import io
import json
import shutil
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import grpc
import pytest
import sqlalchemy as sa
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncEngine

import penstock_cache.app
import penstock_embedding.app
import penstock_gateway.app.gateway
import penstock_gateway.settings
import penstock_inference.app
import penstock_router.app
from penstock_common.configuration import Configuration
from penstock_common.service import Service
from penstock_common.sql.database import open_database
from penstock_common.sql.schema import upgrade
from penstock_common.testing.openai_upstream import OpenAIUpstream
from penstock_common.testing.postgres_server import PostgresServer
from penstock_common.testing.redis_server import RedisServer
from penstock_common.testing.transports import IN_PROCESS, channel_to
from penstock_gateway.adapters.sql.schema import FEEDBACK, GATEWAY, SCHEMAS
from penstock_gateway.surfaces.public import RunningGateway

URL = "http://penstock"
_MIB = 1024 * 1024
CHAT_URL = f"{URL}/v1/chat/completions"

_SERVICES = (penstock_router, penstock_cache, penstock_inference)


@dataclass
class Answered:
    """What a caller of the HTTP surface got; ``header`` by lower-case name."""

    status: int
    header: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> dict[str, Any]:
        return self.json["error"]

    @property
    def frames(self) -> list[str]:
        """The server-sent events and comments, in order."""
        return self.body.decode().split("\n\n")[:-1]

    @property
    def chunks(self) -> list[dict[str, Any]]:
        """The JSON of the events, ``[DONE]`` left out."""
        return [json.loads(frame[6:]) for frame in self.frames if frame.startswith("data: {")]


@dataclass
class Suite:
    """A running suite, and its callers' side. ``ledger_after_close`` ends it."""

    KEY = "demo-key-demo-key-demo"
    OTHER_KEY = "other-key-other-key-1"
    FREE_KEY = "free-key-free-key-free"
    """Three requests a minute, two at once."""
    NARROW_KEY = "narrow-key-narrow-key"
    """May only use the model ``safe``."""
    OPERATOR_KEY = "operator-key-operator"

    gateway: RunningGateway
    state: Path
    http: aiohttp.ClientSession
    channel: grpc.aio.Channel
    stack: AsyncExitStack = field(repr=False)

    @property
    def http_socket(self) -> str:
        return str(self.state / "http.sock")

    async def ask(
        self, text: str = "Hi", *, key: str = KEY, headers: Mapping[str, str] | None = None, **body: Any
    ) -> Answered:
        """Return the answer to a chat; ``body`` adds to the request or replaces its parts."""
        body = {"model": "fast", "messages": [{"role": "user", "content": text}], **body}
        return await self.post(json.dumps(body).encode(), key=key, headers=headers)

    async def post(self, body: bytes, *, key: str = KEY, headers: Mapping[str, str] | None = None) -> Answered:
        head = {"authorization": f"Bearer {key}", **(headers or {})}
        # aiohttp warns of large bodies that are not files.
        data = io.BytesIO(body) if len(body) > _MIB else body
        return await self.request("POST", "/v1/chat/completions", data=data, headers=head)

    def open_stream(self, text: str = "Hi", *, key: str = KEY, **body: Any) -> Any:
        """Return the context of a streamed chat's response, entered once its head is there."""
        body = {"model": "fast", "messages": [{"role": "user", "content": text}], "stream": True, **body}
        return self.http.post(CHAT_URL, json=body, headers={"authorization": f"Bearer {key}"})

    async def request(self, method: str, path: str, **options: Any) -> Answered:
        async with self.http.request(method, f"{URL}{path}", **options) as response:
            header = {name.lower(): value for name, value in response.headers.items()}
            return Answered(response.status, header, await response.read())

    async def ledger_after_close(self) -> list[dict[str, Any]]:
        """Close the suite, and return every row its ledger has, oldest first."""
        await self.stack.aclose()
        with sqlite3.connect(self.state / "penstock.db") as database:
            database.row_factory = sqlite3.Row
            rows = [dict(row) for row in database.execute("SELECT * FROM ledger ORDER BY created_at")]
        database.close()
        return rows


Serve = Callable[..., Awaitable[Suite]]


@pytest.fixture
async def upstream() -> AsyncIterator[OpenAIUpstream]:
    """The upstream ``first``, which answers what callers call ``fast``."""
    async with OpenAIUpstream() as server:
        yield server


@pytest.fixture
async def second_upstream() -> AsyncIterator[OpenAIUpstream]:
    """The upstream ``second``, which steps in for ``first`` under the name ``safe``."""
    async with OpenAIUpstream() as server:
        yield server


@pytest.fixture
def redis_server() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file that has the schema: to copy it takes a fraction of what its making takes."""
    path = tmp_path_factory.mktemp("migrated") / "penstock.db"
    engine = sa.create_engine(f"sqlite:///{path}")
    with engine.begin() as connection:
        for schema in SCHEMAS:
            schema.upgrade_to(connection)
    engine.dispose()
    return path


@pytest.fixture
def document(
    upstream: OpenAIUpstream, second_upstream: OpenAIUpstream, redis_server: RedisServer, migrated: Path, tmp_path: Path
) -> dict[str, Any]:
    """The configuration, for a test to change before it serves."""
    shutil.copy(migrated, tmp_path / "penstock.db")
    (tmp_path / "pepper").write_bytes(b"p" * 32)
    (tmp_path / "cache_key").write_bytes(b"c" * 32)
    unlimited = {"requests_per_minute": 100_000}
    return {
        "upstreams": [_upstream("first", upstream), _upstream("second", second_upstream)],
        "models": [
            {"name": "fast", "candidates": ["first/m1"]},
            {"name": "safe", "candidates": ["first/m1", "second/m1"]},
        ],
        "tenants": [
            {"name": "demo", "tier": unlimited, "keys": [Suite.KEY]},
            {"name": "other", "tier": unlimited, "keys": [Suite.OTHER_KEY]},
            {"name": "free", "tier": {"requests_per_minute": 3, "concurrent_requests": 2}, "keys": [Suite.FREE_KEY]},
            {"name": "narrow", "tier": unlimited, "keys": [Suite.NARROW_KEY], "models": ["safe"]},
        ],
        "operator": {"keys": [Suite.OPERATOR_KEY]},
        "sql": f"sqlite:///{tmp_path}/penstock.db",
        "redis": {"state": redis_server.url, "cache": redis_server.url},
        "secrets": {"key_pepper_file": f"{tmp_path}/pepper", "cache_key_file": f"{tmp_path}/cache_key"},
        # Machines that run tests stall for longer than Redis ever would.
        "gateway": {
            "redis_timeout": "2s",
            "cache_lookup_timeout": "5s",
            "router_timeout": "10s",
            "key_lookup_timeout": "20s",
        },
        "cache": {"redis_timeout": "2s"},
    }


def _upstream(name: str, server: OpenAIUpstream) -> dict[str, Any]:
    capabilities = ["chat", "tools", "json_schema", "vision"]
    model = {
        "name": "m1", "context_window": 8000, "capabilities": capabilities, "price": {"input": 1, "output": 2},
    }  # fmt: skip
    return {
        "name": name, "provider": "openai_compatible", "base_url": server.base_url, "api_key": "sk-x",
        "models": [model],
    }  # fmt: skip


@pytest.fixture
async def serve(document: dict[str, Any], tmp_path: Path) -> AsyncIterator[Serve]:
    """A function that starts the suite as ``document`` describes it, for the rest of the test."""
    async with AsyncExitStack() as outer:

        async def start(transport: str = IN_PROCESS, *others: Service) -> Suite:
            stack = await outer.enter_async_context(AsyncExitStack())
            configuration = Configuration(document)
            channels: dict[str, Any] = {}
            packages = [*_SERVICES, penstock_embedding] if "embedding" in document else _SERVICES
            for service_package in packages:
                settings = configuration.settings(service_package.settings.Settings)
                service = await stack.enter_async_context(service_package.app.build(settings))
                channels[service.name] = await stack.enter_async_context(channel_to(service, transport))
                channels["collectors"] = [*channels.get("collectors", ()), *service.collectors]
            for service in others:
                channels[service.name] = await stack.enter_async_context(channel_to(service, transport))
            gateway = await stack.enter_async_context(
                penstock_gateway.app.gateway.running(
                    configuration.settings(penstock_gateway.settings.Settings),
                    penstock_gateway.app.gateway.Channels(**channels),
                    penstock_gateway.app.gateway.Listen(grpc="127.0.0.1:0", http=f"unix:{tmp_path}/http.sock"),
                    upgrades_schema=True,
                    shares_limits=True,
                )
            )
            await gateway.set_ready()
            connector = aiohttp.UnixConnector(str(tmp_path / "http.sock"), limit=0)
            http = await stack.enter_async_context(aiohttp.ClientSession(connector=connector))
            channel = await stack.enter_async_context(grpc.aio.insecure_channel(f"127.0.0.1:{gateway.grpc_port}"))
            return Suite(gateway, tmp_path, http, channel, stack)

        yield start


@pytest.fixture
async def suite(serve: Serve) -> Suite:
    return await serve()


@pytest.fixture
def hold() -> asyncio.Event:
    """What an upstream waits for, where a test says so."""
    return asyncio.Event()


@pytest.fixture(scope="session")
def with_schemas(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], str]:
    """A function that brings a database to what ``database`` promises, and returns its URL."""

    async def make(url: str) -> None:
        async with open_database(url) as engine:
            await _make_schemas(engine)

    def made(url: str) -> str:
        asyncio.run(make(url))
        return url

    return made


@pytest.fixture(scope="session")
def file_with_schemas(with_schemas: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file to copy."""
    path = tmp_path_factory.mktemp("schemas") / "penstock.db"
    with_schemas(f"sqlite:///{path}")
    return path


@pytest.fixture(scope="session")
def template_with_schemas(with_schemas: Callable[[str], str], postgres: PostgresServer) -> str:
    """The name of a database of PostgreSQL to copy."""
    return make_url(with_schemas(postgres.create_database())).database or ""


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database on each engine in turn: empty, or a copy of one with the schemas where a test asks for ``database``."""
    copied = "database" in request.fixturenames
    if request.param == "sqlite":
        if copied:
            shutil.copy(request.getfixturevalue("file_with_schemas"), tmp_path / "penstock.db")
        return f"sqlite:///{tmp_path}/penstock.db"
    options = ("--template", request.getfixturevalue("template_with_schemas")) if copied else ()
    return request.getfixturevalue("postgres").create_database(*options)


@pytest.fixture
async def engine(database_url: str) -> AsyncIterator[AsyncEngine]:
    """The engine of an empty database, on each engine in turn."""
    async with open_database(database_url) as engine:
        yield engine


@pytest.fixture
async def database(engine: AsyncEngine) -> AsyncEngine:
    """The engine of a database whose schemas are there."""
    await _make_schemas(engine)
    return engine


async def _make_schemas(engine: AsyncEngine) -> None:
    """Make those that are not there."""
    await upgrade(engine, GATEWAY)
    async with engine.begin() as connection:
        await connection.run_sync(FEEDBACK.metadata.create_all)
