"""`penstock tenants`, `users`, `keys` and `status`, beside a running stack and without one."""

import json
import time
import urllib.error
import urllib.request

import grpc
import pytest

from penstock.gateway.v1 import admin_service_pb2, admin_service_pb2_grpc


@pytest.fixture
def command(penstock, config, state):
    """A function that runs an administrative command with --json, and returns what it wrote."""

    def run(*arguments, exit_code=0):
        told = penstock(*arguments, "--config", config, "--state", state, "--json")
        assert told.returncode == exit_code, told.stderr or told.stdout
        return json.loads(told.stdout)

    return run


def status_of(ready, key) -> int:
    request = urllib.request.Request(f"{ready['http']}/v1/models", headers={"authorization": f"Bearer {key}"})
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code


def test_tenant_made_beside_a_running_stack_is_served_until_it_is_disabled(start, command, config, eventually):
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
    eventually(lambda: status_of(ready, rotated["key"]) == 401)


@pytest.fixture
def eventually():
    """A function that asks until something holds, and fails where it never does."""

    def wait(condition):
        began = time.monotonic()
        while not condition():
            assert time.monotonic() - began < 60

    return wait


def test_the_cache_of_a_running_stack_is_cleared_and_counted(start, penstock, command, config):
    stack = start("--config", config)
    stack.until("ready")
    command("tenants", "create", "acme")
    assert command("cache", "clear", "--yes") == {"deleted_entries": 0}
    assert command("cache", "clear", "--tenant", "acme", "--model", "m") == {"deleted_entries": 0}
    assert command("cache", "stats")["memory_entries"] == 0
    entries = command("audit")
    assert [(entry["action"], entry["tenant"], entry["target"]) for entry in entries[:2]] == [
        ("cache.clear", "acme", "m"),
        ("cache.clear", "", ""),
    ]
    people = penstock("cache", "clear", "--model", "m", "--config", config, "--state", stack.state)
    assert people.stderr == "Voided what was kept for every tenant and the model m: 0 entries deleted.\n"
    told = penstock("cache", "clear", "--tenant", "nobody", "--config", config, "--state", stack.state)
    assert (told.returncode, "penstock tenants list" in told.stderr) == (3, True)


def test_where_nothing_runs_there_is_no_cache_to_clear(penstock, config, tmp_path):
    for words in (("cache", "clear", "--yes"), ("cache", "stats"), ("cache", "list", "--tenant", "demo")):
        told = penstock(*words, "--config", config, "--state", tmp_path / "state")
        assert (told.returncode, told.stdout) == (5, "")
        assert "Nothing runs here that has a cache." in told.stderr


def test_upstreams_of_a_running_stack_are_listed_left_out_and_taken_back(start, penstock, command, config):
    stack = start("--config", config)
    stack.until("ready")
    (row,) = command("upstreams", "list")
    assert (row["upstream"], row["model"], row["state"], row["since"]) == ("remote", "m", "ok", None)
    assert "nobody is left" in command("upstreams", "eject", "remote", exit_code=1)["message"]
    where = ("--config", config, "--state", stack.state)
    told = penstock("upstreams", "eject", "remote/m", "--for", "1h", "--reason", "a new card", "--force", *where)
    assert (told.returncode, told.stdout) == (0, "")
    assert told.stderr.startswith("remote/m at 127.0.0.1:9/v1 is left out until 2")
    table = penstock("upstreams", "list", *where).stdout
    assert "by hand" in table
    assert "a new card" in table
    status = penstock("status", "--state", stack.state)
    assert "Every upstream is left out." in status.stdout
    assert "remote/m at 127.0.0.1:9/v1: by hand (a new card), since 2" in status.stdout
    (gateway,) = json.loads(penstock("status", "--state", stack.state, "--json").stdout)["gateways"]
    assert [(row["upstream"], row["state"]) for row in gateway["unwell"]] == [("remote", "by hand")]
    assert [row["state"] for row in command("upstreams", "restore", "remote")] == ["ok"]
    assert command("upstreams", "probe", "remote")[0]["upstream"] == "remote"
    actions = [(entry["action"], entry["target"], entry["outcome"]) for entry in command("audit")[:4]]
    assert actions == [
        ("upstream.probe", "remote", "ok"),
        ("upstream.restore", "remote", "ok"),
        ("upstream.eject", "remote/m", "ok"),
        ("upstream.eject", "remote", "resource_state"),
    ]


