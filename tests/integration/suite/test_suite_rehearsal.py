"""`penstock rehearse` and `penstock faults`, run as a person runs them."""

import json
import re
import select
import signal
import socket
import subprocess
import sys
import urllib.request
from contextlib import contextmanager

import pytest

from penstock_faults.named import SCRIPTS
from penstock_faults.reading import read_script
from penstock_faults.script import TEXT

PATIENCE_SECONDS = 60.0
CONFIGURATION = """
upstreams:
  - name: big
    provider: openai
    api_key: ${NOBODY_HAS_SET_THIS}
    base_url: https://api.openai.com/v1
    models: [{name: gpt, context_window: 9000, price: {input: 1, output: 2}}]
  - {name: small, provider: vllm, base_url: 'http://gpu:8000/v1', models: [{name: m, context_window: 4000}]}
  - {name: own, provider: triton, grpc: 'triton:8001', models: [{name: m, context_window: 500}]}
models:
  - {name: alone, candidates: [big/gpt]}
  - {name: fast, candidates: [big/gpt, small/m]}
  - {name: local, candidates: [own/m, small/m]}
redis: {state: 'redis://nobody-is-here:6379'}
sql: postgresql://nobody@nowhere/penstock
"""


@pytest.fixture
def configuration(tmp_path):
    path = tmp_path / "penstock.yaml"
    path.write_text(CONFIGURATION)
    return path


def test_rows_that_are_kept_end_well(penstock, configuration):
    told = penstock("rehearse", "--config", configuration, "--only", "4", "--only", "20-401")
    assert told.returncode == 0, told.stdout + told.stderr
    assert "4-503" in told.stdout
    assert "20-401" in told.stdout
    assert "✓ streamed  the whole answer" in told.stdout
    assert "big/gpt 2, small/m 1" in told.stdout
    assert "fast: 6 of 6 as promised" in told.stderr


def test_programs_get_one_document(penstock, configuration):
    told = penstock("rehearse", "--config", configuration, "--only", "content-filter", "--json")
    assert told.returncode == 0, told.stderr
    document = json.loads(told.stdout)
    assert document["ok"] is True
    assert [row["mode"] for row in document["rows"]] == ["streamed", "whole"]
    for row in document["rows"]:
        assert row["row"] == "13-content-filter"
        assert row["sees"] == "content_policy_violation (400)"
        assert row["attempts"] == {"big/gpt": 1}
        assert row["faults"] == []


def test_a_row_that_is_not_kept_is_told_with_the_reason_and_ends_with_one(penstock, tmp_path):
    # One request a minute, and no waiting: nobody makes good what the only candidate does once.
    path = tmp_path / "penstock.yaml"
    limited = "provider: openai\n    limits: {requests_per_minute: 1, wait: 0s}\n"
    path.write_text(CONFIGURATION.replace("provider: openai\n", limited))
    told = penstock("rehearse", "--config", path, "--only", "500-once", "--model", "alone")
    assert told.returncode == 1, told.stdout + told.stderr
    assert "✗ streamed  upstream_failed (502)" in told.stdout
    assert "the caller saw upstream_failed (502), not the whole answer" in told.stdout
    assert "of 2 as promised" in told.stderr


def test_another_model_and_shorter_timers(penstock, configuration):
    told = penstock(
        "rehearse", "--config", configuration, "--only", "6", "--model", "alone", "--timers", "200ms", "--json"
    )
    assert told.returncode == 0, told.stdout + told.stderr
    for row in json.loads(told.stdout)["rows"]:
        assert row["model"] == "alone"
        assert row["sees"] == "upstream_timeout (504)"


def test_a_triton_plays_what_it_can(penstock, configuration):
    told = penstock(
        "rehearse", "--config", configuration, "--only", "4-503", "--only", "html", "--model", "local", "--json"
    )
    assert told.returncode == 0, told.stdout + told.stderr
    played, _, skipped, _ = json.loads(told.stdout)["rows"]
    assert played["attempts"] == {"own/m": 2, "small/m": 1}
    assert "only HTTP" in skipped["skipped"]


