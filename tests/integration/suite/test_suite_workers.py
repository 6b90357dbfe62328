"""Several equal processes: they share what callers see, and one that dies is missed by nobody."""

import json
import os
import signal
import socket
import stat
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
import redis
import yaml
from prometheus_client import CollectorRegistry, generate_latest, start_http_server
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics

from penstock_common.telemetry.metrics import Counters, Histograms
from penstock_suite.adapters.worker_metrics import WorkerMetrics
from penstock_suite.domain.state_folder import StateFolder

DEADLINE_SECONDS = 90.0


def workers_of(stack) -> dict[str, int]:
    return {name: pid for name, pid in stack.parts.items() if name.startswith("worker-")}


def models_status(ready) -> int:
    request = urllib.request.Request(f"{ready['http']}/v1/models", headers={"authorization": f"Bearer {ready['key']}"})
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


def eventually(condition) -> bool:
    end = time.monotonic() + DEADLINE_SECONDS
    while time.monotonic() < end:
        if condition():
            return True
    return False


def test_every_worker_is_a_process_of_the_stack_and_ends_with_it(start, config, exits):
    stack = start("--config", config, "--workers", "3")
    stack.until("ready")
    assert set(stack.parts) == {"penstock", "redis", "edge", "worker-0", "worker-1", "worker-2"}
    others = exits([pid for name, pid in stack.parts.items() if name != "penstock"])
    assert stack.end(signal.SIGTERM) == 0
    assert others.wait() == []
    stack.until("stopped")
    assert list((stack.state / "sockets").glob("worker-*-http.sock")) == []


def test_no_worker_outlives_a_stack_that_is_killed(start, config, exits):
    stack = start("--config", config, "--workers", "2")
    stack.until("ready")
    others = exits([pid for name, pid in stack.parts.items() if name != "penstock"])
    stack.end(signal.SIGKILL)
    assert others.wait() == []


def test_a_worker_that_dies_is_missed_by_nobody_and_started_again(start, config, penstock):
    stack = start("--config", config, "--workers", "2")
    ready = stack.until("ready")
    started_at = json.loads(penstock("status", "--state", stack.state, "--json").stdout)["started_at"]
    before = workers_of(stack)
    os.kill(before["worker-1"], signal.SIGKILL)
    statuses = {models_status(ready) for _ in range(50)}
    assert statuses == {200}
    assert "worker-1 was ended by SIGKILL" in stack.until("lost")["message"]
    again = stack.until("prepared")
    assert again["part"] == "worker-1"
    after = workers_of(stack)
    assert after == {**before, "worker-1": again["pid"]}
    assert again["pid"] != before["worker-1"]
    told = json.loads(penstock("status", "--state", stack.state, "--json").stdout)
    assert (told["ready"], len(told["gateways"])) == (True, 2)
    assert told["started_at"] == started_at
    # What it said before it died is kept.
    assert stack.log("worker-1").count('"event":"ready"') == 2
    assert models_status(ready) == 200


def test_when_all_workers_are_dead_callers_are_told_to_come_back_and_are_served_again(start, config):
    stack = start("--config", config, "--workers", "2")
    ready = stack.until("ready")
    for pid in workers_of(stack).values():
        os.kill(pid, signal.SIGKILL)
    assert eventually(lambda: models_status(ready) == 503)
    assert eventually(lambda: models_status(ready) == 200)


def test_a_caller_of_grpc_reaches_both_workers_by_one_port(start, config):
    stack = start("--config", config, "--workers", "2")
    ready = stack.until("ready")
    host, _, port = ready["grpc"].rpartition(":")
    own = {inode for pid in workers_of(stack).values() for inode in sockets_of(pid)}
    listening = [inode for inode, at in listening_ports() if at == int(port)]
    assert len(own.intersection(listening)) == 2
    # The port stays ours while workers come and go: nobody else can take it.
    with socket.socket() as other, pytest.raises(OSError, match="in use"):
        other.bind((host, int(port)))


def sockets_of(pid: int) -> set[int]:
    links = [os.readlink(path) for path in Path(f"/proc/{pid}/fd").iterdir()]
    return {int(link[len("socket:[") : -1]) for link in links if link.startswith("socket:[")}


def listening_ports() -> list[tuple[int, int]]:
    pages = [Path(f"/proc/net/{family}").read_text() for family in ("tcp", "tcp6")]
    rows = [line.split() for page in pages for line in page.splitlines()[1:]]
    return [(int(row[9]), int(row[1].rpartition(":")[2], 16)) for row in rows if row[3] == "0A"]


def test_a_worker_that_cannot_start_ends_the_stack_with_a_sentence(config, penstock, tmp_path):
    in_the_way = tmp_path / "other" / "sockets" / "worker-1-http.sock"
    in_the_way.mkdir(parents=True)
    told = penstock("up", "--config", config, "--state", tmp_path / "other", "--workers", "2")
    assert told.returncode == 1
    assert "The worker-1 ended with exit code 1" in told.stderr
    assert not (tmp_path / "other" / "run.json").exists()


@pytest.mark.parametrize("count", ["0", "65", "many"])
def test_a_number_of_workers_that_cannot_be_is_refused(penstock, count):
    told = penstock("up", "--workers", count)
    assert told.returncode == 2
    assert "--workers" in told.stderr


