"""Further alerts as they are shipped fire once what they are for has really come about; minutes, and so ``make alerts``."""

from __future__ import annotations

import base64
import itertools
import os
import sqlite3
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from alerts_scene import KEY, Scene, open_scene

from penstock_common.testing.ports import free_port
from penstock_faults.named import SCRIPTS
from penstock_faults.script import Answer, Pace, Script, Step

OTHER_KEY, OPERATOR = "key-of-other-key-of-other", "key-of-operator-key-of-operator"
STUCK = tuple(f"stuck{number}" for number in range(7))
DOORS = 40
"""Requests that the gateway takes in hand at once."""

pytestmark = [
    pytest.mark.skipif("PENSTOCK_ALERTS" not in os.environ, reason="minutes: run 'make alerts'"),
    pytest.mark.timeout(900),
]


@pytest.fixture(scope="module")
def scene(promtool: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    cached = Step(answer=Answer(usage={"input": 1000, "output": 5, "cached": 900}))
    switch = {
        "fails": SCRIPTS["503"],
        "well": Script(name="well"),
        "flaps": Script(name="well"),
        "breaks": SCRIPTS["cut-reset"],
        "late": Script(name="late", steps=(Step(pace=Pace(first_token_seconds=9)),)),
        "busy": Script(name="busy", steps=(Step(pace=Pace(first_token_seconds=0.5)),)),
        "stuck": SCRIPTS["stall-headers"] if "stall-headers" in SCRIPTS else Script(name="stuck", steps=(Step(pace=Pace(headers_seconds=600)),)),
        "cached": Script(name="cached", steps=(cached,)),
    }  # fmt: skip
    with open_scene(promtool, tmp_path_factory.mktemp("alerts"), _document, switch) as scene:
        scene.streamed = ("mended", "late")
        yield scene


def _document(urls: dict[str, str]) -> dict[str, Any]:
    model = {
        "name": "m", "context_window": 8000, "capabilities": ["chat", "prefill"], "price": {"input": 1, "output": 2},
    }  # fmt: skip
    upstreams = [
        {"name": name, "provider": "openai_compatible", "base_url": url, "api_key": "sk", "models": [model]}
        for name, url in urls.items()
    ]
    for upstream in upstreams:
        if upstream["name"] in {"late", "stuck"}:
            upstream["timeouts"] = {"headers": "600s", "first_token": "600s", "idle": "600s"}
        if upstream["name"] == "busy":
            upstream["limits"] = {"concurrent_requests": 1, "most_waiting": 4, "wait": "20s"}
    place = {"base_url": urls["fails"], "model": "vectors", "revision": "1"}
    secret = "whsec_" + base64.b64encode(b"s" * 32).decode()
    budget = {"amount": 0.00001, "kind": "soft", "alerts": [50]}
    return {
        "listen": {"http": "127.0.0.1:0", "grpc": "127.0.0.1:0"},
        "upstreams": upstreams,
        "models": [
            *({"name": name, "candidates": [f"{name}/m"]} for name in urls),
            {"name": "degraded", "candidates": ["fails/m"], "degradation": [{"template": "Come again tomorrow."}]},
            {"name": "mended", "candidates": ["breaks/m", "well/m"]},
            *({"name": name, "candidates": ["stuck/m"]} for name in STUCK),
        ],
        "tenants": [
            {"name": "app", "tier": {"requests_per_minute": 1_000_000, "priority": "critical"}, "keys": [KEY]},
            {"name": "other", "tier": {"requests_per_minute": 1_000_000}, "keys": [OTHER_KEY], "time_zone": "Pacific/Auckland"},
        ],
        "operator": {"keys": [OPERATOR]},
        "cache": {"mode": "off"},
        "gateway": {"max_in_flight": DOORS},
        "health": {"failures_in_a_row": 2, "probe_every": "100ms", "retries_at_once": 0, "retry_ratio": 0},
        "budgets": [
            {"name": f"{period}-of-{tenant}", "tenant": tenant, "period": period, **budget, "webhook": "nobody"}
            for tenant in ("app", "other")
            for period in ("day", "total")
        ],
        "budget_watch": {"refresh": "500ms", "every": "500ms"},
        "ledger": {"drift_every": "500ms"},
        "webhooks": {
            # Nobody is there.
            "nobody": {"url": f"http://127.0.0.1:{free_port()}/", "secrets": [secret], "allow_private": True},
        },
        "embedding": {
            "runtime": "provider",
            "model": "vectors",
            "dimensions": 8,
            "provider": {**place, "name": "first", "attempts": 1, "standbys": [{**place, "name": "second"}]},
        },
        "guardrails": {
            "rules": {"doubtful": {"kind": "words", "action": "review", "deny": ["doubtful"]}},
            "pipelines": [{"input": ["doubtful"]}],
        },
        "reviews": {"service_level": "1s", "every": "500ms", "max_open": 3},
        "jobs": {"max_attempts": 1, "per_target": 1, "lease": "40s", "heartbeat": "1s", "reclaim_every": "500ms", "priority": "critical"},
    }  # fmt: skip


def _job(scene: Scene, model: str) -> int:
    turn = {"role": "ROLE_USER", "parts": [{"text": "Hi"}]}
    return scene.send("/api/v1/jobs", {"chat": {"input": {"model": model, "messages": [turn]}}})


class Flapping:
    """An upstream that fails for a second, and is well for a second."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._until = 0.0

    def __call__(self) -> None:
        if time.monotonic() > self._until:
            fails = self._scene.switch["flaps"] is SCRIPTS["503"]
            self._scene.switch["flaps"] = Script(name="well") if fails else SCRIPTS["503"]
            self._until = time.monotonic() + 1
        for key in (KEY, OTHER_KEY):
            self._scene.ask("flaps", key)


def _database(scene: Scene) -> sqlite3.Connection:
    (path,) = (scene.config.parent / "state").rglob("penstock.db")
    return sqlite3.connect(path, isolation_level=None)


def test_further_alerts_fire_once_what_they_are_for_has_come_about(scene):
    flapping, serial = Flapping(scene), itertools.count()
    # Of one model, of which one job runs at a time: the second waits, until the end.
    assert [_job(scene, "stuck") for _ in range(2)] == [200, 200]
    assert (
        scene.send("/api/v1/admin/upstreams/cached:eject", {"duration": "3600s", "reason": "a test"}, OPERATOR) == 200
    )
    with ThreadPoolExecutor(16) as pool:

        def all_of_it() -> None:
            # It answers two a second, one at a time.
            for _ in range(6):
                if pool._work_queue.qsize() < 8:
                    pool.submit(scene.ask, "busy")
            _job(scene, "fails")
            flapping()
            for model in ("degraded", "mended", "well"):
                scene.ask(model)
            scene.ask("well", OTHER_KEY, f"something doubtful, number {next(serial)}")
            for key in (KEY, OTHER_KEY):
                scene.send("/v1/embeddings", {"model": "vectors", "input": "x"}, key)

        expected = {
            "PenstockStandsInForAModel", "PenstockBudgetIsNearlySpent", "PenstockBudgetIsSpentTooFast",
            "PenstockUpstreamComesAndGoes", "PenstockUpstreamIsForgotten", "PenstockAnswersAreMended",
            "PenstockRequestsWaitForAnUpstream", "PenstockUpstreamSheds", "PenstockEmbeddingsOnStandby",
            "PenstockWebhookFails", "PenstockJobsDie", "PenstockReviewsOverdue", "PenstockReviewsAreRefused",
        }  # fmt: skip
        seen = scene.all_of(expected, all_of_it)
    assert seen["PenstockUpstreamIsForgotten"]["upstream"] == "cached"

    # Of two tenants, as one alone may not have all of it: more come than the gateway takes in hand, and their upstream takes nine seconds for its first token.
    keys = itertools.cycle((KEY, OTHER_KEY))
    with ThreadPoolExecutor(2 * DOORS) as pool:

        def crowd() -> None:
            if pool._work_queue.qsize() < DOORS:
                pool.submit(scene.ask, "late", next(keys))

        scene.all_of({"PenstockDoorSheds", "PenstockFirstTokenIsLate"}, crowd)

    # The database of before is put in the place of this one's; then somebody locks it.
    with _database(scene) as database:
        database.execute("DELETE FROM ledger_totals")
        database.execute("DELETE FROM ledger")
    scene.all_of({"PenstockLedgerDrift"}, lambda: scene.ask("well"))
    with _database(scene) as database:
        database.execute("BEGIN IMMEDIATE")
        with ThreadPoolExecutor(8) as pool:
            scene.all_of({"PenstockLedgerWaits"}, lambda: list(pool.map(scene.ask, ["well"] * 100)))
        database.execute("ROLLBACK")
    scene.all_of({"PenstockJobsWait"}, lambda: scene.ask("well"))

    # The process dies with the jobs that it runs, and another takes its place.
    for model in STUCK:
        assert _job(scene, model) == 200
    time.sleep(2)
    scene.end()
    scene.start()
    scene.all_of({"PenstockJobsAreLost"}, lambda: scene.ask("well"))
