"""`penstock backup` and `penstock restore`, as a script calls them."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from penstock_suite.domain.copies import BackedUp, Restored
from penstock_suite.domain.requests import Selection
from penstock_suite.surfaces.cli.backup import ShowRows, add_backup


def run(*arguments: str, state: Path) -> subprocess.CompletedProcess[str]:
    command = (sys.executable, "-m", "penstock_suite", *arguments, "--state", str(state))
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PENSTOCK_")}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment, cwd=state.parent)


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """A state folder with one key in its database."""
    folder = tmp_path / "state"
    created = run("keys", "create", "--tenant", "demo", "--label", "the only one", state=folder)
    assert created.returncode == 0, created.stderr
    return folder


def labels(state: Path) -> list[str]:
    connection = sqlite3.connect(state / "penstock.db")
    try:
        return [label for (label,) in connection.execute("SELECT label FROM api_keys ORDER BY label")]
    finally:
        connection.close()


def test_database_comes_back_from_its_backup(state: Path, tmp_path: Path):
    archive = tmp_path / "penstock.backup"
    made = run("backup", "--to", str(archive), "--json", state=state)
    assert made.returncode == 0, made.stderr
    told = json.loads(made.stdout)
    assert (told["file"], told["bytes"], told["rows"]["api_keys"]) == (str(archive), archive.stat().st_size, 1)

    refused = run("restore", "--from", str(archive), state=state)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "api_keys" in refused.stderr and "--replace" in refused.stderr

    assert run("keys", "create", "--tenant", "demo", "--label", "later", state=state).returncode == 0
    restored = run("restore", "--from", str(archive), "--replace", "--json", state=state)
    assert restored.returncode == 0, restored.stderr
    told = json.loads(restored.stdout)
    assert (told["rows"]["api_keys"], told["replaced"], told["keys_fit"]) == (1, True, True)
    assert labels(state) == ["the only one"]


def test_another_pepper_is_told_of(state: Path, tmp_path: Path):
    archive, elsewhere = tmp_path / "penstock.backup", tmp_path / "elsewhere"
    assert run("backup", "--to", str(archive), state=state).returncode == 0
    elsewhere.mkdir()
    (elsewhere / "key-pepper").write_bytes(b"x" * 32)
    restored = run("restore", "--from", str(archive), state=elsewhere)
    assert restored.returncode == 0, restored.stderr
    assert "another pepper" in restored.stdout
    assert labels(elsewhere) == ["the only one"]
    assert (state / "key-pepper").read_bytes() not in archive.read_bytes()


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (("restore", "--from", "missing.backup"), 1, "No such file"),
        (("restore", "--from", "/etc/hostname"), 1, "no archive of"),
        (("backup", "--to", "missing/penstock.backup"), 1, "name another place"),
        (("backup",), 2, "--to"),
    ],
)
def test_failures_are_one_sentence_and_a_stable_code(state: Path, arguments: tuple[str, ...], code: int, told: str):
    failed = run(*arguments, state=state)
    assert failed.returncode == code
    assert told in failed.stderr
    assert "Traceback" not in failed.stderr
    assert labels(state) == ["the only one"]


def test_backup_of_a_stack_that_never_ran_makes_nothing(tmp_path: Path):
    failed = run("backup", "--to", str(tmp_path / "penstock.backup"), state=tmp_path / "state")
    assert failed.returncode == 1
    assert "there is no database" in failed.stderr
    assert not (tmp_path / "penstock.backup").exists()
    assert not (tmp_path / "state" / "penstock.db").exists()


def test_database_that_the_configuration_names_needs_no_other_secret_and_no_state_folder(
    state: Path, tmp_path: Path, database_url: str
):
    config, archive, elsewhere = tmp_path / "penstock.yaml", tmp_path / "penstock.backup", tmp_path / "elsewhere"
    document = {
        "sql": database_url,
        "redis": {"state": "redis://:${file:/nowhere}@redis"},
        "operator": {"keys": ["${NO}"]},
    }
    config.write_text(json.dumps(document))
    assert run("backup", "--to", str(archive), state=state).returncode == 0
    restored = run("restore", "--from", str(archive), "--config", str(config), "--json", state=elsewhere)
    assert restored.returncode == 0, restored.stderr
    again = run("backup", "--to", str(archive), "--config", str(config), "--json", state=elsewhere)
    assert again.returncode == 0, again.stderr
    assert json.loads(again.stdout)["rows"] == json.loads(restored.stdout)["rows"]
    assert not elsewhere.exists()


@pytest.mark.parametrize("arguments", [["backup", "--to", "x"], ["restore", "--from", "x"]])
def test_interrupted_command_does_not_end_as_if_it_had_done_its_work(arguments: list[str]):
    class Interrupted:
        def back_up(self, selection: Selection, file: Path, show: ShowRows) -> BackedUp:
            raise KeyboardInterrupt

        def restore(self, selection: Selection, file: Path, show: ShowRows, *, replace: bool) -> Restored:
            raise KeyboardInterrupt

    cli = typer.Typer()
    add_backup(cli, Interrupted())
    ended = CliRunner().invoke(cli, arguments)
    assert ended.exit_code == 1
    assert "nothing has changed" in ended.stderr
