"""A real stack, a real Prometheus that looks at it by the alerts as they are shipped, and what can be done to the stack.

All their durations are divided by one number, ``for`` and ranges alike: rates, ratios and thresholds are the shipped ones.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Generator, Iterator, Mapping
from concurrent.futures import Future
from contextlib import AsyncExitStack, ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Self

import pytest
import yaml
from image_roots import ROOT

from penstock_common.configuration import Configuration
from penstock_common.testing.ports import free_port
from penstock_common.testing.redis_server import RedisServer
from penstock_faults.http.server import ScriptedUpstream
from penstock_faults.playback import Playback
from penstock_faults.script import Script
from penstock_suite.app.serve import open_role
from penstock_suite.domain.requests import Role

ALERTS = ROOT / "deploy" / "prometheus" / "alerts.yaml"
DIVISOR = 200
"""Five minutes become one and a half seconds."""
LONGEST_FOR_MS = 5000
"""What has to hold for hours has to hold for so long here."""
SCRAPE = "200ms"
PATIENCE_SECONDS = 120
KEY, POOR_KEY = "key-of-app-key-of-app", "key-of-poor-key-of-poor"
ROLES = ("gateway", "router", "cache", "embedding", "inference")
Document = Callable[[dict[str, str]], dict[str, Any]]
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_DURATION = re.compile(r"(?<=\[)(\d+)([smhd])(?=\])")


def shortened(text: str) -> str:
    """Return a duration, or an expression with ranges, in which all time goes faster."""
    return _DURATION.sub(lambda found: _divided(found[1], found[2]), text)


def _divided(number: str, unit: str) -> str:
    return f"{_milliseconds(number, unit)}ms"


def _milliseconds(number: str, unit: str) -> int:
    return int(number) * _UNITS[unit] * 1000 // DIVISOR


def rules() -> dict[str, Any]:
    """Return the shipped rules in which all time goes faster."""
    document = yaml.safe_load(ALERTS.read_text())
    for group in document["groups"]:
        group["interval"] = SCRAPE
        for rule in group["rules"]:
            rule["expr"] = shortened(rule["expr"])
            if "for" in rule:
                waits = _milliseconds(rule["for"][:-1], rule["for"][-1])
                rule["for"] = f"{min(waits, LONGEST_FOR_MS)}ms"
    return document


class Router:
    """A router by itself, as ``penstock serve`` has it but for the process: its loop is this thread's to hold up."""

    def __init__(self) -> None:
        self.metrics = f"127.0.0.1:{free_port()}"
        self._document = {
            "services": {"router": {"listen": f"127.0.0.1:{free_port()}"}},
            "telemetry": {"metrics_listen": self.metrics},
        }
        self._loop = asyncio.new_event_loop()
        self._over = asyncio.Event()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._run(),))
        self._is_up: Future[None] = Future()

    def __enter__(self) -> Self:
        self._thread.start()
        self._is_up.result(PATIENCE_SECONDS)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join()
        self._loop.close()

    def stand(self) -> None:
        """Have the loop compute for a while, and wait until it has, and as long again."""
        stood = threading.Event()

        def compute() -> None:
            time.sleep(0.2)
            stood.set()

        self._loop.call_soon_threadsafe(compute)
        stood.wait(PATIENCE_SECONDS)
        time.sleep(0.2)

    async def _run(self) -> None:
        async with open_role(Role.ROUTER, Configuration(self._document)):
            self._is_up.set_result(None)
            await self._over.wait()


def firing(prometheus: str) -> dict[str, list[dict[str, str]]]:
    """Return the labels of what fires, by alert."""
    with urllib.request.urlopen(f"{prometheus}/api/v1/alerts", timeout=30) as page:
        alerts = json.load(page)["data"]["alerts"]
    found: dict[str, list[dict[str, str]]] = {}
    for alert in alerts:
        if alert["state"] == "firing":
            found.setdefault(alert["labels"]["alertname"], []).append(alert["labels"])
    return found


