"""`penstock backup` and `penstock restore`, as a script calls them."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path

import asyncpg
import pytest
import typer
from typer.testing import CliRunner

from penstock_common.testing.postgres_server import PostgresServer
from penstock_suite.domain.answers import BackedUp, Restored
from penstock_suite.domain.requests import Selection
from penstock_suite.surfaces.cli.backup import ShowRows, backup, restore


def run(*arguments: str, state: Path, largest_file_bytes: int | None = None) -> subprocess.CompletedProcess[str]:
    """Run a command of ``penstock``; no file that it writes may grow beyond ``largest_file_bytes``."""
    command = (sys.executable, "-m", "penstock_suite", *arguments)
    if arguments[0] != "db":
        command = (*command, "--state", str(state))
    if largest_file_bytes is not None:
        command = ("prlimit", f"--fsize={largest_file_bytes}", *command)
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment(), cwd=state.parent)


def environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("PENSTOCK_")}


@pytest.fixture(scope="module")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made") / "state"
    created = run("keys", "create", "--tenant", "demo", "--label", "the only one", state=folder)
    assert created.returncode == 0, created.stderr
    return folder


@pytest.fixture
def state(made_once: Path, tmp_path: Path) -> Path:
    """A state folder with one key in its database."""
    return shutil.copytree(made_once, tmp_path / "state")


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
    assert restored.stdout == ""
    assert "another pepper" in restored.stderr
    assert labels(elsewhere) == ["the only one"]
    assert (state / "key-pepper").read_bytes() not in archive.read_bytes()


def test_a_restore_without_a_pepper_says_so(state: Path, tmp_path: Path):
    archive, elsewhere = tmp_path / "penstock.backup", tmp_path / "elsewhere"
    assert run("backup", "--to", str(archive), state=state).returncode == 0
    restored = run("restore", "--from", str(archive), state=elsewhere)
    assert restored.returncode == 0, restored.stderr
    assert "There is no pepper here" in restored.stderr
    assert "secrets.key_pepper_file" in restored.stderr
    fitting = run("restore", "--from", str(archive), "--replace", state=state)
    assert "pepper" not in fitting.stderr


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


def write_audit_entries(state: Path, count: int) -> None:
    entry = {
        "occurred_at": "2026-01-01 00:00:00", "actor_user_id": "", "actor_tenant": "", "action": "key.create",
        "tenant": "demo", "target": "", "client_address": "", "request_id": "", "outcome": "ok", "details": "{}",
    }  # fmt: skip
    places = ", ".join("?" for _ in range(len(entry) + 1))
    statement = f"INSERT INTO audit_log ({', '.join(entry)}, actor_key_id) VALUES ({places})"  # noqa: S608 - our own words
    connection = sqlite3.connect(state / "penstock.db")
    try:
        # What is random stays as long in an archive.
        connection.executemany(statement, ((*entry.values(), os.urandom(20).hex()) for _ in range(count)))
        connection.commit()
    finally:
        connection.close()


def configuration(folder: Path, url: str) -> str:
    """Return the path of a configuration with the database, and with secrets that are not here."""
    file = folder / "penstock.yaml"
    file.write_text(json.dumps({"sql": url, "operator": {"keys": ["${file:/nowhere}"]}}))
    return str(file)


def test_disk_that_is_full_leaves_no_half_of_an_archive_and_the_older_one(state: Path, tmp_path: Path):
    archive = tmp_path / "copies" / "penstock.backup"
    archive.parent.mkdir()
    archive.write_bytes(b"the older one")
    write_audit_entries(state, 10_000)
    failed = run("backup", "--to", str(archive), state=state, largest_file_bytes=64 * 1024)
    assert (failed.returncode, failed.stdout) == (1, "")
    assert failed.stderr == f"penstock: {archive}: File too large: name another place\n"
    assert archive.read_bytes() == b"the older one"
    assert list(archive.parent.iterdir()) == [archive]


def test_disk_that_is_full_leaves_no_half_of_a_database(state: Path, tmp_path: Path):
    archive, target = tmp_path / "penstock.backup", tmp_path / "restored.db"
    config = configuration(tmp_path, f"sqlite:///{target}")
    assert run("backup", "--to", str(archive), state=state).returncode == 0
    failed = run("restore", "--from", str(archive), "--config", config, state=state, largest_file_bytes=64 * 1024)
    assert (failed.returncode, failed.stdout) == (1, "")
    assert failed.stderr.startswith(f"penstock: the database at sqlite:///{target} ")
    assert failed.stderr.count("\n") == 1
    connection = sqlite3.connect(target)
    try:
        assert connection.execute("SELECT name FROM sqlite_master").fetchall() == []
    finally:
        connection.close()
    assert run("restore", "--from", str(archive), "--config", config, state=state).returncode == 0


def test_backup_that_is_told_to_end_leaves_nothing(state: Path, tmp_path: Path):
    archive = tmp_path / "copies" / "penstock.backup"
    archive.parent.mkdir()
    # Enough for the command to be at work when it is told to end.
    write_audit_entries(state, 50_000)
    command = (sys.executable, "-m", "penstock_suite", "backup", "--to", str(archive), "--state", str(state))
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment(), cwd=tmp_path) as process:
        pause = threading.Event()
        while not list(archive.parent.iterdir()):
            assert process.poll() is None, process.communicate()
            pause.wait(0.005)
        process.send_signal(signal.SIGTERM)
        _, told = process.communicate()
    assert process.returncode == 1
    assert told == "penstock: interrupted while backing up: nothing has changed\n"
    assert list(archive.parent.iterdir()) == []


@pytest.mark.parametrize("command", ["db upgrade", "restore --from penstock.backup", "backup --to other.backup"])
def test_database_that_cannot_be_opened_is_one_sentence(state: Path, tmp_path: Path, command: str):
    assert run("backup", "--to", "penstock.backup", state=state).returncode == 0
    # A file that is no database opens, and is refused by what is read of it.
    target = tmp_path / "other.db"
    target.write_text("No database at all. " * 100)
    config = configuration(tmp_path, f"sqlite:///{target}")
    failed = run(*command.split(), "--config", config, state=state)
    assert (failed.returncode, failed.stdout) == (1, "")
    assert failed.stderr == f"penstock: the database at sqlite:///{target} cannot be used: file is not a database\n"
    assert target.read_text() == "No database at all. " * 100
    assert not (tmp_path / "other.backup").exists()


def test_database_that_refuses_to_be_changed_is_one_sentence(state: Path, tmp_path: Path, postgres: PostgresServer):
    url = postgres.create_database()
    name = url.partition("@/")[2].partition("?")[0]
    asyncio.run(executed(url, f"CREATE ROLE reader_{name} LOGIN"))
    config = configuration(tmp_path, url.replace("penstock@", f"reader_{name}@"))
    assert run("backup", "--to", "penstock.backup", state=state).returncode == 0
    for command in ("db upgrade", "restore --from penstock.backup"):
        failed = run(*command.split(), "--config", config, state=state)
        assert (failed.returncode, failed.stdout) == (1, "")
        assert failed.stderr.endswith(f"/{name} refused: permission denied for schema public\n")
        assert failed.stderr.count("\n") == 1


async def executed(url: str, statement: str) -> None:
    connection = await asyncpg.connect(url)
    await connection.execute(statement)
    await connection.close()


def test_schema_is_made_with_the_databases_address_and_no_other_secret(tmp_path: Path, database_url: str):
    made = run("db", "upgrade", "--config", configuration(tmp_path, database_url), "--json", state=tmp_path / "state")
    assert (made.returncode, made.stdout) == (0, '{"event":"upgraded"}\n'), made.stderr


def test_documents_are_copied_as_they_are_while_somebody_writes(state: Path, tmp_path: Path):
    archive, copy = tmp_path / "penstock.backup", tmp_path / "documents.sqlite"
    to = ("--to", str(archive), "--documents-to", str(copy))
    failed = run("backup", *to, state=state)
    assert (failed.returncode, copy.exists(), archive.exists()) == (1, False, False)
    assert f"there is no database at {state / 'knowledge.sqlite'}" in failed.stderr
    documents = sqlite3.connect(state / "knowledge.sqlite", isolation_level=None)
    documents.executescript("PRAGMA journal_mode=WAL; CREATE TABLE texts (text); INSERT INTO texts VALUES ('kept')")
    documents.executescript("BEGIN; INSERT INTO texts VALUES ('not yet')")
    copy.write_text("an older copy")
    made = run("backup", *to, "--json", state=state)
    assert made.returncode == 0, made.stderr
    documents.close()
    told = json.loads(made.stdout)
    assert (told["documents"], told["documents_bytes"]) == (str(copy), copy.stat().st_size)
    assert copy.stat().st_mode & 0o777 == 0o600
    with closing(sqlite3.connect(copy)) as kept:
        assert kept.execute("SELECT text FROM texts").fetchall() == [("kept",)]


def test_documents_schema_is_upgraded_where_there_are_documents(tmp_path: Path, postgres: PostgresServer):
    state, url = tmp_path / "state", postgres.create_database()
    assert run("db", "upgrade", "--config", configuration(tmp_path, url), state=state).returncode == 0
    assert asyncio.run(fetched(url, "SELECT version_num FROM knowledge_version"))
    file = tmp_path / "knowledge.sqlite"
    config = configuration(tmp_path, f"sqlite:///{tmp_path}/penstock.db")
    assert run("db", "upgrade", "--config", config, state=state).returncode == 0
    assert not file.exists()
    file.touch()
    assert run("db", "upgrade", "--config", config, state=state).returncode == 0
    with closing(sqlite3.connect(file)) as made:
        assert made.execute("SELECT version_num FROM knowledge_version").fetchall()


async def fetched(url: str, query: str) -> object:
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetchval(query)
    finally:
        await connection.close()


def _interrupted_backup(
    selection: Selection, file: Path, show: ShowRows, *, documents_to: Path | None = None
) -> BackedUp:
    raise KeyboardInterrupt


def _interrupted_restore(selection: Selection, file: Path, show: ShowRows, *, replace: bool) -> Restored:
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("cli", "arguments"),
    [(backup(_interrupted_backup), ["--to", "x"]), (restore(_interrupted_restore), ["--from", "x"])],
)
def test_interrupted_command_does_not_end_as_if_it_had_done_its_work(cli: typer.Typer, arguments: list[str]):
    ended = CliRunner().invoke(cli, arguments)
    assert ended.exit_code == 1
    assert "nothing has changed" in ended.stderr
