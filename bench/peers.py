"""The table of peers: which version of each, how it is installed, and how it is run in its best documented way.

Every one has a single process or worker, as the suite has, where it can be told; what it needs beside the request's
path (logs, analytics, user interface) is off where its documentation says how.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from programs import CHAT

_KEY = "sk-bench-key-bench-key"
_BEARER = {"Authorization": f"Bearer {_KEY}"}


@dataclass(frozen=True)
class Place:
    """Where a peer is installed, where it runs, where it listens, and whom it asks."""

    installed: Path
    folder: Path
    port: int
    upstream: str
    """host:port of the provider."""

    def program(self, name: str) -> str:
        """Return the path of a program in the peer's Python environment."""
        return str(self.installed / "bin" / name)


@dataclass(frozen=True)
class Peer:
    """A gateway beside which the suite is measured."""

    name: str
    language: str
    installer: str
    """pip, npm or debian."""
    packages: tuple[str, ...]
    """Pinned, but for Debian's, which has one version."""
    setup: str
    """How it is run, in words."""
    command: Callable[[Place], list[str]]
    files: Callable[[Place], Mapping[str, str]] = lambda _: {}
    """By name, in the folder that it runs in."""
    environment: Callable[[Place], Mapping[str, str]] = lambda _: {}
    headers: Callable[[Place], Mapping[str, str]] = lambda _: _BEARER
    path: str = CHAT
    model: str = "bench"
    done: bool = True
    """Its streams end in [DONE]."""
    chooses_port: bool = False
    """It cannot be told a port; which it took is asked of the system."""
    only_hits: bool = False
    """Its cache is on, and that alone is measured; a cache that is on costs misses, too."""

    @property
    def installation(self) -> str:
        """The folder it is installed in; variants of a peer share it."""
        return self.name.partition(",")[0].replace(" ", "-").lower()


def _litellm(*arguments: str) -> Callable[[Place], list[str]]:
    def command(place: Place) -> list[str]:
        own = ["--config", "config.yaml", "--host", "127.0.0.1", "--port", str(place.port), "--num_workers", "1"]
        return [place.program("litellm"), *own, *arguments]

    return command


def _litellm_files(cache: bool) -> Callable[[Place], Mapping[str, str]]:
    def files(place: Place) -> Mapping[str, str]:
        model = {"model": "openai/bench", "api_base": f"http://{place.upstream}/v1", "api_key": "sk-bench"}
        settings = {"request_timeout": 600, "set_verbose": False, "telemetry": False}
        document = {
            "model_list": [{"model_name": "bench", "litellm_params": model}],
            "litellm_settings": settings | ({"cache": True, "cache_params": {"type": "local"}} if cache else {}),
            "general_settings": {"master_key": _KEY},
        }
        return {"config.yaml": json.dumps(document)}

    return files


_LITELLM_ENVIRONMENT = {
    "LITELLM_MODE": "PRODUCTION",
    "LITELLM_LOG": "ERROR",
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "DISABLE_ADMIN_UI": "True",
}
_LITELLM = ("litellm[proxy]==1.108.7", "uvloop==0.23.0")


def _mlflow_files(place: Place) -> Mapping[str, str]:
    config = {"openai_api_key": "sk-bench", "openai_api_base": f"http://{place.upstream}/v1"}
    model = {"provider": "openai", "name": "bench", "config": config}
    return {
        "config.yaml": json.dumps({"endpoints": [{"name": "bench", "endpoint_type": "llm/v1/chat", "model": model}]})
    }


_TENSORZERO_PROGRAM = """
import signal, sys, tensorzero
gateway = tensorzero._start_http_gateway(
    config_file=sys.argv[1], clickhouse_url=None, postgres_url=None, valkey_url=None, async_setup=False)
signal.pause()
"""


def _tensorzero_files(place: Place) -> Mapping[str, str]:
    configuration = f"""
[gateway]
observability.enabled = false
disable_pseudonymous_usage_analytics = true
[models.bench]
routing = ["mock"]
[models.bench.providers.mock]
type = "openai"
model_name = "bench"
api_base = "http://{place.upstream}/v1/"
api_key_location = "none"
"""
    return {"tensorzero.toml": configuration, "run.py": _TENSORZERO_PROGRAM}


def _smg(place: Place) -> list[str]:
    return [
        place.program("smg"), "launch", "--host", "127.0.0.1", "--port", str(place.port), "--backend", "openai",
        "--worker-urls", f"http://{place.upstream}", "--policy", "round_robin", "--history-backend", "none",
        "--log-level", "error", "--prometheus-host", "127.0.0.1", "--prometheus-port", str(place.port + 1),
    ]  # fmt: skip


