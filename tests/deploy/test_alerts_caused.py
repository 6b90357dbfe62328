"""Alerts as they are shipped fire once what they are for has really come about: those that do so within seconds.

The others: test_alerts_caused_slowly.py.
"""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import yaml
from alerts_scene import ALERTS, KEY, POOR_KEY, ROLES, Scene, open_scene, rules, shortened

from penstock_faults.named import SCRIPTS
from penstock_faults.script import Answer, Script, Step


@pytest.fixture(scope="module")
def scene(promtool: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    dear = Script(name="dear", steps=(Step(answer=Answer(service_tier="priority")),))
    switch = {"fails": SCRIPTS["503"], "refused": SCRIPTS["401"], "breaks": SCRIPTS["cut-reset"], "well": dear}
    switch["unpriced"] = Script(name="well")
    with open_scene(promtool, tmp_path_factory.mktemp("alerts"), _document, switch) as scene:
        yield scene


def _document(urls: dict[str, str]) -> dict[str, Any]:
    model = {"name": "m", "context_window": 8000, "capabilities": ["chat"], "price": {"input": 1, "output": 2}}
    priced = dict.fromkeys(urls, model) | {"unpriced": {name: model[name] for name in model if name != "price"}}
    return {
        "listen": {"http": "127.0.0.1:0", "grpc": "127.0.0.1:0"},
        "upstreams": [
            {"name": name, "provider": "openai_compatible", "base_url": url, "api_key": "sk", "models": [priced[name]]}
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


def test_all_durations_of_rules_go_faster_by_the_same_number():
    assert shortened("rate(x_total[5m]) > 0.1 and y[1h]") == "rate(x_total[1500ms]) > 0.1 and y[18000ms]"
    there = [rule for group in yaml.safe_load(ALERTS.read_text())["groups"] for rule in group["rules"]]
    here = [rule for group in rules()["groups"] for rule in group["rules"]]
    assert [rule["alert"] for rule in here] == [rule["alert"] for rule in there]
    assert not any(re.search(r"\[\d+[smhd]\]", rule["expr"]) for rule in here)


def test_alerts_fire_once_what_they_are_for_has_come_about(scene):
    def all_of_it() -> None:
        asked = [
            ("fails", KEY),
            ("refused", KEY),
            ("breaks", KEY),
            ("unpriced", KEY),
            ("well", KEY),
            ("well", POOR_KEY),
            ("well", POOR_KEY),
        ]
        with ThreadPoolExecutor(len(asked) + 1) as pool:
            pool.submit(scene.router.stand)
            list(pool.map(lambda each: scene.ask(*each), asked))

    # An upstream fails, one refuses our key, one breaks off what it has begun, one bills by a tier that has no price, one has no
    # price at all; somebody has no allowance; something computes within a loop; the router was given another configuration.
    expected = {
        "PenstockRequestsFail", "PenstockUpstreamIsOut", "PenstockUpstreamKeyIsRefused", "PenstockAnswersBreakOff",
        "PenstockAnswersWithoutAPrice", "PenstockLimitsRefuse", "PenstockEventLoopIsLate",
        "PenstockCostUnknown", "PenstockRevisionsDiffer", "PenstockRetriesAreRefused",
    }  # fmt: skip
    seen = scene.all_of(expected, all_of_it)
    assert seen["PenstockUpstreamKeyIsRefused"]["upstream"] == "refused"
    assert seen["PenstockAnswersBreakOff"]["upstream"] == "breaks"
    assert seen["PenstockEventLoopIsLate"]["role"] == "router"
    assert "PenstockNoUpstreamIsLeft" not in scene.firing()

    # The last upstream fails as well.
    scene.switch.update(dict.fromkeys(scene.switch, SCRIPTS["503"]))
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
    scene.end()
    gone = set(ROLES) - {"router"}
    scene.until(lambda firing: {each["role"] for each in firing.get("PenstockRoleGone", [])} >= gone)
