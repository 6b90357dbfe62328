"""A model that nobody knew yesterday works after an edit of a datasheet, under traffic, without a restart."""

from __future__ import annotations

import json
import signal
import sqlite3
import threading
import urllib.error
import urllib.request
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

DEADLINE_SECONDS = 90.0
# Of ten tokens four are read from the provider's cache and five written to it.
USAGE = {
    "prompt_tokens": 10,
    "completion_tokens": 10,
    "prompt_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 5},
}
UNKNOWN = "models: []\n"
KNOWN = """\
models:
  - name: newest
    source: "The vendor's page of today"
    price: {input: 4, cached_input: 0.4, cache_write: 5, output: 20}
    facts: {sampling: [], max_tokens_field: max_completion_tokens}
"""
COST_NANO_USD = 1 * 4_000 + 4 * 400 + 5 * 5_000 + 10 * 20_000


class Newest(BaseHTTPRequestHandler):
    """Refuses what its model does not take; a stream's end waits for ``server.may_go_on``."""

    protocol_version = "HTTP/1.1"

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        refused = [name for name in ("temperature", "max_tokens") if name in asked]
        if refused:
            error = {"message": f"Unsupported parameter: '{refused[0]}'", "type": "invalid_request_error"}
            self._send(400, {"error": {**error, "param": refused[0], "code": "unsupported_parameter"}})
        elif asked.get("stream"):
            self._stream()
        else:
            self.server.asked.append(asked)
            choice = {"index": 0, "message": {"role": "assistant", "content": "Yes."}, "finish_reason": "stop"}
            self._send(200, {"object": "chat.completion", "choices": [choice], "usage": USAGE})

    def _send(self, status, value):
        body = json.dumps(value).encode()
        self.send_response(status)
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
        self._event({"choices": [{"index": 0, "delta": {"content": "."}, "finish_reason": "stop"}]})
        self._event({"choices": [], "usage": USAGE})
        self.wfile.write(b"data: [DONE]\n\n")
        self.close_connection = True

    def _event(self, value):
        self.wfile.write(b"data: " + json.dumps({"object": "chat.completion.chunk", **value}).encode() + b"\n\n")
        self.wfile.flush()

    def log_message(self, *_):
        pass


