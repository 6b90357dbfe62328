"""`penstock usage export` and `penstock audit export`, of a stack that runs and of one that does not."""

import json
import sqlite3
from contextlib import closing

import pytest


@pytest.fixture
def stack(start, config):
    stack = start("--config", config)
    stack.until("ready")
    stack.where = ("--config", config, "--state", stack.state)
    return stack


def exported(penstock, stack, what, to, *options):
    return penstock(what, "export", "--to", to, *stack.where, "--json", *options)


def test_audit_log_is_exported_once(penstock, stack, tmp_path):
    assert penstock("tenants", "create", "acme", *stack.where).returncode == 0
    told = exported(penstock, stack, "audit", tmp_path / "1.jsonl", "--new")
    assert told.returncode == 0, told.stderr
    assert json.loads(told.stdout)["rows"] == 1
    (line,) = [json.loads(line) for line in (tmp_path / "1.jsonl").read_text().splitlines()]
    assert (line["action"], line["target"]) == ("tenant.create", "acme")
    assert json.loads(exported(penstock, stack, "audit", tmp_path / "2.jsonl", "--new").stdout)["rows"] == 0
    stack.end()
    assert json.loads(exported(penstock, stack, "audit", tmp_path / "3.jsonl").stdout)["rows"] == 1
    refused = exported(penstock, stack, "audit", tmp_path / "3.jsonl")
    assert refused.returncode == 1
    assert "is there already" in refused.stdout
    # Without a word more it shows, as before.
    shown = penstock("audit", "--tenant", "acme", *stack.where, "--json")
    assert [entry["action"] for entry in json.loads(shown.stdout)] == ["tenant.create"]


def test_ledger_is_exported_by_time(penstock, stack, tmp_path):
    stack.end()
    with closing(sqlite3.connect(stack.state / "penstock.db")) as database, database:
        columns = [name for _, name, *_ in database.execute("PRAGMA table_info(ledger)") if name != "exported_at"]
        for day in ("2026-01-01", "2026-02-01"):
            given = {"generation_id": day, "created_at": f"{day} 12:00:00.000000", "tags": "{}"}
            values = {name: given.get(name, 0) for name in columns}
            named = ", ".join(f'"{name}"' for name in columns)
            places = ", ".join(f":{name}" for name in columns)
            database.execute(f"INSERT INTO ledger ({named}) VALUES ({places})", values)  # noqa: S608 - of the schema
    told = exported(penstock, stack, "usage", tmp_path / "a.jsonl", "--since", "2026-01-15", "--until", "2026-03-01")
    assert told.returncode == 0, told.stderr
    (line,) = [json.loads(line) for line in (tmp_path / "a.jsonl").read_text().splitlines()]
    assert (line["generation_id"], line["created_at"]) == ("2026-02-01", "2026-02-01T12:00:00Z")
    told = exported(penstock, stack, "usage", tmp_path / "b.jsonl", "--new")
    assert json.loads(told.stdout)["rows"] == 1
