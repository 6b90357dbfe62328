"""Stands where ``penstock up`` does: the same words and signals, with every role a process over certificates both ways.

``python six_processes.py up --config FILE --state FOLDER --json``; ``--room N`` before ``--json``: what each role takes in
hand at once. Redis and Triton are started as ``up`` starts them;
gateway and the roles behind it by ``penstock serve``; the edge with the certificates. Only the public HTTP port
has no TLS: its callers are told the authority of the gRPC port by ``ca`` in the line that says ready.
"""

from __future__ import annotations

import asyncio
import copy
import json
import os
import signal
import sys
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from penstock_common.rpc.channel import SocketChannel, open_channel
from penstock_common.rpc.security import Certificates, Security
from penstock_common.sections import MutualTls
from penstock_common.testing.certificates import CertificateFiles
from penstock_faults.qdrant.server import QdrantServer
from penstock_suite.adapters.addresses import LOOPBACK, Address, free_addresses
from penstock_suite.adapters.edge_server import edge_executable, edge_probe
from penstock_suite.adapters.first_generation import generate_once
from penstock_suite.adapters.operating_system import on_signals
from penstock_suite.adapters.process import ChildProcess, Command, running_child
from penstock_suite.adapters.revision_metrics import RevisionMetrics
from penstock_suite.adapters.state_files import open_state_folder, recorded
from penstock_suite.app.check import checked
from penstock_suite.app.keys import ensure_keys
from penstock_suite.app.local_processes import sample_ratio, start_redis_and_triton
from penstock_suite.app.parts import Workshop
from penstock_suite.app.plan import StackPlan
from penstock_suite.domain.ending import Ending
from penstock_suite.domain.progress import curl_for
from penstock_suite.domain.requests import Selection
from penstock_suite.domain.run_record import RunningPart, RunRecord

GRACE = timedelta(seconds=30)
_PATIENCE = timedelta(seconds=60)


@dataclass(frozen=True)
class Places:
    """Where everything listens."""

    http: Address
    grpc: Address
    gateway: Address
    internal: dict[str, Address]
    """By role."""

    @classmethod
    def of(cls, roles: Sequence[str]) -> Places:
        http, grpc, gateway, *rest = free_addresses(*[(Address(LOOPBACK, 0), "a test's port")] * (3 + len(roles)))
        return cls(http, grpc, gateway, dict(zip(roles, rest, strict=True)))


def internal_roles(plan: StackPlan) -> list[str]:
    """Return the roles behind the gateway that the configuration needs."""
    has_embedding = plan.settings.embedding is not None
    return ["router", "inference", *["cache"] * plan.settings.has_cache, *["embedding"] * has_embedding]


@dataclass(frozen=True)
class Engines:
    """What the roles keep things in, beside the database; empty for what the configuration does not need."""

    redis_url: str
    triton_grpc: str
    qdrant_url: str

    @classmethod
    async def start(cls, workshop: Workshop) -> Engines:
        redis_url, triton_grpc = await start_redis_and_triton(workshop)
        qdrant_url = ""
        if workshop.plan.settings.has_engine:
            # Replicas of the cache share no folder: a server, which plays Qdrant over the embedded engine.
            server = await workshop.stack.enter_async_context(QdrantServer(workshop.plan.state.vectors))
            qdrant_url = server.url
        return cls(redis_url, triton_grpc, qdrant_url)


def written(plan: StackPlan, places: Places, pki: CertificateFiles, engines: Engines, room: int = 0) -> Path:
    """Return the one configuration of all roles: the test's, with where they are and how they prove themselves."""
    full = plan.configuration(redis_url=engines.redis_url, triton_grpc=engines.triton_grpc)
    document = copy.deepcopy(dict(full.document))
    if engines.qdrant_url:
        document["qdrant"] = {"url": engines.qdrant_url, **_patient(document.get("qdrant") or {})}
    # A port can be one process's alone: the gateway's, by its environment.
    document.get("telemetry", {}).pop("metrics_listen", None)
    document["listen"] = {
        "http": str(places.http), "grpc": str(places.grpc),
        "tls": {"cert_file": str(pki.cert), "key_file": str(pki.key)},
    }  # fmt: skip
    document["services"] = {
        "gateway": {"listen": str(places.gateway)},
        "tls": {"cert_file": str(pki.cert), "key_file": str(pki.key), "ca_file": str(pki.ca)},
        **({"room": dict.fromkeys(("router", "cache", "inference"), room)} if room else {}),
        **{role: {"listen": str(at), "target": f"dns:///{at}"} for role, at in places.internal.items()},
    }
    path = plan.state.root / "roles.yaml"
    path.write_text(json.dumps(document))
    return path


def _patient(section: dict[str, Any]) -> dict[str, Any]:
    """Return what a section says of patience: the rest is of the embedded engine."""
    return {name: value for name, value in section.items() if name in {"timeout", "write_timeout", "cool_down"}}


async def start_role(workshop: Workshop, role: str, config: Path, **environment: str) -> ChildProcess:
    """Return the role once it says that it is ready."""
    command = Command(
        name=role,
        title=role,
        argv=(
            sys.executable, "-m", "penstock_suite", "serve", role,
            "--config", str(config), "--grace", f"{int(GRACE.total_seconds())}s", "--json",
        ),
        environment={**os.environ, **environment},
        stop_timeout=GRACE + timedelta(seconds=5),
    )  # fmt: skip
    # Not by the workshop, which would kill it at a second signal: a role cuts by itself, and still closes in order.
    log = workshop.plan.state.log(role)
    child = await workshop.stack.enter_async_context(running_child(command, log, workshop.ending.fail))
    workshop.ending.on_cut(lambda: ask_again(child))
    workshop.note_running(role, child.pid)

    async def is_ready() -> bool:
        return '"event":"ready"' in child.log_path.read_text()

    await workshop.await_ready(child, is_ready, _PATIENCE)
    return child