VENDORS = """
upstreams:
  - {name: cloud, provider: vertex, project: ours, region: europe-west4, models: [{name: v, context_window: 9000}]}
  - {name: aws, provider: bedrock, aws_region: eu-central-1, aws_profile: ours, models: [{name: b, context_window: 9000}]}
models:
  - {name: mixed, candidates: [cloud/v, aws/b]}
"""


def test_each_candidate_is_played_on_the_wire_of_its_provider(penstock, tmp_path):
    path = tmp_path / "penstock.yaml"
    path.write_text(VENDORS)
    told = penstock("rehearse", "--config", path, "--only", "4-503", "--only", "8-cut-reset", "--json")
    assert told.returncode == 0, told.stdout + told.stderr
    for row in json.loads(told.stdout)["rows"]:
        assert list(row["attempts"]) == ["cloud/v", "aws/b"]
        assert row["sees"] == "the whole answer"


def test_rows_that_need_another_candidate_are_skipped_without_one(penstock, configuration):
    told = penstock("rehearse", "--config", configuration, "--only", "14", "--model", "alone")
    assert told.returncode == 0
    assert "the model has no other candidate" in told.stdout
    assert re.search(r"\b0 of 0 as promised, [1-9]\d* skipped", told.stderr)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--only", "99"), "--only: there is no row '99'"),
        (("--model", "nothing"), "--model: there is no 'nothing'; there are alone, fast, local"),
        (("--timers", "soon"), "--timers"),
        (("--timers", "0s"), "--timers"),
    ],
)
def test_what_is_not_there_is_told_by_its_option(penstock, configuration, arguments, says):
    told = penstock("rehearse", "--config", configuration, *arguments)
    assert (told.returncode, told.stdout) == (2, "")
    assert says in told.stderr


def test_a_configuration_that_cannot_be_used_is_told_by_its_line(penstock, tmp_path):
    path = tmp_path / "penstock.yaml"
    path.write_text(CONFIGURATION.replace("big/gpt, small/m", "big/gpt, smal/m"))
    told = penstock("rehearse", "--config", path)
    assert (told.returncode, told.stdout) == (2, "")
    assert "did you mean 'small/m'" in told.stderr
    assert f"{path}:" in told.stderr


def test_scripts_are_listed_and_written(penstock):
    listed = {row["name"]: row["about"] for row in json.loads(penstock("faults", "scripts", "--json").stdout)}
    assert listed == {name: script.about for name, script in SCRIPTS.items()}
    written = penstock("faults", "scripts", "cut-reset")
    assert read_script(written.stdout) == SCRIPTS["cut-reset"]
    assert penstock("faults", "scripts", "nothing").returncode == 3


@contextmanager
def running(environment, *arguments):
    """A command that runs until it is told to end, and the address that it listens at."""
    process = subprocess.Popen(
        [sys.executable, "-m", "penstock_suite", "faults", *map(str, arguments), "--json"],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        ready, _, _ = select.select([process.stdout], [], [], PATIENCE_SECONDS)
        assert ready, "it is not ready"
        line = process.stdout.readline()
        assert line, process.stderr.read()
        yield process, json.loads(line)["address"]
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        process.wait(PATIENCE_SECONDS)
        process.stdout.close()
        process.stderr.close()


def ask(base_url: str) -> dict:
    body = json.dumps({"model": "m", "messages": [{"role": "user", "content": "Hi"}]}).encode()
    request = urllib.request.Request(f"{base_url}/chat/completions", body, {"content-type": "application/json"})
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=PATIENCE_SECONDS) as response:
        return json.loads(response.read())


