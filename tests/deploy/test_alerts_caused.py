"""Alerts as they are shipped, told by a real Prometheus of a real stack in which what they are for has really come about.

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
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
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
from penstock_faults.named import SCRIPTS
from penstock_faults.playback import Playback
from penstock_faults.script import Answer, Script, Step
from penstock_suite.app.serve import open_role
from penstock_suite.domain.requests import Role

ALERTS = ROOT / "deploy" / "prometheus" / "alerts.yaml"
DIVISOR = 200
"""Five minutes become one and a half seconds."""
SCRAPE = "200ms"
PATIENCE_SECONDS = 120
KEY, POOR_KEY = "key-of-app-key-of-app", "key-of-poor-key-of-poor"
ROLES = ("gateway", "router", "cache", "embedding", "inference")
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_DURATION = re.compile(r"(?<=\[)(\d+)([smhd])(?=\])")


def shortened(text: str) -> str:
    """Return a duration, or an expression with ranges, in which all time goes faster."""
    return _DURATION.sub(lambda found: _divided(found[1], found[2]), text)


def _divided(number: str, unit: str) -> str:
    return f"{int(number) * _UNITS[unit] * 1000 // DIVISOR}ms"


def rules() -> dict[str, Any]:
    """Return the shipped rules in which all time goes faster."""
    document = yaml.safe_load(ALERTS.read_text())
    for group in document["groups"]:
        group["interval"] = SCRAPE
        for rule in group["rules"]:
            rule["expr"] = shortened(rule["expr"])
            if "for" in rule:
                rule["for"] = _divided(rule["for"][:-1], rule["for"][-1])
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

    def ask(self, model: str, key: str = KEY) -> int:
        """Return the status of an answer; one that breaks off is read as far as it goes."""
        body = json.dumps(
            {"model": model, "messages": [{"role": "user", "content": "Hi"}], "stream": model == "breaks"}
        )
        headers = {"authorization": f"Bearer {key}", "content-type": "application/json"}
        request = urllib.request.Request(f"{self.http}/v1/chat/completions", body.encode(), headers)
        try:
            with urllib.request.urlopen(request, timeout=30) as response:
                with suppress(http.client.IncompleteRead):
                    response.read()
                return response.status
        except urllib.error.HTTPError as error:
            return error.code

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


@pytest.fixture(scope="module")
def scene(promtool: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    server, beside = promtool.with_name("prometheus"), Path(sys.executable)
    if not server.is_file() or not beside.with_name("penstock-edge").is_file():
        pytest.skip("it needs Prometheus beside promtool, and the edge: run 'make setup'")
    folder = tmp_path_factory.mktemp("alerts")
    with ExitStack() as stack:
        redis = stack.enter_context(RedisServer())
        dear = Script(name="dear", steps=(Step(answer=Answer(service_tier="priority")),))
        switch = {"fails": SCRIPTS["503"], "refused": SCRIPTS["401"], "breaks": SCRIPTS["cut-reset"], "well": dear}
        urls = stack.enter_context(_upstreams(switch))
        metrics, config = f"127.0.0.1:{free_port()}", folder / "penstock.yaml"
        config.write_text(json.dumps(_document(urls, redis.url, metrics)))
        router = Router()
        # First, as it takes five seconds until it looks at anything.
        prometheus = stack.enter_context(_prometheus(server, folder, {"gateway": metrics, "router": router.metrics}))
        last = time.monotonic() + PATIENCE_SECONDS
        while "PenstockRoleGone" not in firing(prometheus):
            assert time.monotonic() < last
            time.sleep(0.05)
        running = stack.enter_context(_started(_up(folder), folder / "stack.log"))
        stack.enter_context(router)
        ready = _ready(folder / "stack.log", running)
        yield Scene(ready["http"], running.pid, config, prometheus, redis, router, switch)


@contextmanager
def _upstreams(switch: Mapping[str, Script]) -> Iterator[dict[str, str]]:
    """Yield where upstreams play, each what the switch says, in a loop of their own."""
    ready: Future[dict[str, str]] = Future()
    loop, over = asyncio.new_event_loop(), asyncio.Event()

    def played(name: str, _model: str) -> Playback:
        return Playback(switch[name])

    async def play() -> None:
        async with AsyncExitStack() as stack:
            players = {
                name: await stack.enter_async_context(ScriptedUpstream(partial(played, name))) for name in switch
            }
            ready.set_result({name: player.base_url for name, player in players.items()})
            await over.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(play(),))
    thread.start()
    try:
        yield ready.result(PATIENCE_SECONDS)
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join()
        loop.close()


def _document(urls: dict[str, str], redis: str, metrics: str) -> dict[str, Any]:
    model = {"name": "m", "context_window": 8000, "capabilities": ["chat"], "price": {"input": 1, "output": 2}}
    return {
        "listen": {"http": "127.0.0.1:0", "grpc": "127.0.0.1:0"},
        "redis": {"state": redis, "cache": redis},
        "telemetry": {"metrics_listen": metrics},
        "upstreams": [
            {"name": name, "provider": "openai_compatible", "base_url": url, "api_key": "sk", "models": [model]}
            for name, url in urls.items()
        ],
        "models": [{"name": name, "candidates": [f"{name}/m"]} for name in urls],
        "tenants": [
            {"name": "app", "tier": {"requests_per_minute": 1_000_000}, "keys": [KEY]},
            {"name": "poor", "tier": {"requests_per_minute": 1}, "keys": [POOR_KEY]},
        ],
        "cache": {"mode": "off"},
        # Nobody waits to ask again.
        "health": {"retries_at_once": 0, "retry_ratio": 0},
    }


def _up(folder: Path) -> list[str]:
    config, state = folder / "penstock.yaml", folder / "state"
    return [sys.executable, "-m", "penstock_suite", "up", "--config", str(config), "--state", str(state), "--json"]


class _started:  # noqa: N801 - used as a function
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


class _prometheus:  # noqa: N801 - used as a function
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
        self._running = _started(command, folder / "prometheus.log")

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


def test_all_durations_of_rules_go_faster_by_the_same_number():
    assert shortened("rate(x_total[5m]) > 0.1 and y[1h]") == "rate(x_total[1500ms]) > 0.1 and y[18000ms]"
    there = [rule for group in yaml.safe_load(ALERTS.read_text())["groups"] for rule in group["rules"]]
    here = [rule for group in rules()["groups"] for rule in group["rules"]]
    assert [rule["alert"] for rule in here] == [rule["alert"] for rule in there]
    assert not any(re.search(r"\[\d+[smhd]\]", rule["expr"]) for rule in here)


def test_alerts_fire_once_what_they_are_for_has_come_about(scene):
    # It fired before there was anybody.
    scene.until(lambda firing: not firing)

    def all_of_it() -> None:
        asked = [
            ("fails", KEY),
            ("refused", KEY),
            ("breaks", KEY),
            ("well", KEY),
            ("well", POOR_KEY),
            ("well", POOR_KEY),
        ]
        with ThreadPoolExecutor(len(asked) + 1) as pool:
            pool.submit(scene.router.stand)
            list(pool.map(lambda each: scene.ask(*each), asked))

    # An upstream fails, one refuses our key, one breaks off what it has begun, one bills by a tier that has no price; somebody
    # has no allowance; and something computes within a loop.
    expected = {
        "PenstockRequestsFail", "PenstockUpstreamIsOut", "PenstockUpstreamKeyIsRefused", "PenstockAnswersBreakOff",
        "PenstockAnswersWithoutAPrice", "PenstockLimitsRefuse", "PenstockEventLoopIsLate",
    }  # fmt: skip
    seen = scene.all_of(expected, all_of_it)
    assert seen["PenstockUpstreamKeyIsRefused"]["upstream"] == "refused"
    assert seen["PenstockAnswersBreakOff"]["upstream"] == "breaks"
    assert seen["PenstockEventLoopIsLate"]["role"] == "router"
    assert "PenstockNoUpstreamIsLeft" not in scene.firing()

    # The last upstream fails as well.
    scene.switch["well"] = scene.switch["breaks"] = SCRIPTS["503"]
    scene.all_of({"PenstockNoUpstreamIsLeft"}, all_of_it)

    # Redis dies and comes back; a configuration is reloaded that cannot be used.
    written = scene.config.read_text()
    scene.config.write_text(written.replace('"upstreams"', '"upstraems"'))
    scene.redis.crash()
    os.kill(scene.pid, signal.SIGHUP)
    scene.all_of({"PenstockLimitsAreNotExact", "PenstockReloadRefused"}, lambda: scene.ask("well", POOR_KEY))
    scene.redis.start()
    scene.until(lambda firing: "PenstockLimitsAreNotExact" not in firing, lambda: scene.ask("well", POOR_KEY))

    # The process dies, and with it all roles that it had.
    os.kill(scene.pid, signal.SIGKILL)
    gone = set(ROLES) - {"router"}
    scene.until(lambda firing: {each["role"] for each in firing.get("PenstockRoleGone", [])} >= gone)
