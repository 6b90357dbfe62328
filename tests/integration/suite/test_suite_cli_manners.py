"""How commands behave in scripts: what goes to standard output, how they end, how they speak of their options."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from penstock_suite.domain.failure import ExitCode

KEY = re.compile(r"psk_[A-Za-z0-9_-]+\n|[A-Za-z0-9_-]{30,}\n")


@pytest.fixture
def where(config, state):
    return ("--config", config, "--state", state)


def test_a_new_key_stands_alone_on_standard_output(penstock, where):
    made = penstock("keys", "create", "--tenant", "demo", "--label", "of a script", *where)
    assert made.returncode == 0, made.stderr
    assert KEY.fullmatch(made.stdout)
    assert "It is not shown again." in made.stderr
    (listed,) = json.loads(penstock("keys", "list", "--json", *where).stdout)
    rotated = penstock("keys", "rotate", listed["id"], *where)
    assert KEY.fullmatch(rotated.stdout)
    assert "stays valid until" in rotated.stderr
    revoked = penstock("keys", "revoke", listed["id"], *where)
    assert (revoked.returncode, revoked.stdout) == (0, "")
    assert "is revoked" in revoked.stderr


def test_a_new_user_is_its_id_on_standard_output(penstock, where):
    made = penstock("users", "create", "ada", "--tenant", "demo", *where)
    (listed,) = json.loads(penstock("users", "list", "--json", *where).stdout)
    assert made.stdout == listed["id"] + "\n"
    assert "has the role member" in made.stderr
    key = penstock("keys", "create", "--tenant", "demo", "--user", made.stdout.strip(), *where)
    assert KEY.fullmatch(key.stdout)


@pytest.mark.parametrize("listed", [("keys", "list"), ("users", "list"), ("audit",)])
def test_nothing_to_list_is_said_beside_standard_output(penstock, where, listed):
    told = penstock(*listed, *where)
    assert (told.returncode, told.stdout) == (0, "")
    assert told.stderr


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        # Wrong words.
        (("keys", "create"), 2),
        (("keys", "creat"), 2),
        (("keys", "create", "--tenan", "demo"), 2),
        (("keys", "create", "--tenant", "demo", "--scope", "boss"), 2),
        (("keys", "create", "--tenant", "demo", "--expires", "soon"), 2),
        (("audit", "--limit", "0"), 2),
        (("config", "check", "--role", "nobody"), 2),
        # Nothing of that name, whatever it is.
        (("keys", "create", "--tenant", "nobody"), 3),
        (("keys", "create", "--tenant", "demo", "--user", "nobody"), 3),
        (("keys", "create", "--tenant", "demo", "--model", "nothing"), 3),
        (("keys", "revoke", "nothing"), 3),
        (("users", "create", "ada", "--tenant", "nobody"), 3),
        (("users", "disable", "nobody"), 3),
        (("tenants", "disable", "nobody"), 3),
        (("tenants", "create", "acme", "--model", "nothing"), 3),
        (("models", "show", "nothing"), 3),
        # It is so already, or may not be changed.
        (("tenants", "create", "demo"), 1),
        (("tenants", "update", "demo", "--tier", "free"), 1),
        # Nobody answers.
        (("keys", "list", "--address", "127.0.0.1:9", "--key", "k"), 5),
    ],
)
def test_like_faults_end_with_like_exit_codes_and_an_empty_standard_output(penstock, where, arguments, code):
    told = penstock(*arguments, *where)
    assert (told.returncode, told.stdout) == (code, ""), told.stderr
    assert told.stderr
    assert "Traceback" not in told.stderr
    for word in ("Value error", "Input should", "Settings", "Error)", "pydantic", "typer"):
        assert word not in told.stderr


@pytest.mark.parametrize(
    ("arguments", "option"),
    [
        (("keys", "create"), "--tenant must say"),
        (("keys", "create", "--tenant", "demo", "--network", "here"), "--network: 'here' is no network"),
        (("keys", "create", "--tenant", "demo", "--expires", "9999d"), "--expires must be between 0 and 3653 days"),
        (("keys", "create", "--tenant", "demo", "--label", "x" * 999), "--label must have"),
        (("tenants", "create", "a b"), "NAME must have"),
        (("tenants", "create", "acme", "--tier", "gold"), "--tier: There is no tier 'gold'"),
        (("tenants", "create", "acme", "--region", ""), "--region must have"),
    ],
)
def test_what_the_gateway_refuses_is_told_by_the_option_that_was_typed(penstock, where, arguments, option):
    told = penstock(*arguments, *where)
    assert (told.returncode, told.stdout) == (2, "")
    assert told.stderr.startswith(f"penstock: {option}")


@pytest.mark.parametrize("arguments", [("status",), ("chat", "hello"), ("models", "list")])
def test_a_stack_that_does_not_run_is_nobody_who_answers(penstock, tmp_path, arguments):
    told = penstock(*arguments, "--state", tmp_path / "state")
    assert (told.returncode, told.stdout) == (5, "")
    assert "penstock up" in told.stderr


def test_exit_codes_are_in_the_help_and_in_the_documentation(penstock):
    helped = penstock("--help").stdout
    page = (Path(__file__).parents[3] / "docs/operations.md").read_text()
    for code in ExitCode:
        assert f"{code.value} " in helped
        assert f"| {code.value} |" in page


@pytest.mark.parametrize(
    "command",
    [
        ("up",), ("status",), ("chat",), ("serve",), ("health",), ("backup",), ("restore",), ("certificates",), ("audit",),
        ("keys", "create"), ("keys", "rotate"), ("tenants", "create"), ("tenants", "update"), ("users", "create"),
        ("models", "load"), ("upstreams", "eject"), ("config", "check"), ("config", "init"), ("db", "upgrade"), ("completion",),
    ],
)  # fmt: skip
def test_help_shows_options_as_people_write_them(penstock, command):
    helped = penstock(*command, "--help").stdout
    assert not re.search(r"<[a-z]|[{}]|<=|_[a-z]+ |as-json", helped), helped
    assert re.search(r"--[a-z]", helped)


def test_a_reader_that_has_read_enough_is_no_failure(penstock_environment, where):
    command = [sys.executable, "-m", "penstock_suite", "config", "reference"]
    script = '"$@" | head -n 1; echo "${PIPESTATUS[0]}"'
    told = subprocess.run(
        ["bash", "-c", script, "bash", *command], env=penstock_environment, capture_output=True, text=True, timeout=60
    )
    assert told.stdout.splitlines()[-1] in {"0", "141"}
    assert told.stderr == ""


def test_bash_completes_commands_and_options(penstock, penstock_environment, tmp_path):
    (tmp_path / "penstock").write_text(f'#!/bin/sh\nexec {sys.executable} -m penstock_suite "$@"\n')
    (tmp_path / "penstock").chmod(0o700)
    (tmp_path / "completion").write_text(penstock("completion", "bash").stdout)
    script = """
    source "$1"/completion
    ask() { COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _penstock; echo "${COMPREPLY[@]}"; }
    ask penstock ""; ask penstock ke; ask penstock keys ""; ask penstock keys create --ten
    ask penstock keys create --tenant ""; ask penstock config init --
    """
    path = f"{tmp_path}:{penstock_environment['PATH']}"
    told = subprocess.run(
        ["bash", "-c", script, "bash", tmp_path],
        env={**penstock_environment, "PATH": path},
        capture_output=True,
        text=True,
        timeout=120,
    )
    commands, start, keys, option, value, options = told.stdout.splitlines()
    assert {"up", "config", "completion"} < set(commands.split())
    assert not {"worker", "complete"} & set(commands.split())
    assert (start, keys, option, value) == ("keys", "create list rotate revoke", "--tenant", "")
    assert {"--provider", "--to", "--force"} < set(options.split())


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_there_is_a_script_for_each_shell(penstock, shell):
    told = penstock("completion", shell)
    assert (told.returncode, told.stderr) == (0, "")
    assert "penstock complete --" in told.stdout
    assert penstock("completion", "csh").returncode == 2


def test_config_init_writes_what_config_check_takes(penstock, tmp_path):
    to = tmp_path / "mine.yaml"
    written = penstock("config", "init", "--provider", "openai", "--provider", "ollama", "--to", to, OPENAI_API_KEY="")
    assert (written.returncode, written.stdout) == (0, "")
    assert "Set OPENAI_API_KEY" in written.stderr
    assert f"penstock up --config {to}" in written.stderr
    assert to.stat().st_mode & 0o777 == 0o600
    checked = penstock("config", "check", "--config", to, "--state", tmp_path / "s", OPENAI_API_KEY="sk-mine")
    assert (checked.returncode, checked.stderr) == (0, "")
    assert checked.stdout.startswith(f"{to} can be used: it serves chat, all-MiniLM-L6-v2 at 127.0.0.1:8080")
    again = penstock("config", "init", "--to", to)
    assert again.returncode == 2
    assert "--force" in again.stderr
    assert penstock("config", "init", "--to", to, "--force").returncode == 0
    assert "provider: triton" in to.read_text()
    unknown = penstock("config", "init", "--provider", "nobody", "--to", "-")
    assert (unknown.returncode, unknown.stdout) == (2, "")
    assert "there are anthropic, azure_openai, bedrock," in unknown.stderr


def test_config_check_says_its_verdict_first_and_settings_on_request(penstock, config, where):
    plain = penstock("config", "check", *where)
    assert (plain.returncode, len(plain.stdout.splitlines())) == (0, 1)
    shown = penstock("config", "check", "--show", *where)
    assert shown.returncode == 0
    assert "listen:" in shown.stdout.splitlines()
    assert "can be used" in shown.stderr
    told = json.loads(penstock("config", "check", "--json", "--show", *where).stdout)
    assert (told["ok"], told["faults"], told["settings"]["listen"]["http"]) == (True, [], "127.0.0.1:0")
    config.write_text(config.read_text().replace("price: {input: 1, output: 2}", "") + "lisen: {}\n")
    wrong = penstock("config", "check", *where)
    assert (wrong.returncode, wrong.stdout) == (2, "")
    verdict, *lines = wrong.stderr.splitlines()
    assert verdict == f"{config} cannot be used: 1 fault, 1 warning"
    assert re.fullmatch(rf"{config}:\d+: error: unknown section 'lisen'; did you mean 'listen'\?", lines[0])
    assert re.fullmatch(rf"{config}:\d+: warning: .*price.*", lines[1])
    told = json.loads(penstock("config", "check", "--json", *where).stdout)
    assert [fault["key"] for fault in told["faults"]] == ["lisen"]
    assert {"file", "line", "key", "message"} == set(told["faults"][0])


def test_a_warning_is_a_fault_where_that_is_asked_for(penstock, config, where):
    config.write_text(config.read_text().replace("price: {input: 1, output: 2}", ""))
    assert penstock("config", "check", *where).returncode == 0
    assert penstock("config", "check", "--strict", *where).returncode == 2