def test_what_a_worker_is_told_is_for_its_owner_alone(start, config):
    stack = start("--config", config, "--workers", "2")
    stack.until("ready")
    plans = sorted((stack.state / "workers").glob("*.json"))
    assert [path.stem for path in plans] == ["worker-0", "worker-1"]
    assert {stat.S_IMODE(path.stat().st_mode) for path in plans} == {0o600}
    # References are resolved by the worker, so no secret of the environment is written down.
    document = json.loads(plans[0].read_text())["document"]
    assert document["tenants"][0]["keys"] == [f"${{file:{stack.state / 'demo-key'}}}"]


def test_a_plan_that_is_none_is_refused_with_a_sentence(penstock, tmp_path):
    path = tmp_path / "plan.json"
    path.write_text("{}")
    told = penstock("worker", path)
    assert told.returncode == 1
    assert "is no worker's plan" in json.loads(told.stdout)["message"]


def test_the_ledger_holds_what_every_worker_served(start, config):
    stack = start("--config", config, "--workers", "2")
    ready = stack.until("ready")

    def ask(number: int) -> int:
        body = json.dumps({"model": "fast", "messages": [{"role": "user", "content": f"question {number}"}]})
        headers = {"authorization": f"Bearer {ready['key']}", "content-type": "application/json"}
        request = urllib.request.Request(f"{ready['http']}/v1/chat/completions", body.encode(), headers)
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                return answer.status
        except urllib.error.HTTPError as error:
            return error.code

    # Nobody listens at the upstream: each is an error, and each is in the ledger.
    with ThreadPoolExecutor(16) as callers:
        statuses = list(callers.map(ask, range(60)))
    assert {*statuses} <= {502, 503}
    assert stack.end(signal.SIGTERM) == 0
    assert len(stack.ledger()) == 60


class Provider(BaseHTTPRequestHandler):
    """Answers every chat with one word."""

    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        choice = {"index": 0, "message": {"content": "Yes."}, "finish_reason": "stop"}
        usage = {"prompt_tokens": 1, "completion_tokens": 1}
        body = json.dumps({"object": "chat.completion", "choices": [choice], "usage": usage}).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def provider(config):
    """Have the configuration's provider answer."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Provider) as server:
        serving = Thread(target=server.serve_forever)
        serving.start()
        document = yaml.safe_load(config.read_text())
        document["upstreams"][0]["base_url"] = f"http://127.0.0.1:{server.server_port}/v1"
        config.write_text(json.dumps(document))
        yield
        server.shutdown()
        serving.join()


def test_clearing_the_cache_reaches_every_workers_memory(start, config, provider, penstock):
    stack = start("--config", config, "--workers", "2")
    ready = stack.until("ready")
    kept = {"x-penstock-cache": "only-if-cached"}

    def all_of_many(status: int) -> bool:
        with ThreadPoolExecutor(16) as callers:
            return {*callers.map(lambda _: chat_status(ready, kept), range(64))} == {status}

    assert chat_status(ready) == 200
    assert eventually(lambda: all_of_many(200))
    cleared = penstock("cache", "clear", "--model", "fast", "--config", config, "--state", stack.state, "--json")
    assert json.loads(cleared.stdout)["deleted_entries"] >= 1
    assert eventually(lambda: all_of_many(404))
    assert all_of_many(404)


def test_metrics_of_a_worker_that_does_not_answer_are_left_out():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        free = taken.getsockname()[1]
    assert list(WorkerMetrics({"worker-0": f"127.0.0.1:{free}"}).collect()) == []


def test_metrics_of_a_worker_keep_the_traces_that_explain_them():
    registry = CollectorRegistry()
    waits = Histograms(registry, "penstock_waits_seconds", "Waits.", ("model",), (0.1, 1.0))
    waits.observe(("m",), 0.5)
    waits.exemplify(("m",), 0.5, "a" * 32)
    Counters(registry, "penstock_things_total", "Things.", ("kind",)).add(("x",), 2)
    server, thread = start_http_server(0, "127.0.0.1", registry)
    try:
        shown = CollectorRegistry()
        shown.register(WorkerMetrics({"worker-0": f"127.0.0.1:{server.server_port}"}))
        told = generate_openmetrics(shown).decode()
        plain = generate_latest(shown).decode()
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    bucket = 'penstock_waits_seconds_bucket{le="1.0",model="m",worker="worker-0"} 1.0'
    assert f'{bucket} # {{trace_id="{"a" * 32}"}} 0.5 ' in told
    assert bucket in plain
    for text in (told, plain):
        assert 'penstock_things_total{kind="x",worker="worker-0"} 2.0' in text


@pytest.mark.parametrize("workers", [1, 2])
def test_limits_are_counted_in_redis_where_several_processes_count_them(start, config, workers):
    document = yaml.safe_load(config.read_text())
    document["tenants"][0]["tier"] = {"requests_per_minute": 3}
    # Machines that run tests stall for longer than Redis ever would.
    document["gateway"] = {"redis_timeout": "20s"}
    config.write_text(json.dumps(document))
    stack = start("--config", config, "--workers", workers)
    ready = stack.until("ready")
    # Nobody listens where the provider should be; a request counts all the same.
    assert chat_status(ready) >= 500
    with redis.Redis(unix_socket_path=str(StateFolder(stack.state).redis_socket)) as client:
        keys = client.keys("*limits*")
    assert bool(keys) is (workers > 1)


def chat_status(ready, headers=None) -> int:
    body = json.dumps({"model": "fast", "messages": [{"role": "user", "content": "Hi"}]}).encode()
    head = {"authorization": f"Bearer {ready['key']}", "content-type": "application/json", **(headers or {})}
    request = urllib.request.Request(f"{ready['http']}/v1/chat/completions", data=body, headers=head)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code