def test_upstreams_that_are_not_there_or_cannot_be_asked_end_with_the_documented_codes(
    start, penstock, command, config, tmp_path
):
    where = ("--config", config, "--state", tmp_path / "state")
    for words in (("list",), ("probe", "remote"), ("eject", "remote"), ("restore", "remote")):
        told = penstock("upstreams", *words, *where)
        assert (told.returncode, told.stdout) == (5, "")
        assert "Nothing runs here that asks upstreams." in told.stderr
    stack = start("--config", config)
    ready = stack.until("ready")
    told = penstock("upstreams", "restore", "third", *where)
    assert (told.returncode, "see 'penstock upstreams list'" in told.stderr) == (3, True)
    told = penstock("upstreams", "eject", "remote", "--for", "31d", *where)
    assert (told.returncode, "--for must be between 0 and 30 days" in told.stderr) == (2, True)
    assert penstock("upstreams", "eject", "remote", "--for", "soon", *where).returncode == 2
    address = ("--address", ready["grpc"])
    assert penstock("upstreams", "list", *address, "--key", ready["key"]).returncode == 4
    assert penstock("upstreams", "list", "--address", "127.0.0.1:9", "--key", "k").returncode == 5


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
    assert refused.returncode == 4
    assert "lacks the scope 'operator'" in refused.stderr
    away = penstock("status", "--address", "127.0.0.1:9", "--key", key)
    assert away.returncode == 5
    assert "no gateway answers at 127.0.0.1:9" in away.stderr