@pytest.fixture
def provider():
    """A provider whose model takes no sampling parameter, and has another field for its limit."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Newest) as server:
        server.daemon_threads = True
        server.may_go_on, server.asked = threading.Event(), []
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        yield server
        server.may_go_on.set()
        server.shutdown()
        serving.join()


def ask(ready, **more):
    """Return the status, the headers and the document of an answer."""
    body = json.dumps({"model": "new", "messages": [{"role": "user", "content": "Hi"}], **more}).encode()
    head = {"authorization": f"Bearer {ready['key']}", "content-type": "application/json"}
    request = urllib.request.Request(f"{ready['http']}/v1/chat/completions", data=body, headers=head)
    try:
        with urllib.request.urlopen(request, timeout=DEADLINE_SECONDS) as answer:
            return answer.status, answer.headers, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        return error.code, error.headers, json.loads(error.read())


class Traffic(threading.Thread):
    """Asks, again and again, what any model answers."""

    def __init__(self, ready):
        super().__init__()
        self.statuses, self._ready, self._over = [], ready, threading.Event()
        self.asked_twice = threading.Event()

    def run(self):
        while not self._over.is_set():
            self.statuses.append(ask(self._ready)[0])
            if len(self.statuses) > 1:
                self.asked_twice.set()

    def end(self):
        self._over.set()
        self.join()


def test_a_model_unknown_yesterday_works_after_an_edit_under_traffic(start, config, tmp_path, provider, penstock):
    sheet = tmp_path / "models-of-ours.yaml"
    sheet.write_text(UNKNOWN)
    upstream = {
        "name": "remote",
        "provider": "openai_compatible",
        "base_url": f"http://127.0.0.1:{provider.server_port}/v1",
        "models": [{"name": "newest", "context_window": 4096}],
    }
    document = {
        "listen": {"http": "127.0.0.1:0", "grpc": "127.0.0.1:0"},
        "datasheets": [str(sheet)],
        "upstreams": [upstream],
        "models": [{"name": "new", "candidates": ["remote/newest"], "unsupported": "drop"}],
        "tenants": [{"name": "demo", "tier": {}}],
        "cache": {"mode": "off"},
        "local": {"demo_tenant": "demo"},
    }
    config.write_text(json.dumps(document))
    checked = penstock("config", "check", "--config", config)
    assert "nobody says what the model 'newest' costs" in checked.stderr
    stack = start("--config", config, "--workers", 2)
    ready = stack.until("ready")
    status, _, told = ask(ready, temperature=0.5, max_tokens=7)
    assert (status, told["error"]["param"]) == (400, "temperature")
    assert ask(ready)[1]["x-penstock-cost-usd"] == "unknown"

    streamed = {"model": "new", "stream": True, "stream_options": {"include_usage": True}}
    body = json.dumps({**streamed, "messages": [{"role": "user", "content": "Hi"}]}).encode()
    head = {"authorization": f"Bearer {ready['key']}", "content-type": "application/json"}
    request = urllib.request.Request(f"{ready['http']}/v1/chat/completions", data=body, headers=head)
    traffic = Traffic(ready)
    traffic.start()
    with urllib.request.urlopen(request, timeout=DEADLINE_SECONDS) as under_way:
        while b"Yes" not in under_way.readline():
            pass
        assert traffic.asked_twice.wait(DEADLINE_SECONDS)
        sheet.write_text(KNOWN)
        reloaded = penstock("config", "reload", "--state", stack.state, "--json")
        assert reloaded.returncode == 0, reloaded.stdout + reloaded.stderr
        outcome = json.loads(reloaded.stdout)
        assert outcome["outcome"] == "applied"
        assert outcome["revision"] != outcome["revision_before"]
        provider.asked.clear()
        answers = [ask(ready, temperature=0.5, max_tokens=7) for _ in range(4)]
        provider.may_go_on.set()
        rest = under_way.read()
    traffic.end()

    assert [status for status, _, _ in answers] == [200] * 4
    assert {headers["x-penstock-dropped"] for _, headers, _ in answers} == {"temperature"}
    assert {headers["x-penstock-cost-usd"] for _, headers, _ in answers} == {"0.0002306"}
    limited = [asked for asked in provider.asked if "max_completion_tokens" in asked]
    assert [asked["max_completion_tokens"] for asked in limited] == [7] * 4
    assert {*traffic.statuses} == {200}
    # What was under way kept what was known when it began.
    assert b'"cost_usd":null' in rest
    assert stack.end(signal.SIGTERM) == 0
    with closing(sqlite3.connect(stack.state / "penstock.db")) as database:
        columns = "SELECT cost_unknown, cost_nano_usd, cache_write_price_nano_usd, time_to_first_token_ms FROM ledger"
        rows = database.execute(f"{columns} WHERE outcome = 'ok' ORDER BY created_at").fetchall()
    assert rows[0][:3] == (1, 0, 0)
    assert [row[:3] for row in rows if row[3] is not None] == [(1, 0, 0)]
    assert {row[:3] for row in rows} == {(1, 0, 0), (0, COST_NANO_USD, 5 * 10**9)}


def test_a_faulty_sheet_is_refused_and_changes_nothing(start, config, tmp_path, penstock):
    sheet = tmp_path / "models-of-ours.yaml"
    sheet.write_text(UNKNOWN)
    config.write_text(f"datasheets: [{sheet}]\n{config.read_text()}")
    stack = start("--config", config)
    stack.until("ready")
    sheet.write_text("models:\n  - {name: newest, source: s, pric: {}}\n")
    refused = penstock("config", "reload", "--state", stack.state, "--json")
    assert refused.returncode == 2
    (fault,) = json.loads(refused.stdout)["faults"]
    assert fault.startswith(f"{sheet}:2: unknown key 'models[0].pric'")
