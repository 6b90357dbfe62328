"""Our adapters on the engines of deploy/compose.yaml: its images, flags, users and secrets, where an engine runs them.

``here`` is the same on this machine's own Redis and PostgreSQL, so that these tests are tested, too.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import redis
import sqlalchemy as sa
from image_roots import ROOT

from penstock_cache.adapters.kek import FileKek
from penstock_cache.adapters.key_ring import EnvelopeKeyRing
from penstock_cache.adapters.redis import RedisTier
from penstock_cache.adapters.redis_rings import RedisRings
from penstock_cache.adapters.sealing import derive_key
from penstock_cache.domain.cache import ExactCache, Lifetimes, Tiers
from penstock_cache.domain.eligibility import Eligibility
from penstock_cache.domain.identity import Identity
from penstock_cache.domain.memory import MemoryTier
from penstock_common.contract.cache import LookupRequest, Scope, StoreRequest, probe_of
from penstock_common.llm.types import (
    Candidate,
    Finished,
    FinishReason,
    GenerationEvent,
    GenerationInput,
    Message,
    Role,
    Started,
    Text,
    TextDelta,
    Usage,
)
from penstock_common.redis_connection import RedisConnection
from penstock_common.rpc.in_process import InProcessChannel
from penstock_common.sql.database import open_database
from penstock_common.sql.schema import upgrade_database
from penstock_common.testing.generations import QUESTION, GenerationCaller
from penstock_common.testing.ports import free_port
from penstock_common.testing.postgres_server import PostgresServer, postgres_programs
from penstock_common.testing.redis_server import redis_executable
from penstock_gateway.adapters.counting.in_redis import Terms, open_limiter
from penstock_gateway.adapters.sql.ledger import SqlLedger
from penstock_gateway.adapters.sql.schema import GATEWAY
from penstock_gateway.adapters.sql.tables import ledger
from penstock_gateway.domain.life.settlement import LedgerRow
from penstock_gateway.domain.limits.admission import Demand
from penstock_gateway.domain.limits.limit import TENANT, Allowance, Limit, Measure
from penstock_gateway.domain.limits.windows import PER_MINUTE
from penstock_inference.app import build
from penstock_inference.settings import Settings

# An image may have to be pulled first.
pytestmark = pytest.mark.timeout(900)

_START_SECONDS = 120
_MEMORY = "8mb"
_LEASE = timedelta(seconds=60)
_PATIENT = timedelta(seconds=5)
_SECRET = b"s" * 32

Start = Callable[..., tuple[str, int]]


@pytest.fixture(scope="session")
def engine() -> None:
    """A container engine that answers."""
    place = os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock")
    if not place.startswith("unix://"):
        return
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(place.removeprefix("unix://"))
        except OSError as error:
            pytest.skip(f"no container engine answers at {place}: {error.strerror}")


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `make up` makes on its host."""
    folder = tmp_path_factory.mktemp("host")
    subprocess.run([ROOT / "scripts" / "secrets.sh", folder], check=True)
    return folder


def _secret(host: Path, name: str) -> str:
    return (host / "secrets" / name).read_text().strip()


def _words_of(flags: list[str], **changed: str) -> list[str]:
    words = list(flags)
    for name, value in changed.items():
        words[words.index(f"--{name}") + 1] = value
    return words


@pytest.fixture
def start(compose_model: dict[str, Any], host: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Start]:
    """A function that runs a service of the compose file and returns where its port is published."""
    monkeypatch.setenv("TESTCONTAINERS_RYUK_DISABLED", "true")
    with ExitStack() as stack:

        def run(name: str, port: int, *, command: list[str] | None = None, image: str = "") -> tuple[str, int]:
            from testcontainers.core.container import DockerContainer

            service = compose_model["services"][name]
            container = DockerContainer(image or service["image"]).with_exposed_ports(port)
            for secret in service.get("secrets") or []:
                path = str(host / "secrets" / Path(compose_model["secrets"][secret["source"]]["file"]).name)
                container.with_volume_mapping(path, f"/run/secrets/{secret['source']}", "ro")
            for variable, value in (service.get("environment") or {}).items():
                container.with_env(variable, value)
            if words := command or service.get("command"):
                container.with_command(words)
            tmpfs = dict(entry.split(":", 1) for entry in service.get("tmpfs") or [])
            tmpfs |= {v["target"]: "mode=1777" for v in service.get("volumes") or [] if v["type"] == "volume"}
            limited = {
                key: service[key]
                for key in ("user", "cap_drop", "cap_add", "security_opt", "read_only", "init", "shm_size")
                if key in service
            }
            if limited.get("user") == "10001:10001":
                owner = (host / "secrets" / "key-pepper").stat()
                limited["user"] = f"{owner.st_uid}:{owner.st_gid}"
            running = stack.enter_context(container.with_kwargs(tmpfs=tmpfs, **limited))
            return running.get_container_host_ip(), int(running.get_exposed_port(port))

        yield run


