"""`penstock ledger` and `penstock prices`, on the database of a stack that does not run."""

import json
import sqlite3
from contextlib import closing

import pytest

from penstock_suite.domain.failure import ExitCode


@pytest.fixture
def ledger(penstock, config, state):
    """A function that runs a command on a database with one row."""
    with closing(sqlite3.connect(state / "penstock.db")) as database, database:
        columns = {name: default for _, name, _, _, default, _ in database.execute("PRAGMA table_info(ledger)")}
        given = {
            "generation_id": "gen-1", "created_at": "2026-10-01 12:00:00.000000", "tags": "{}", "tenant": "demo",
            "input_tokens": 1000, "output_tokens": 100, "input_price_nano_usd": 10**9, "output_price_nano_usd": 2 * 10**9,
            "cached_input_price_nano_usd": 10**9, "cost_nano_usd": 1_200_000, "kind": "charge", "exported_at": None,
        }  # fmt: skip
        values = {name: given.get(name, 0) for name in columns}
        named, places = ", ".join(f'"{name}"' for name in columns), ", ".join(f":{name}" for name in columns)
        database.execute(f"INSERT INTO ledger ({named}) VALUES ({places})", values)

    def run(*arguments):
        return penstock(*arguments, "--config", config, "--state", state)

    return run


def test_correction_is_an_entry_and_in_the_audit_log(ledger, state):
    told = ledger("ledger", "correct", "--generation", "gen-1", "--output-tokens", "50", "--reason", "INC-7", "--json")
    assert told.returncode == 0, told.stderr
    made = json.loads(told.stdout)
    assert (made["id"], made["cost_nano_usd"], made["output_tokens"], made["reason"]) == (
        "gen-1~1",
        -100_000,
        -50,
        "INC-7",
    )
    said = ledger("ledger", "correct", "--generation", "gen-1", "--cost", "0.0012000005", "--reason", "again")
    assert said.returncode != 0
    assert "nine decimals" in said.stderr
    said = ledger("ledger", "correct", "--generation", "gen-1", "--cost", "0.001200001", "--reason", "again")
    assert "gen-1~2 adds $0.000100001 to what gen-1 of 'demo' came to" in said.stdout + said.stderr
    with closing(sqlite3.connect(state / "penstock.db")) as database:
        assert database.execute("SELECT sum(cost_nano_usd), count(*) FROM ledger").fetchone() == (1_200_001, 3)
    entries = json.loads(ledger("audit", "--json").stdout)
    assert [(entry["action"], entry["target"]) for entry in entries] == [("ledger.correct", "gen-1")] * 2


@pytest.mark.parametrize("called", ["gen-", "chatcmpl-", "cmpl-", "msg_"])
def test_a_generation_is_named_as_its_answer_names_itself(ledger, state, called):
    with closing(sqlite3.connect(state / "penstock.db")) as database, database:
        for trigger in database.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            database.execute(f"DROP TRIGGER {trigger[0]}")
        database.execute("UPDATE ledger SET generation_id = '0b6f'")
    said = ledger("ledger", "correct", "--generation", f"{called}0b6f", "--cost", "1", "--reason", "why", "--json")
    assert said.returncode == 0, said.stderr
    assert json.loads(said.stdout)["corrects"] == "0b6f"


def test_what_is_no_more_cannot_be_corrected(ledger):
    said = ledger("ledger", "correct", "--generation", "gen-9", "--cost", "1", "--reason", "why")
    assert said.returncode == 3
    assert "The ledger has no row of the generation 'gen-9'" in said.stderr


@pytest.mark.parametrize("command", [("drift",), ("rebuild", "--tenant", "demo")], ids=["drift", "rebuild"])
def test_counters_are_a_running_stacks(ledger, command):
    said = ledger("ledger", *command)
    # As every command that needs somebody who runs, and finds nobody.
    assert said.returncode == ExitCode.UNREACHABLE
    assert (
        said.stderr.strip()
        == "penstock: Spend is counted by a stack that runs, and none does: start it with 'penstock up'."
    )
