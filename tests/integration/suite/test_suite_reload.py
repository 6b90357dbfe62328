"""A stack that runs takes its configuration over: what is asked next is answered by it, and what runs ends as it began."""

from __future__ import annotations

import json
import os
import pty
import signal
import sqlite3
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import yaml

from penstock_common.testing.ports import free_port

DEADLINE_SECONDS = 90.0
TOKENS = {"prompt_tokens": 10, "completion_tokens": 10}


class Provider(BaseHTTPRequestHandler):
    """Answers every chat with two words; a stream's second waits for ``server.may_go_on``."""

    protocol_version = "HTTP/1.1"

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self._stream() if asked.get("stream") else self._whole()

    def _whole(self):
        choice = {"index": 0, "message": {"role": "assistant", "content": "Yes."}, "finish_reason": "stop"}
        body = json.dumps({"object": "chat.completion", "choices": [choice], "usage": TOKENS}).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _stream(self):
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("connection", "close")
        self.end_headers()
        self._event({"choices": [{"index": 0, "delta": {"content": "Yes"}}]})
        self.server.may_go_on.wait(DEADLINE_SECONDS)
        self._event({"choices": [{"index": 0, "delta": {"content": " indeed."}, "finish_reason": "stop"}]})
        self._event({"choices": [], "usage": TOKENS})
        self.wfile.write(b"data: [DONE]\n\n")
        self.close_connection = True

    def _event(self, value):
        self.wfile.write(b"data: " + json.dumps({"object": "chat.completion.chunk", **value}).encode() + b"\n\n")
        self.wfile.flush()

    def log_message(self, *_):
        pass