@pytest.fixture
def redis_of(
    request: pytest.FixtureRequest, compose_model: dict[str, Any], host: Path, tmp_path: Path
) -> Iterator[Callable[[str], str]]:
    """A function that runs a Redis of the compose file with little memory, and returns its URL with the password."""
    with ExitStack() as stack:

        def container(name: str) -> str:
            flags = _words_of(compose_model["services"][name]["command"], maxmemory=_MEMORY)
            address, port = request.getfixturevalue("start")(name, 6379, command=flags)
            return f"redis://:{_secret(host, 'redis-password')}@{address}:{port}/0"

        def here(name: str) -> str:
            folder, port = tmp_path / name, free_port()
            folder.mkdir()
            flags = _words_of(
                compose_model["services"][name]["command"],
                maxmemory=_MEMORY, aclfile=str(host / "secrets" / "redis-users"), dir=str(folder),
            )  # fmt: skip
            argv = [str(redis_executable()), *flags[1:], "--bind", "127.0.0.1", "--port", str(port)]
            process = subprocess.Popen(argv, stdout=subprocess.DEVNULL)
            stack.callback(process.wait)
            stack.callback(process.send_signal, signal.SIGTERM)
            return f"redis://:{_secret(host, 'redis-password')}@127.0.0.1:{port}/0"

        def run(name: str) -> str:
            if request.param == "container":
                request.getfixturevalue("engine")
            url = container(name) if request.param == "container" else here(name)
            _until(lambda: redis.Redis.from_url(url).ping())
            return url

        yield run


def _until(answers: Callable[[], Any]) -> None:
    """Return when it does; a server that begins refuses, or asks for patience."""
    deadline = time.monotonic() + _START_SECONDS
    while True:
        try:
            answers()
        except (redis.ConnectionError, OSError):
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return


places = pytest.mark.parametrize("redis_of", ["here", "container"], indirect=True)


@places
async def test_two_gateways_share_a_limit_and_a_stranger_sees_nothing(redis_of):
    url = redis_of("redis-state")
    async with open_limiter(url, _PATIENT, Terms(), None) as one, open_limiter(url, _PATIENT, Terms(), None) as other:
        verdicts = [
            await (one, other)[number % 2].reserve(f"{number}", "acme", (_a_minute(10),), Demand(), _LEASE)
            for number in range(12)
        ]
    assert [bool(verdict.refused_by) for verdict in verdicts] == [False] * 10 + [True] * 2
    with (
        redis.Redis.from_url(url.replace(url[url.index(":", 6) : url.index("@")], "")) as stranger,
        pytest.raises(redis.AuthenticationError),
    ):
        stranger.ping()


def _a_minute(requests: int) -> Limit:
    return Limit("acme", TENANT, Allowance(Measure.REQUESTS, PER_MINUTE, requests), "requests_per_minute")


def _fill(client: redis.Redis, life_seconds: int | None = None) -> None:
    for number in range(40):
        client.set(f"filler-{number}", os.urandom(512 * 1024), ex=life_seconds)


@places
async def test_full_state_refuses_rather_than_forgets_and_the_gateway_goes_on(redis_of):
    url = redis_of("redis-state")
    with redis.Redis.from_url(url) as client:
        client.set("kept", "1")
        with pytest.raises(redis.OutOfMemoryError):
            _fill(client)
        assert client.get("kept") == b"1"
        assert client.info("stats")["evicted_keys"] == 0
    async with open_limiter(url, _PATIENT, Terms(), None) as limiter:
        limits = (_a_minute(1),)
        verdicts = [await limiter.reserve(f"{number}", "acme", limits, Demand(), _LEASE) for number in range(2)]
    assert [bool(verdict.refused_by) for verdict in verdicts] == [False, True], "it counts for itself"


def _cache(connection: RedisConnection) -> ExactCache:
    clocks = (time.time, time.monotonic)
    hour = timedelta(hours=1)
    ring = EnvelopeKeyRing(RedisRings(connection), FileKek(_SECRET), derive_key(_SECRET, b"tenant hash"), clocks)
    tiers = Tiers(MemoryTier(0, max_bytes=0), RedisTier(connection, ring, hour, clocks))
    return ExactCache(
        Identity(_SECRET), Eligibility(max_temperature=0.3), tiers, Lifetimes(default=hour, memory=hour), clocks
    )


def _answer() -> tuple[GenerationEvent, ...]:
    candidate = Candidate(upstream="u", model="m")
    finished = Finished(reason=FinishReason.STOP, answered_by=candidate, attempts=1, cost_nano_usd=0)
    return (
        Started(generation_id="g", answered_by=candidate),
        TextDelta(text="A pipe."),
        Usage(input_tokens=1, output_tokens=2),
        finished,
    )


