"""`penstock tenants`, `users`, `keys` and `status`, beside a running stack and without one."""

import json
import time
import urllib.error
import urllib.request

import pytest


@pytest.fixture
def command(penstock, config, tmp_path):
    """A function that runs an administrative command with --json, and returns what it wrote."""

    def run(*arguments, exit_code=0):
        told = penstock(*arguments, "--config", config, "--state", tmp_path / "state", "--json")
        assert told.returncode == exit_code, told.stderr or told.stdout
        return json.loads(told.stdout)

    return run


def status_of(ready, key) -> int:
    request = urllib.request.Request(f"{ready['http']}/v1/models", headers={"authorization": f"Bearer {key}"})
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code


def test_tenant_made_beside_a_running_stack_is_served_until_it_is_disabled(start, command, config, eventually_within):
    stack = start("--config", config)
    ready = stack.until("ready")
    assert command("tenants", "create", "acme", "--tier", "pro")["is_configured"] is False
    user = command("users", "create", "ada", "--tenant", "acme", "--role", "member")
    key = command("keys", "create", "--tenant", "acme", "--user", user["id"], "--network", "127.0.0.0/8")
    assert (key["user_id"], key["networks"]) == (user["id"], ["127.0.0.0/8"])
    assert status_of(ready, key["key"]) == 200
    elsewhere = command("keys", "create", "--tenant", "acme", "--network", "192.0.2.0/24")
    assert status_of(ready, elsewhere["key"]) == 403

    rotated = command("keys", "rotate", key["id"], "--overlap", "1h")
    assert (rotated["previous"]["id"], rotated["previous"]["replaced_by"]) == (key["id"], rotated["id"])
    assert [status_of(ready, one["key"]) for one in (key, rotated)] == [200, 200]
    assert command("tenants", "disable", "acme")["disabled_at"]
    newest, *_, oldest = command("audit", "--tenant", "acme")
    assert (newest["action"], newest["outcome"], newest["actor_key_id"]) == ("tenant.disable", "ok", "command-line")
    assert (oldest["action"], oldest["target"]) == ("tenant.create", "acme")
    eventually_within(5, lambda: status_of(ready, rotated["key"]) == 401)


@pytest.fixture
def eventually_within():
    """A function that asks until something holds, and fails where that takes longer than so many seconds."""

    def wait(seconds, condition):
        began = time.monotonic()
        while not condition():
            assert time.monotonic() - began < seconds

    return wait


def test_status_shows_what_the_gateway_says(start, penstock, command, config):
    stack = start("--config", config)
    stack.until("ready")
    told = penstock("status", "--state", stack.state, "--json")
    (gateway,) = json.loads(told.stdout)["gateways"]
    assert (told.returncode, gateway["is_healthy"], gateway["problems"]) == (0, True, [])
    assert [upstream["name"] for upstream in gateway["upstreams"]] == ["remote"]
    assert gateway["replica"].endswith(f":{stack.process.pid}")
    people = penstock("status", "--state", stack.state)
    assert "this process alone" in people.stdout
    assert "upstream    remote" in people.stdout


def test_gateway_is_asked_by_its_address(start, penstock, config):
    stack = start("--config", config)
    ready = stack.until("ready")
    key = (stack.state / "operator-key").read_text().strip()
    told = penstock("status", "--address", ready["grpc"], "--json", PENSTOCK_OPERATOR_KEY=key)
    assert (told.returncode, json.loads(told.stdout)["is_healthy"]) == (0, True)
    refused = penstock("status", "--address", ready["grpc"], "--key", ready["key"])
    assert refused.returncode == 1
    assert "lacks the scope 'operator'" in refused.stderr
    away = penstock("status", "--address", "127.0.0.1:9", "--key", key)
    assert away.returncode == 1
    assert "no gateway answers at 127.0.0.1:9" in away.stderr


@pytest.mark.parametrize(
    ("arguments", "exit_code", "word"),
    [
        (("tenants", "create", "demo"), 1, "stands in the configuration"),
        (("tenants", "create", "a b"), 2, "1 to 128 characters"),
        (("tenants", "create", "acme", "--tier", "gold"), 2, "enterprise, free, pro"),
        (("tenants", "disable", "demo"), 1, "change it there"),
        (("tenants", "disable", "nobody"), 2, "penstock tenants list"),
        (("users", "create", "ada", "--tenant", "demo", "--role", "boss"), 2, "viewer, member, admin"),
        (("users", "disable", "nothing"), 1, "penstock users list"),
        (("keys", "rotate", "nothing"), 1, "penstock keys list"),
        (("keys", "create", "--tenant", "demo", "--network", "here"), 2, "192.0.2.0/24"),
        (("keys", "create"), 2, "tenant"),
    ],
)
def test_what_cannot_be_done_is_told_in_a_sentence_with_a_stable_exit_code(command, arguments, exit_code, word):
    told = command(*arguments, exit_code=exit_code)
    assert word in told["message"]
    assert told["exit_code"] == exit_code


def test_a_record_is_one_line_however_narrow_the_terminal(penstock, command, config, tmp_path):
    where = ("--config", config, "--state", tmp_path / "state")
    label = "nightly evaluation of the web shop's assistant [staging]"
    key = command("keys", "create", "--tenant", "demo", "--label", label, "--network", "10.0.0.0/8")
    for listed in ("keys", "list"), ("audit",):
        told = penstock(*listed, *where, COLUMNS="40")
        assert told.returncode == 0
        _, line = told.stdout.splitlines()
        assert key["id"] in line
        assert label in line