@pytest.fixture
def provider():
    """A provider that runs."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Provider) as server:
        server.daemon_threads = True
        server.may_go_on = threading.Event()
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        yield server
        server.may_go_on.set()
        server.shutdown()
        serving.join()


@pytest.fixture
def document(provider, config):
    """The configuration of a stack before that provider, with prices; a test changes and writes it."""
    document = yaml.safe_load(config.read_text())
    document["upstreams"][0]["base_url"] = f"http://127.0.0.1:{provider.server_port}/v1"
    document["cache"] = {"mode": "off"}
    config.write_text(json.dumps(document, indent=1))
    return document


@pytest.fixture
def written(document, config):
    """A function that writes the document as a test has changed it."""
    return lambda: config.write_text(json.dumps(document, indent=1))


@pytest.fixture
def reload(penstock, written):
    """A function that writes the document and has a stack take it over; returns what the command says."""

    def reload(stack, expected=0):
        written()
        told = penstock("config", "reload", "--state", stack.state, "--json")
        assert told.returncode == expected, told.stdout + told.stderr
        return json.loads(told.stdout)

    return reload


def ask(ready, model="fast", **more):
    """Return the status and the document of an answer."""
    body = json.dumps({"model": model, "messages": [{"role": "user", "content": "Hi"}], **more}).encode()
    head = {"authorization": f"Bearer {ready['key']}", "content-type": "application/json"}
    request = urllib.request.Request(f"{ready['http']}/v1/chat/completions", data=body, headers=head)
    try:
        with urllib.request.urlopen(request, timeout=DEADLINE_SECONDS) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


def model_names(ready):
    head = {"authorization": f"Bearer {ready['key']}"}
    with urllib.request.urlopen(urllib.request.Request(f"{ready['http']}/v1/models", headers=head)) as answer:
        return {model["id"] for model in json.loads(answer.read())["data"]}


def eventually(condition):
    end = time.monotonic() + DEADLINE_SECONDS
    while time.monotonic() < end:
        if condition():
            return True
    return False


def costs(stack):
    """Return what each request was billed, oldest first, once the ledger is written."""
    assert stack.end(signal.SIGTERM) == 0
    with closing(sqlite3.connect(stack.state / "penstock.db")) as database:
        return [row[0] for row in database.execute("SELECT cost_nano_usd FROM ledger ORDER BY created_at")]


@pytest.mark.parametrize("workers", [1, 2])
def test_a_price_is_billed_and_a_model_answers_as_soon_as_the_command_says_so(
    start, config, document, reload, penstock, workers
):
    stack = start("--config", config, "--workers", workers)
    ready = stack.until("ready")
    assert ask(ready)[0] == 200
    assert ask(ready, "new")[0] == 404
    document["upstreams"][0]["models"][0]["price"] = {"input": 10, "output": 20}
    document["models"].append({"name": "new", "candidates": ["remote/m"]})
    told = reload(stack)
    assert (told["outcome"], told["added"]) == ("applied", ["models.new"])
    assert told["changed"] == [
        "upstreams.remote.models.m.price.input",
        "upstreams.remote.models.m.price.output",
    ]
    assert told["revision"] != told["revision_before"]
    # Every process: whichever is asked, the answer is by what was written.
    assert {ask(ready, "new")[0] for _ in range(20)} == {200}
    assert model_names(ready) == {"fast", "new"}
    status = json.loads(penstock("status", "--state", stack.state, "--json").stdout)
    running = {part["revision"] for part in status["parts"] if part["name"] == "penstock" or "worker" in part["name"]}
    assert running == {told["revision"]} == {status["revision"]}
    # And so says each gateway itself, to whoever may ask from elsewhere.
    assert [gateway["revision"] for gateway in status["gateways"]] == [told["revision"]] * workers
    assert status["last_reload"]["outcome"] == "applied"
    document["models"].pop()
    assert reload(stack)["removed"] == ["models.new"]
    assert {ask(ready, "new")[0] for _ in range(10)} == {404}
    billed = costs(stack)
    assert billed[0] == 10_000 + 20_000
    assert {cost for cost in billed[1:] if cost} == {100_000 + 200_000}
    told = penstock("prices", "history", "--model", "m", "--config", config, "--state", stack.state, "--json")
    history = [(row["input_nano_usd"], row["output_nano_usd"], row["revision"]) for row in json.loads(told.stdout)]
    assert [prices[:2] for prices in history] == [(10**9, 2 * 10**9), (10 * 10**9, 20 * 10**9)]
    # Each row names the revision that it was billed by.
    with closing(sqlite3.connect(stack.state / "penstock.db")) as database:
        named = database.execute("SELECT DISTINCT cost_nano_usd, price_revision FROM ledger WHERE cost_nano_usd > 0")
        assert dict(named.fetchall()) == {30_000: history[0][2], 300_000: history[1][2]}


def test_a_ladder_comes_and_goes_in_gateway_router_and_cache(start, config, document, reload, written):
    document["upstreams"][0]["base_url"] = "http://127.0.0.1:9/v1"
    document["cache"] = {"mode": "exact"}
    written()
    stack = start("--config", config)
    ready = stack.until("ready")
    assert ask(ready)[0] >= 500
    document["models"][0]["degradation"] = [{"stale_if_error": "24h"}, {"template": "Sorry."}]
    assert reload(stack)["outcome"] == "applied"
    status, answer = ask(ready)
    assert (status, answer["choices"][0]["message"]["content"]) == (200, "Sorry.")
    document["models"][0]["degradation"] = [{"model": "absent"}]
    assert "which is no public model" in reload(stack, expected=2)["faults"][0]
    assert ask(ready)[0] == 200
    del document["models"][0]["degradation"]
    assert reload(stack)["outcome"] == "applied"
    assert ask(ready)[0] >= 500


def test_a_stream_under_way_ends_whole_though_its_upstream_is_gone(start, config, document, provider, reload):
    stack = start("--config", config)
    ready = stack.until("ready")
    body = json.dumps({"model": "fast", "stream": True, "messages": [{"role": "user", "content": "Hi"}]}).encode()
    head = {"authorization": f"Bearer {ready['key']}", "content-type": "application/json"}
    request = urllib.request.Request(f"{ready['http']}/v1/chat/completions", data=body, headers=head)
    with urllib.request.urlopen(request, timeout=DEADLINE_SECONDS) as answer:
        first = answer.readline()
        while b"Yes" not in first:
            first = answer.readline()
        document["upstreams"][0].update(name="other", base_url="http://127.0.0.1:9/v1")
        document["upstreams"][0]["models"][0]["price"] = {"input": 999, "output": 999}
        document["models"][0]["candidates"] = ["other/m"]
        document["reload"] = {"earlier_plans": "0s"}
        told = reload(stack)
        assert {"upstreams.other", "upstreams.remote"} == {*told["added"], *told["removed"]}
        provider.may_go_on.set()
        rest = answer.read()
    assert b" indeed." in rest
    assert rest.rstrip().endswith(b"data: [DONE]")
    # The next one goes where the file says, where nobody listens.
    assert ask(ready)[0] >= 500
    assert costs(stack)[0] == 10_000 + 20_000


def test_a_faulty_file_leaves_everything_as_it_was_and_names_every_fault(start, config, document, reload, penstock):
    stack = start("--config", config)
    ready = stack.until("ready")
    document["models"][0]["candidates"] = ["remote/absent"]
    document["tenants"][0]["tier"] = "absent"
    told = reload(stack, expected=2)
    assert told["outcome"] == "refused"
    assert ["models[0].candidates[0]" in told["faults"][0], "tenants[0].tier" in told["faults"][1]] == [True, True]
    assert all(fault.startswith(f"{config}:") for fault in told["faults"])
    assert ask(ready)[0] == 200
    (event,) = [json.loads(line) for line in stack.log("penstock").splitlines() if "configuration_refused" in line]
    assert (event["level"], event["faults"]) == ("error", told["faults"])
    human = penstock("config", "reload", "--state", stack.state)
    assert human.returncode == 2
    assert told["revision_before"] in human.stderr
    assert told["faults"][0] in human.stderr
    status = json.loads(penstock("status", "--state", stack.state, "--json").stdout)
    assert (status["revision"], status["last_reload"]["outcome"]) == (told["revision_before"], "refused")


def test_what_needs_a_restart_is_refused_whole_with_the_list_of_it(start, config, document, reload):
    stack = start("--config", config)
    ready = stack.until("ready")
    document["listen"]["grpc"] = "127.0.0.1:1"
    document["gateway"] = {"max_in_flight": 5}
    document["models"].append({"name": "new", "candidates": ["remote/m"]})
    told = reload(stack, expected=2)
    assert [fault.split("'")[1] for fault in told["faults"]] == ["gateway.max_in_flight", "listen.grpc"]
    assert model_names(ready) == {"fast"}


def test_tiers_and_keys_of_tenants_are_taken_over(start, config, document, reload):
    document["tenants"].append({"name": "other", "keys": ["a-key-of-the-other-tenant"], "tier": {}})
    config.write_text(json.dumps(document))
    stack = start("--config", config)
    ready = stack.until("ready")
    other = {**ready, "key": "a-key-of-the-other-tenant"}
    assert ask(other)[0] == 200
    document["tenants"][0]["tier"] = {"requests_per_minute": 1}
    document["tenants"].pop()
    told = reload(stack)
    assert told["removed"] == ["tenants.other"]
    assert ask(other)[0] == 401
    assert [ask(ready)[0] for _ in range(3)][1:] == [429, 429]


def test_a_reload_stands_in_the_audit_log(start, config, document, reload, penstock):
    stack = start("--config", config)
    stack.until("ready")
    document["models"].append({"name": "new", "candidates": ["remote/m"]})
    told = reload(stack)
    document["sql"] = "sqlite:///elsewhere.db"
    reload(stack, expected=2)
    document.pop("sql")
    assert eventually(lambda: len(entries(stack)) == 2)
    assert entries(stack) == [
        ("signal", "configuration.reload", told["revision"], "ok"),
        ("signal", "configuration.reload", told["revision"], "configuration_refused"),
    ]


def entries(stack):
    with closing(sqlite3.connect(stack.state / "penstock.db")) as database:
        return database.execute("SELECT actor_key_id, action, target, outcome FROM audit_log ORDER BY id").fetchall()


def test_a_signal_during_the_start_neither_ends_it_nor_is_lost(start, config, document):
    stack = start("--config", config)
    stack.until("preparing")
    stack.process.send_signal(signal.SIGHUP)
    stack.until("ready")
    assert stack.until("reload")["outcome"] == "applied"


def test_no_stack_is_told_apart_from_one_that_refuses(penstock, tmp_path):
    told = penstock("config", "reload", "--state", tmp_path / "state")
    assert told.returncode == 5
    assert "no stack runs on" in told.stderr


def test_a_worker_that_does_not_answer_is_named_and_takes_over_when_it_can(start, config, document, reload, penstock):
    document["reload"] = {"worker_patience": "100ms"}
    config.write_text(json.dumps(document))
    stack = start("--config", config, "--workers", "2")
    ready = stack.until("ready")
    stopped = stack.parts["worker-1"]
    os.kill(stopped, signal.SIGSTOP)
    try:
        document["models"].append({"name": "new", "candidates": ["remote/m"]})
        told = reload(stack, expected=1)
    finally:
        os.kill(stopped, signal.SIGCONT)
    assert told["outcome"] == "partial"
    problems = {process["name"]: process["problem"] for process in told["processes"]}
    # On a machine that is busy neither may be in time; the one that cannot never is.
    assert "did not answer within 0.1 s" in problems["worker-1"]

    def revisions():
        status = json.loads(penstock("status", "--state", stack.state, "--json").stdout)
        return {part["revision"] for part in status["parts"] if "worker" in part["name"]}

    assert eventually(lambda: revisions() == {told["revision"]})
    assert {ask(ready, "new")[0] for _ in range(10)} == {200}


def test_a_worker_that_starts_again_runs_the_newest_revision(start, config, document, reload):
    stack = start("--config", config, "--workers", "2")
    ready = stack.until("ready")
    document["models"].append({"name": "new", "candidates": ["remote/m"]})
    reload(stack)
    os.kill(stack.parts["worker-0"], signal.SIGKILL)
    stack.until("lost")
    stack.until("prepared")
    assert {ask(ready, "new")[0] for _ in range(20)} == {200}


def test_reloads_under_load_lose_no_request(start, config, document, provider, reload, penstock):
    stack = start("--config", config)
    ready = stack.until("ready")
    done = threading.Event()

    def ask_on(_):
        statuses = []
        while not done.is_set():
            statuses.append(ask(ready)[0])
        return statuses

    with ThreadPoolExecutor(6) as callers:
        asking = [callers.submit(ask_on, number) for number in range(6)]
        try:
            for number in range(10):
                # Another upstream each time, and the one before it is gone.
                document["upstreams"][0]["name"] = f"remote-{number}"
                document["models"][0]["candidates"] = [f"remote-{number}/m"]
                reload(stack)
        finally:
            done.set()
        statuses = [status for one in asking for status in one.result()]
    assert {*statuses} == {200}
    assert len(statuses) >= 6


def test_metrics_tell_of_the_revision(start, config, document, reload):
    port = free_port()
    document["telemetry"] = {"metrics_listen": f"127.0.0.1:{port}"}
    config.write_text(json.dumps(document))
    stack = start("--config", config, "--workers", "2")
    stack.until("ready")
    document["models"].append({"name": "new", "candidates": ["remote/m"]})
    revision = reload(stack)["revision"]
    document["models"].append({"name": "new", "candidates": ["remote/m"]})
    reload(stack, expected=2)
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as page:
        shown = page.read().decode()
    assert f'penstock_config_info{{revision="{revision}"}} 1.0' in shown
    assert f'penstock_config_info{{revision="{revision}",worker="worker-1"}} 1.0' in shown
    # The file was refused before any worker heard of it.
    assert "penstock_config_last_reload_successful 0.0" in shown


def test_a_role_by_itself_reloads_its_file(tmp_path, document, written, config, penstock_environment):
    document["services"] = {"router": {"listen": f"unix:{tmp_path / 'router.sock'}"}}
    written()
    command = [sys.executable, "-m", "penstock_suite", "serve", "router", "--config", str(config), "--json"]
    with subprocess.Popen(command, env=penstock_environment, stdout=subprocess.PIPE, text=True) as role:

        def until(event):
            for line in role.stdout:
                if f'"event":"{event}"' in line:
                    return json.loads(line)
            raise AssertionError(event)

        until("ready")
        document["models"].append({"name": "new", "candidates": ["remote/m"]})
        written()
        role.send_signal(signal.SIGHUP)
        assert until("reload")["added"] == ["models.new"]
        document["services"]["drain_notice"] = "5s"
        written()
        role.send_signal(signal.SIGHUP)
        assert "services.drain_notice" in until("reload")["faults"][0]
        role.send_signal(signal.SIGTERM)
        assert role.wait(DEADLINE_SECONDS) == 0


def test_a_terminal_that_goes_away_ends_the_stack_and_reloads_nothing(tmp_path, config, penstock_environment):
    terminal, inside = pty.openpty()
    command = [
        sys.executable,
        "-m",
        "penstock_suite",
        "up",
        "--json",
        "--config",
        config,
        "--state",
        tmp_path / "state",
    ]
    with (tmp_path / "events").open("w+") as events:
        stack = subprocess.Popen(
            ["setsid", "--ctty", *map(str, command)],
            env=penstock_environment,
            stdin=inside,
            stdout=events,
            stderr=subprocess.DEVNULL,
        )
        os.close(inside)
        try:
            assert eventually(lambda: '"event":"ready"' in (tmp_path / "events").read_text())
            os.close(terminal)
            assert stack.wait(DEADLINE_SECONDS) == 0
        finally:
            stack.kill()
            stack.wait()
    told = (tmp_path / "events").read_text()
    assert '"event":"stopped"' in told
    assert '"event":"reload"' not in told