def _portkey(place: Place) -> list[str]:
    start = place.installed / "node_modules" / "@portkey-ai" / "gateway" / "build" / "start-server.js"
    return ["node", str(start), "--headless", f"--port={place.port}"]


def _portkey_headers(place: Place) -> Mapping[str, str]:
    return {**_BEARER, "x-portkey-provider": "openai", "x-portkey-custom-host": f"http://{place.upstream}/v1"}


def _nginx_files(place: Place) -> Mapping[str, str]:
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    folders = " ".join(f"{kind}_temp_path {place.folder}/{kind};" for kind in kinds)
    configuration = f"""
daemon off; worker_processes 1; pid {place.folder}/nginx.pid; error_log stderr error;
events {{ worker_connections 1024; }}
http {{
  access_log off; keepalive_requests 1000000; {folders}
  upstream mock {{ server {place.upstream}; keepalive 64; keepalive_requests 1000000; }}
  server {{
    listen 127.0.0.1:{place.port};
    location / {{ proxy_pass http://mock; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_buffering off; }}
  }}
}}
"""
    return {"nginx.conf": configuration}


def _nginx(place: Place) -> list[str]:
    own = place.installed / "usr" / "sbin" / "nginx"
    return [str(own), "-p", str(place.folder), "-e", "stderr", "-c", str(place.folder / "nginx.conf")]


PEERS = (
    Peer(
        name="LiteLLM",
        language="Python",
        installer="pip",
        packages=_LITELLM,
        setup="1 worker of uvicorn on uvloop, master key, no database, LITELLM_MODE=PRODUCTION, LITELLM_LOG=ERROR",
        command=_litellm(),
        files=_litellm_files(cache=False),
        environment=lambda _: _LITELLM_ENVIRONMENT,
    ),
    Peer(
        name="LiteLLM, Granian",
        language="Python",
        installer="pip",
        packages=_LITELLM,
        setup="the same on --run_granian",
        command=_litellm("--run_granian"),
        files=_litellm_files(cache=False),
        environment=lambda _: _LITELLM_ENVIRONMENT,
    ),
    Peer(
        name="LiteLLM, cache on",
        language="Python",
        installer="pip",
        packages=_LITELLM,
        setup="as the first, cache in the worker's memory",
        command=_litellm(),
        files=_litellm_files(cache=True),
        environment=lambda _: _LITELLM_ENVIRONMENT,
        only_hits=True,
    ),
    Peer(
        name="Portkey",
        language="Node",
        installer="npm",
        # The newest @hono/node-server answers every stream with 500 on Node 20.
        packages=("@portkey-ai/gateway@1.15.2", "@hono/node-server@1.13.8", "@hono/node-ws@1.2.0"),
        setup="--headless, NODE_ENV=production, provider and host by header, no keys of its own, no cache in the package",
        command=_portkey,
        environment=lambda _: {"NODE_ENV": "production"},
        headers=_portkey_headers,
    ),
    Peer(
        name="MLflow",
        language="Python",
        installer="pip",
        packages=("mlflow[gateway]==3.17.2", "uvloop==0.23.0", "httptools==0.9.0"),
        setup="mlflow gateway start, 1 worker, no keys of its own, no cache",
        command=lambda place: [
            place.program("mlflow"), "gateway", "start", "--config-path", "config.yaml", "--host", "127.0.0.1",
            "--port", str(place.port), "--workers", "1",
        ],
        files=_mlflow_files,
        environment=lambda place: {"PATH": f"{place.installed}/bin:/usr/local/bin:/usr/bin:/bin"},
        done=False,
    ),
    Peer(
        name="TensorZero",
        language="Rust",
        installer="pip",
        packages=("tensorzero==2026.6.0",),
        setup="the wheel's own HTTP gateway in a Python process that only waits; observability off, no database, no cache",
        command=lambda place: [place.program("python"), "run.py", "tensorzero.toml"],
        files=_tensorzero_files,
        headers=lambda _: {},
        path="/openai" + CHAT,
        model="tensorzero::model_name::bench",
        chooses_port=True,
    ),
    Peer(
        name="smg",
        language="Rust",
        installer="pip",
        packages=("smg==1.13.0",),
        setup="--backend openai, round robin, no history, no keys of its own, log level error, no cache",
        command=_smg,
    ),
    Peer(
        name="nginx",
        language="C",
        installer="debian",
        packages=("nginx",),
        setup="the floor: a plain HTTP proxy, 1 worker, connections kept, no buffering, no log",
        command=_nginx,
        files=_nginx_files,
    ),
)  # fmt: skip
