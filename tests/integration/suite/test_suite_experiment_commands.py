"""`penstock experiments`: what its commands say, over the gateway's own service on a real ledger."""

from __future__ import annotations

import asyncio
import json
import random
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import pytest
from typer.testing import CliRunner

from penstock_common.configuration import Configuration
from penstock_common.sql.schema import open_current_database
from penstock_gateway.adapters.sql.ledger import writing_ledger
from penstock_gateway.adapters.sql.schema import GATEWAY
from penstock_gateway.app.administration import open_administration
from penstock_gateway.domain.administration.actor import Actor
from penstock_gateway.domain.life.settlement import LedgerRow, Part
from penstock_gateway.settings import Settings
from penstock_suite.adapters.admin_client import administration_over, method_of
from penstock_suite.surfaces.cli.experiments import experiments

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ACTOR = Actor.at_the_command_line("tester")


@pytest.fixture
def settings(tmp_path):
    (tmp_path / "pepper").write_bytes(b"p" * 32)
    document = {
        "models": [{"name": "fast"}, {"name": "large"}],
        "experiments": [
            {
                "name": "size",
                "models": ["fast"],
                "variants": [{"name": "bigger", "share": 0.5, "model": "large"}],
                "metrics": [{"name": "cost"}, {"name": "error_rate", "guardrail": 0.02}],
                "minimum_samples": 100,
            }
        ],
        "sql": f"sqlite:///{tmp_path}/penstock.db",
        "secrets": {"key_pepper_file": f"{tmp_path}/pepper"},
    }
    return Configuration(document).settings(Settings)


@pytest.fixture
def command(settings, monkeypatch):
    """A function that runs `penstock experiments` with the arguments."""
    monkeypatch.setenv("COLUMNS", "100")

    @asynccontextmanager
    async def opened(_asked):
        async with open_administration(settings, ACTOR) as servicers:

            async def ask(method, request):
                return await method_of(servicers, method)(request, None)

            yield administration_over(ask)

    cli = experiments(opened)

    def run(*arguments, exit_code=0):
        told = CliRunner().invoke(cli, arguments)
        assert told.exit_code == exit_code, told.output
        return told

    return run


async def _write(settings, rows):
    limits = settings.gateway.database_limits
    async with (
        open_current_database(settings.sql, limits, GATEWAY, upgrades_schema=True) as engine,
        writing_ledger(engine, 10_000) as ledger,
    ):
        for row in rows:
            ledger.append(row)


@pytest.fixture
def measured(settings):
    """A ledger in which ``bigger`` costs a tenth more, in 300 users of each half."""
    draws, (experiment,) = random.Random(1), settings.experiments_configured()
    rows = [
        LedgerRow(
            generation_id=f"{variant}{number}",
            request_id="r",
            created_at=NOW,
            tenant="demo",
            key_id="k",
            surface="openai",
            requested_model="fast",
            outcome="ok",
            cost_nano_usd=int(draws.gauss(1_000_000, 100_000) * by),
            duration_ms=100.0,
            part=Part(experiment="size", variant=variant, phase=experiment.phase, unit=f"{variant}{number}"),
        )
        for variant, by in (("control", 1.0), ("bigger", 1.1))
        for number in range(300)
    ]
    asyncio.run(_write(settings, rows))


def test_the_list_says_who_gets_what(command):
    lines = command("list").stdout.splitlines()
    assert lines[1].split() == ["size", "fast", "running", "control", "50%,", "bigger", "50%", "user", "-"]
    (row,) = json.loads(command("list", "--json").stdout)
    assert (row["name"], row["state"], row["is_running"]) == ("size", "running", True)


def test_nothing_is_said_of_too_few(command):
    told = command("show", "size").stdout
    assert "Too few to say: 0 of 100" in told


def test_a_verdict_is_told_in_words_as_a_bar_and_in_figures(command, measured):
    told = command("show", "size").stdout
    assert "'bigger' is worse than control: cost +" in told
    assert "units, each a user: control 300, bigger 300" in told
    (bar,) = [line for line in told.splitlines() if line.startswith("cost ") and "[" in line]
    assert bar.index("|") < bar.index("[") < bar.index("o", 5) < bar.index("]")
    assert bar.endswith(")")
    assert max(map(len, told.splitlines())) <= 130
    assert "\x1b" not in told
    found = json.loads(command("show", "size", "--json").stdout)
    (result,) = found["results"]
    assert result["verdict"] == "worse"
    assert result["comparisons"][0]["relative"]["low"] > 0
    assert found["mismatch_probability"] == 1.0


def test_stopped_begun_and_promoted_it_says_so_and_keeps_it(command):
    told = command("stop", "size", "--reason", "too dear")
    assert "everybody has the control" in told.output
    assert command("list").stdout.splitlines()[1].split()[2:3] == ["stopped"]
    assert json.loads(command("list", "--json").stdout)[0]["reason"] == "too dear"
    assert "goes on" in command("start", "size").output
    assert "everybody has 'bigger'" in command("promote", "size", "bigger").output
    assert "promoted: bigger" in command("list").stdout


def test_what_is_not_there_ends_with_the_documented_codes(command):
    assert "see 'penstock experiments list'" in command("show", "none", exit_code=3).output
    assert (
        "VARIANT: The experiment 'size' has no variant 'x'; it has bigger."
        in command("promote", "size", "x", exit_code=2).output
    )