@places
async def test_full_cache_forgets_the_oldest_and_goes_on_storing(redis_of):
    url = redis_of("redis-cache")
    question = GenerationInput(
        model="fast", messages=(Message(role=Role.USER, parts=(Text(text="What is a penstock?"),)),)
    )
    scope, probe = Scope("acme", "fast"), probe_of(question)
    async with RedisConnection(url, _PATIENT) as connection:
        cache = _cache(connection)
        with redis.Redis.from_url(url) as client:
            client.set("kept", "1")
            # As every answer; what has none is a tenant's keys.
            _fill(client, life_seconds=3600)
            assert client.info("stats")["evicted_keys"] > 0
            assert client.get("kept") == b"1"
        assert not await cache.store(StoreRequest(scope=scope, probe=probe, events=_answer()))
        # Written behind the store, and once more where Redis had to be told the script.
        async with asyncio.timeout(_START_SECONDS):
            while (hit := (await cache.lookup(LookupRequest(scope=scope, probe=probe))).hit) is None:
                await asyncio.sleep(0.01)
        assert hit.events == _answer()
        assert (await cache.lookup(LookupRequest(scope=Scope("other", "fast"), probe=probe))).hit is None


@pytest.fixture(params=["here", "container"])
def postgres_url(request: pytest.FixtureRequest, compose_model: dict[str, Any], host: Path) -> Iterator[str]:
    """A PostgreSQL of the compose file, empty, reached by its password."""
    service = compose_model["services"]["postgres"]
    user, database = service["environment"]["POSTGRES_USER"], service["environment"]["POSTGRES_DB"]
    password = _secret(host, "postgres-password")
    if request.param == "container":
        request.getfixturevalue("engine")
        address, port = request.getfixturevalue("start")("postgres", 5432)
        yield f"postgresql://{user}:{password}@{address}:{port}/{database}"
        return
    try:
        postgres_programs()
    except FileNotFoundError as error:
        pytest.skip(str(error))
    with PostgresServer(password=password) as server:
        yield server.url_over_tcp()


async def test_schema_and_ledger_on_postgresql(postgres_url):
    await _upgraded(postgres_url)
    await upgrade_database(postgres_url, GATEWAY)
    rows = [
        LedgerRow(
            generation_id=f"g{number}", request_id="r", created_at=datetime(2026, 1, 1, tzinfo=UTC), tenant="acme", key_id="k",
            surface="openai", requested_model="fast", outcome="ok",
        )
        for number in (1, 2, 2, 3)
    ]  # fmt: skip
    async with open_database(postgres_url) as engine:
        writer = SqlLedger(engine)
        async with asyncio.TaskGroup() as writing:
            writing.create_task(writer.run())
            for row in rows:
                writer.append(row)
            writer.close()
        async with engine.connect() as connection:
            found = await connection.execute(sa.select(ledger.c.generation_id).order_by(ledger.c.generation_id))
            assert list(found.scalars()) == ["g1", "g2", "g3"], "a row that comes twice counts once"


async def _upgraded(url: str) -> None:
    """Upgrade once the server accepts connections; its image starts it twice."""
    deadline = time.monotonic() + _START_SECONDS
    while True:
        try:
            await upgrade_database(url, GATEWAY)
        except (OSError, sa.exc.SQLAlchemyError):
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(0.2)
        else:
            return


def test_qdrant_starts_without_rights_on_a_read_only_root_and_asks_for_its_key(engine, start, host):
    address, port = start("qdrant", 6333)
    _until(lambda: urllib.request.urlopen(f"http://{address}:{port}/readyz", timeout=60).close())
    collections = f"http://{address}:{port}/collections"
    with pytest.raises(urllib.error.HTTPError, match="401"):
        urllib.request.urlopen(collections, timeout=60)
    named = urllib.request.Request(collections, headers={"api-key": _secret(host, "qdrant-key")})
    with urllib.request.urlopen(named, timeout=60) as answer:
        assert answer.status == 200


async def test_inference_generates_on_tritons_image(engine, start, host, compose_model):
    service = compose_model["services"]["triton"]
    if shutil.which("docker") is None:
        pytest.skip("building the image needs a docker client")
    subprocess.run(
        ["docker", "build", "--file", service["build"]["dockerfile"], "--tag", service["image"], "."],
        cwd=ROOT,
        check=True,
    )
    address, port = start("triton", 8001)
    template = ROOT / "deploy" / "triton" / "repository" / "penstock-demo" / "chat_template.jinja"
    model = {"name": "penstock-demo", "context_window": 512, "chat_template": str(template)}
    await check_triton(f"{address}:{port}", model, _secret(host, "triton-control-key"))


async def check_triton(target: str, model: dict[str, Any], key: str) -> None:
    """Generate once it serves."""
    upstream = {
        "name": "triton",
        "provider": "triton",
        "grpc": target,
        "models": [model],
        "model_control": {"key": key},
    }
    async with build(Settings.model_validate({"upstreams": [upstream]})) as service:
        caller = GenerationCaller(InProcessChannel(service.handlers))
        deadline = time.monotonic() + _START_SECONDS
        while (outcome := await caller.ask("triton/penstock-demo", value=QUESTION)).error is not None:
            assert time.monotonic() < deadline, outcome.error
            await asyncio.sleep(0.5)
        assert outcome.answer.text