def ask_again(role: ChildProcess) -> None:
    """Send the signal that ends a role at once when it is draining."""
    with suppress(ProcessLookupError):
        os.kill(role.pid, signal.SIGTERM)


async def start_edge(workshop: Workshop, places: Places, pki: CertificateFiles) -> None:
    """Return when requests can come."""
    telemetry = workshop.plan.settings.telemetry
    arguments = {
        "listen": places.http,
        "gateway-grpc": places.grpc,
        "gateway-http": f"https://{places.gateway}",
        "gateway-ca": pki.ca,
        "gateway-cert": pki.cert,
        "gateway-key": pki.key,
        "gateway-token-file": workshop.plan.edge_token,
        "otlp": telemetry.otlp,
        "trace-sample-ratio": sample_ratio(workshop.plan),
        "drain-notice": "0s",
        "grace": f"{GRACE.total_seconds()}s",
    }
    executable = str(edge_executable(workshop.plan.settings.local.edge))
    argv = (executable, *(f"--{name}={value}" for name, value in arguments.items()))
    edge = await workshop.start(Command(name="edge", title="The edge", argv=argv, stop_timeout=GRACE))
    await workshop.await_ready(edge, edge_probe(places.http, "/readyz", tls=False), _PATIENCE)


async def upgrade(config: Path) -> None:
    """Make the database."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "penstock_suite", "db", "upgrade", "--config", str(config), stdout=sys.stderr
    )
    if await process.wait() != 0:
        sys.exit("penstock db upgrade failed")


async def start(workshop: Workshop, config_path: str, room: int) -> tuple[dict[str, Any], ChildProcess]:
    """Return the line that says ready, and the gateway."""
    plan, state = workshop.plan, workshop.plan.state
    pki = CertificateFiles.make(state.root)
    places = Places.of(internal_roles(plan))
    key = ensure_keys(plan)
    config = written(plan, places, pki, await Engines.start(workshop), room)
    await upgrade(config)
    async with asyncio.TaskGroup() as starting:
        for role in places.internal:
            starting.create_task(start_role(workshop, role, config))
        metrics = plan.settings.telemetry.metrics_listen
        gateway = starting.create_task(
            start_role(
                workshop, "gateway", config, **({"PENSTOCK_TELEMETRY__METRICS_LISTEN": metrics} if metrics else {})
            )
        )
    await generate_first(plan, places, pki)
    await start_edge(workshop, places, pki)
    http = f"http://{places.http}"
    model = plan.settings.models[0].name if plan.settings.models else ""
    ready = {
        "event": "ready", "http": http, "grpc": str(places.grpc), "key": key, "model": model,
        "curl": curl_for(http, key, model, own_certificate=False), "state": str(state.root), "ca": str(pki.ca),
    }  # fmt: skip
    record = RunRecord(
        pid=os.getpid(), started_at=datetime.now(UTC).isoformat(timespec="seconds"), http=http,
        grpc=str(places.grpc), gateways=(str(places.grpc),), config=config_path, without_triton=False,
        parts=tuple(RunningPart(name, pid) for name, pid in workshop.running.items()),
    )  # fmt: skip
    workshop.stack.enter_context(recorded(state, record))
    return ready, gateway.result()


async def generate_first(plan: StackPlan, places: Places, pki: CertificateFiles) -> None:
    """Let Triton's models serve once, as ``up`` does."""
    files = MutualTls(cert_file=pki.cert, key_file=pki.key, ca_file=pki.ca)
    credentials = Security(Certificates.read(files)).channel_credentials()
    async with open_channel(str(places.internal["inference"]), credentials) as channel:
        for upstream, models in plan.settings.local_triton_models.items():
            for model in models:
                await generate_once(SocketChannel(channel), upstream, model)


def say(event: dict[str, Any]) -> None:
    print(json.dumps(event), flush=True)  # noqa: T201 - it is how one learns of it


async def run(config: Path, state: Path, room: int) -> int:
    """Return the exit code once a signal has ended it."""
    plan = checked(Selection(config=config, state=state)).plan
    open_state_folder(plan.state.root)
    ending = Ending()
    metrics = RevisionMetrics(plan.written.revision)
    workshop = Workshop(plan, AsyncExitStack(), ending, lambda _: None, time.monotonic(), metrics)
    # Each role reloads by itself, from the file that it was given.
    with on_signals(ending.ask, lambda: None):
        async with workshop.stack:
            gateway: ChildProcess | None = None
            with ending.interrupts():
                ready, gateway = await start(workshop, str(config), room)
                say(ready)
                await ending.wait()
            if gateway is not None and ending.failure is None:
                say({"event": "draining"})
                # The edge stays until the gateway has ended what it began, or cut it.
                await gateway.stop()
    if ending.failure is not None:
        say({"event": "failed", "message": str(ending.failure)})
        return 1
    return 0


def main() -> None:
    """Read the arguments of ``penstock up``."""
    options = dict(zip(sys.argv[2:-1:2], sys.argv[3::2], strict=False))
    with suppress(KeyboardInterrupt):
        room = int(options.get("--room", "0"))
        sys.exit(asyncio.run(run(Path(options["--config"]), Path(options["--state"]), room)))


if __name__ == "__main__":
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    main()