@dataclass
class Scene:
    """A stack, a router, Prometheus that looks at both, and what can be done to them."""

    http: str
    pid: int
    config: Path
    prometheus: str
    redis: RedisServer
    router: Router
    switch: dict[str, Script]
    """What each upstream plays, from the next request on."""
    streamed: tuple[str, ...] = ("breaks",)
    """Models whose answers are asked for as streams."""

    def ask(self, model: str, key: str = KEY, text: str = "Hi") -> int:
        """Return the status of an answer; one that breaks off is read as far as it goes."""
        messages = [{"role": "user", "content": text}]
        body = {"model": model, "messages": messages, "stream": model in self.streamed}
        return self.send("/v1/chat/completions", body, key)

    def send(self, path: str, body: Mapping[str, Any] | None = None, key: str = KEY) -> int:
        """Return the status of a POST, or without a body of a GET; 0 where nobody was there."""
        headers = {"authorization": f"Bearer {key}", "content-type": "application/json"}
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.http + path, data, headers)
        try:
            with urllib.request.urlopen(request, timeout=60) as response:
                with suppress(http.client.IncompleteRead):
                    response.read()
                return response.status
        except urllib.error.HTTPError as error:
            return error.code
        except OSError:
            return 0

    def start(self) -> None:
        """Start the stack, and return once it is ready."""
        folder = self.config.parent
        self._running = _Started(_up(folder), folder / "stack.log")
        process = self._running.__enter__()
        self.http, self.pid = _ready(folder / "stack.log", process)["http"], process.pid

    def end(self) -> None:
        """Kill the stack, with all that it has started."""
        self._running.__exit__()

    def firing(self) -> dict[str, list[dict[str, str]]]:
        """Return the labels of what fires, by alert."""
        return firing(self.prometheus)

    def all_of(self, names: set[str], meanwhile: Callable[[], object]) -> dict[str, dict[str, str]]:
        """Return the labels of these alerts, once each has fired, whichever first."""
        found: dict[str, dict[str, str]] = {}

        def holds(firing: dict[str, list[dict[str, str]]]) -> bool:
            found.update({name: firing[name][0] for name in names & set(firing)})
            return set(found) == names

        self.until(holds, meanwhile, lambda: f"silent: {names - set(found)}")
        return found

    def until(
        self,
        holds: Callable[[dict[str, Any]], bool],
        meanwhile: Callable[[], object] = lambda: None,
        why: Callable[[], str] = str,
    ) -> None:
        """Return once the alerts are as they should be, doing something between looks."""
        last = time.monotonic() + PATIENCE_SECONDS
        while not holds(seen := self.firing()):
            assert time.monotonic() < last, f"{why()}; {seen}"
            meanwhile()
            time.sleep(0.02)


@contextmanager
def _upstreams(switch: Mapping[str, Script]) -> Iterator[dict[str, str]]:
    """Yield where upstreams play, each what the switch says, in a loop of their own."""
    playing: Future[dict[str, str]] = Future()
    loop, over = asyncio.new_event_loop(), asyncio.Event()

    def played(name: str, _model: str) -> Playback:
        return Playback(switch[name])

    async def play() -> None:
        async with AsyncExitStack() as stack:
            players = {
                name: await stack.enter_async_context(ScriptedUpstream(partial(played, name))) for name in switch
            }
            playing.set_result({name: player.base_url for name, player in players.items()})
            await over.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(play(),))
    thread.start()
    try:
        yield playing.result(PATIENCE_SECONDS)
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join()
        loop.close()


def _up(folder: Path) -> list[str]:
    config, state = folder / "penstock.yaml", folder / "state"
    return [sys.executable, "-m", "penstock_suite", "up", "--config", str(config), "--state", str(state), "--json"]


class _Started:
    """A process whose words go to a file, in a group of its own that ends with the context."""

    def __init__(self, command: list[str], log: Path) -> None:
        self._command, self._log = command, log

    def __enter__(self) -> subprocess.Popen[bytes]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("PENSTOCK_")}
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                self._command, stdout=log, stderr=log, env=kept, cwd=self._log.parent, start_new_session=True
            )
        return self._process

    def __exit__(self, *_: object) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()