@pytest.mark.parametrize(
    ("arguments", "exit_code", "word"),
    [
        (("tenants", "create", "demo"), 1, "stands in the configuration"),
        (("tenants", "create", "a b"), 2, "1 to 128 characters"),
        (("tenants", "create", "acme", "--tier", "gold"), 2, "enterprise, free, pro"),
        (("tenants", "disable", "demo"), 1, "change it there"),
        (("tenants", "disable", "nobody"), 3, "penstock tenants list"),
        (("users", "create", "ada", "--tenant", "demo", "--role", "boss"), 2, "viewer, member, admin"),
        (("users", "disable", "nothing"), 3, "penstock users list"),
        (("keys", "rotate", "nothing"), 3, "penstock keys list"),
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


def test_a_stack_that_serves_is_asked_and_one_that_is_down_is_not_needed(start, command, config):
    stack = start("--config", config)
    stack.until("ready")
    command("tenants", "create", "while-it-runs")
    assert stack.end() == 0
    command("tenants", "create", "while-it-is-down")
    down, running = command("audit")
    assert [entry["target"] for entry in (down, running)] == ["while-it-is-down", "while-it-runs"]
    # Only a request has an id; whoever typed the command is named in both.
    assert [bool(entry["request_id"]) for entry in (down, running)] == [False, True]
    assert {(entry["actor_key_id"], entry["actor_user_id"]) for entry in (down, running)} == {
        ("command-line", down["actor_user_id"])
    }


def test_another_configuration_than_the_running_ones_is_meant_as_it_says(start, penstock, command, config, tmp_path):
    stack = start("--config", config)
    stack.until("ready")
    other = tmp_path / "other.yaml"
    other.write_text(f"{config.read_text()}sql: sqlite:///{tmp_path}/other.db\n")
    told = penstock("tenants", "create", "elsewhere", "--config", other, "--state", stack.state, "--json")
    assert told.returncode == 0, told.stderr
    assert [tenant["name"] for tenant in command("tenants", "list")] == ["demo"]
    # Without one named, the running stack's is meant, whatever it is.
    told = penstock("tenants", "create", "here", "--state", stack.state, "--json")
    assert told.returncode == 0, told.stderr
    assert [tenant["name"] for tenant in command("tenants", "list")] == ["demo", "here"]


def test_a_gateway_is_administered_by_its_address_as_the_key_that_is_shown(start, penstock, config):
    stack = start("--config", config)
    ready = stack.until("ready")
    key = (stack.state / "operator-key").read_text().strip()

    def remotely(*arguments, **variables):
        told = penstock(*arguments, "--address", ready["grpc"], "--json", **variables)
        return told.returncode, json.loads(told.stdout)

    code, made = remotely("tenants", "create", "remote", "--tier", "pro", PENSTOCK_OPERATOR_KEY=key)
    assert (code, made["name"], made["tier"]) == (0, "remote", "pro")
    code, (entry,) = remotely("audit", "--tenant", "remote", PENSTOCK_OPERATOR_KEY=key)
    assert (code, entry["actor_key_id"], entry["client_address"]) == (0, "config-operator-1", "127.0.0.1")
    assert remotely("tenants", "list", PENSTOCK_OPERATOR_KEY=ready["key"])[1]["exit_code"] == 4
    code, refused = remotely("tenants", "list")
    assert code == 2
    assert "PENSTOCK_OPERATOR_KEY" in refused["message"]
    away = penstock("tenants", "list", "--address", "127.0.0.1:9", "--key", key)
    assert away.returncode == 5
    assert "no gateway answers at 127.0.0.1:9" in away.stderr


def test_only_the_owner_of_the_stack_says_who_typed_a_command(start, config):
    stack = start("--config", config)
    ready = stack.until("ready")
    key = (stack.state / "operator-key").read_text().strip()

    def actor_of(address, *more):
        head = (("authorization", f"Bearer {key}"), ("x-penstock-typed-by", "Bj%C3%B8rn"), *more)
        with grpc.insecure_channel(address) as channel:
            stub = admin_service_pb2_grpc.AdminServiceStub(channel)
            stub.CreateTenant(admin_service_pb2.CreateTenantRequest(name=f"t{time.monotonic_ns()}"), metadata=head)
            entry = stub.ListAuditEntries(admin_service_pb2.ListAuditEntriesRequest(page_size=1), metadata=head)
            return entry.entries[0].actor_key_id, entry.entries[0].actor_user_id

    own = json.loads((stack.state / "run.json").read_text())["gateways"][0]
    assert actor_of(own) == ("command-line", "Bjørn")
    assert actor_of(ready["grpc"]) == ("config-operator-1", "")
    # What comes through the edge names an address, and whatever else it says is a stranger's.
    assert actor_of(own, ("x-penstock-client-address", "192.0.2.1")) == ("config-operator-1", "")


def test_lists_longer_than_a_page_are_whole(command):
    # Without a stack; the service's pages hold 500.
    for number in range(3):
        command("users", "create", f"user-{number}", "--tenant", "demo")
    assert [user["name"] for user in command("users", "list")] == [f"user-{number}" for number in range(3)]


def test_teams_service_accounts_and_revoked_subjects_are_kept_without_a_stack(penstock, command, config, state):
    place = ("--tenant", "acme")
    assert command("tenants", "create", "acme", "--time-zone", "Europe/Berlin")["time_zone"] == "Europe/Berlin"
    assert command("teams", "create", "search", *place)["archived_at"] is None
    account = command("users", "create", "ci", *place, "--team", "search", "--service-account")
    key = command("keys", "create", *place, "--user", account["id"])
    assert (key["key"][:4], key["team"], key["kind"], account["kind"]) == (
        "pss_", "search", "service account", "service account",
    )  # fmt: skip
    assert command("users", "update", account["id"], "--team", "")["team"] == ""
    assert command("teams", "archive", "search", *place)["archived_at"]
    told = penstock("keys", "create", *place, "--team", "search", "--config", config, "--state", state)
    assert (told.returncode, "is archived" in told.stderr) == (1, True)
    missing = penstock("keys", "create", *place, "--team", "none", "--config", config, "--state", state)
    assert (missing.returncode, "see 'penstock teams list'" in missing.stderr) == (3, True), missing.stderr
    command("users", "revoke", "ada", *place)
    assert [each["subject"] for each in command("users", "revoked")] == ["ada"]
    command("users", "restore", "ada", *place)
    assert command("users", "revoked") == []