def test_an_upstream_plays_a_file_tells_requests_and_ends_on_a_signal(penstock_environment, tmp_path):
    script = tmp_path / "mine.yaml"
    script.write_text("steps: [{times: 1, answer: {tokens: [Hel, lo]}}]")
    with running(penstock_environment, "openai", "--script", script) as (process, address):
        assert ask(address)["choices"][0]["message"]["content"] == "Hello"
        first = json.loads(process.stdout.readline())
        assert ask(address)["choices"][0]["message"]["content"] == TEXT
        second = json.loads(process.stdout.readline())
        assert [first["request"], second["request"]] == [1, 2]
        assert first["body"]["model"] == "m"
        assert first["left_at_seconds"] is None
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_SECONDS) == 0


@pytest.mark.parametrize(
    ("wire", "path", "body", "word"),
    [
        ("anthropic", "/v1/messages", {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}, "end_turn"),
        ("gemini", "/models/m:generateContent", {"contents": [{"parts": [{"text": "Hi"}]}]}, "finishReason"),
        ("azure", "/openai/deployments/m/chat/completions", {"messages": [{"role": "user"}]}, "prompt_filter_results"),
        ("bedrock", "/model/m/converse", {"messages": [{"role": "user", "content": [{"text": "Hi"}]}]}, "stopReason"),
        ("ollama", "/api/chat", {"model": "m", "messages": [{"role": "user"}], "stream": False}, "done_reason"),
    ],
)
def test_an_upstream_speaks_any_wire(penstock_environment, wire, path, body, word):
    with running(penstock_environment, wire) as (process, address):
        request = urllib.request.Request(f"{address}{path}", json.dumps(body).encode())
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=PATIENCE_SECONDS) as response:
            assert word in response.read().decode()
        seen = json.loads(process.stdout.readline())
        assert (seen["model"], seen["streams"]) == ("m", False)


def test_a_proxy_passes_on_and_cuts(penstock_environment):
    with running(penstock_environment, "openai") as (_, upstream):
        target = upstream.removeprefix("http://").removesuffix("/v1")
        with running(penstock_environment, "proxy", "--to", target, "--slice", "9") as (_, proxy):
            assert ask(f"http://{proxy}/v1")["choices"][0]["message"]["content"] == TEXT
        cut = ("--cut-after", "100", "--by", "close", "--down")
        with running(penstock_environment, "proxy", "--to", target, *cut) as (_, proxy):
            host, _, port = proxy.rpartition(":")
            with (
                socket.create_connection((host, int(port)), PATIENCE_SECONDS) as connection,
                connection.makefile("rb") as got,
            ):
                connection.sendall(b"GET /v1/models HTTP/1.1\r\n\r\n")
                assert len(got.read()) == 100


def test_a_triton_plays_until_a_signal(penstock_environment):
    with running(penstock_environment, "triton", "--script", "503") as (process, address):
        host, _, port = address.rpartition(":")
        socket.create_connection((host, int(port)), PATIENCE_SECONDS).close()
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE_SECONDS) == 0


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("openai", "--script", "nothing"), 2, "there is no script 'nothing'"),
        (("openai", "--listen", "here"), 2, "--listen"),
        (("triton", "--script", "html"), 2, "only HTTP"),
        (("proxy",), 2, "--to"),
        (("proxy", "--to", "127.0.0.1:9", "--by", "magic"), 2, "half_close"),
        (("proxy", "--to", "127.0.0.1:9", "--slice", "0"), 2, "a number from 1"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, tuple) else None,
)
def test_what_cannot_be_played_is_told(penstock, arguments, code, says):
    told = penstock("faults", *arguments)
    assert (told.returncode, told.stdout) == (code, "")
    assert says in told.stderr


def test_a_taken_port_is_told(penstock):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        for wire in ("openai", "triton"):
            told = penstock("faults", wire, "--listen", f"127.0.0.1:{taken.getsockname()[1]}")
            assert (told.returncode, told.stdout) == (1, "")
            assert "nothing can listen" in told.stderr