def _ready(log: Path, process: subprocess.Popen[bytes]) -> dict[str, Any]:
    last = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < last and process.poll() is None:
        for line in log.read_text().splitlines():
            if line.startswith("{") and json.loads(line).get("event") == "ready":
                return json.loads(line)
        time.sleep(0.05)
    raise AssertionError(log.read_text()[-2000:])


class _Prometheus:
    """A Prometheus that looks at a router, and at a process that has all roles as if at a process of each other one."""

    def __init__(self, server: Path, folder: Path, shown: Mapping[str, str]) -> None:
        self._folder = folder
        own = [{"targets": [address], "labels": {"role": role}} for role, address in shown.items()]
        # Of the others it is only seen that they answer, or nothing would be counted once.
        others = [{"targets": [shown["gateway"]], "labels": {"role": role}} for role in ROLES if role not in shown]
        nothing = [{"source_labels": ["__name__"], "regex": ".*", "action": "drop"}]
        (folder / "rules.yaml").write_text(yaml.safe_dump(rules()))
        (folder / "prometheus.yaml").write_text(
            yaml.safe_dump(
                {
                    "global": {"scrape_interval": SCRAPE, "scrape_timeout": SCRAPE, "evaluation_interval": SCRAPE},
                    "rule_files": ["rules.yaml"],
                    "scrape_configs": [
                        {"job_name": "penstock", "static_configs": own},
                        {
                            "job_name": "others",
                            "static_configs": others,
                            "metric_relabel_configs": nothing,
                            "relabel_configs": [{"target_label": "job", "replacement": "penstock"}],
                        },
                    ],
                }
            )
        )
        address = f"127.0.0.1:{free_port()}"
        self._url = f"http://{address}"
        words = {
            "config.file": folder / "prometheus.yaml",
            "storage.tsdb.path": folder / "data",
            "web.listen-address": address,
        }
        command = [str(server), *(f"--{name}={value}" for name, value in words.items())]
        self._running = _Started(command, folder / "prometheus.log")

    def __enter__(self) -> str:
        process = self._running.__enter__()
        last = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < last and process.poll() is None:
            with suppress(OSError), urllib.request.urlopen(f"{self._url}/-/ready", timeout=5):
                return self._url
            time.sleep(0.05)
        raise AssertionError((self._folder / "prometheus.log").read_text()[-2000:])

    def __exit__(self, *_: object) -> None:
        self._running.__exit__()


@contextmanager
def open_scene(promtool: Path, folder: Path, document: Document, switch: dict[str, Script]) -> Generator[Scene]:
    """Yield a stack of ``document``, which is told the upstreams' addresses, and Redis'; skip where a program is missing."""
    server, beside = promtool.with_name("prometheus"), Path(sys.executable)
    if not server.is_file() or not beside.with_name("penstock-edge").is_file():
        pytest.skip("it needs Prometheus beside promtool, and the edge: run 'make setup'")
    with ExitStack() as stack:
        redis = stack.enter_context(RedisServer())
        urls = stack.enter_context(_upstreams(switch))
        metrics, config = f"127.0.0.1:{free_port()}", folder / "penstock.yaml"
        shown = {"telemetry": {"metrics_listen": metrics}, "redis": {"state": redis.url, "cache": redis.url}}
        config.write_text(json.dumps({**document(urls), **shown}))
        router = Router()
        # First, as it takes five seconds until it looks at anything.
        prometheus = stack.enter_context(_Prometheus(server, folder, {"gateway": metrics, "router": router.metrics}))
        last = time.monotonic() + PATIENCE_SECONDS
        while "PenstockRoleGone" not in firing(prometheus):
            assert time.monotonic() < last
            time.sleep(0.05)
        scene = Scene("", 0, config, prometheus, redis, router, switch)
        stack.callback(scene.end)
        scene.start()
        stack.enter_context(router)
        # It fired before there was anybody.
        scene.until(lambda firing: "PenstockRoleGone" not in firing)
        yield scene
