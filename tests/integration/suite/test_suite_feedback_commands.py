"""`penstock feedback`: what its commands say and write, over the database of a stack that is down."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import pytest
from typer.testing import CliRunner

from penstock_common.configuration import Configuration
from penstock_common.sql.schema import open_current_database
from penstock_gateway.adapters.sql.ledger_rows import ledger_table
from penstock_gateway.adapters.sql.schema import SCHEMAS
from penstock_gateway.app.administration import open_administration
from penstock_gateway.domain.administration.actor import Actor
from penstock_gateway.domain.life.settlement import LedgerRow
from penstock_gateway.settings import Settings
from penstock_suite.adapters.admin_client import administration_over, method_of
from penstock_suite.surfaces.cli.feedback import feedback as feedback_commands

ANSWER = "a" * 24
DEMO = ("--tenant", "demo")


def settings_of(folder):
    (folder / "pepper").write_bytes(b"p" * 32)
    document = {
        "tenants": [{"name": "demo", "tier": {}}],
        "sql": f"sqlite:///{folder}/penstock.db",
        "secrets": {"key_pepper_file": f"{folder}/pepper"},
        "feedback": {"patience": "10ms"},
    }
    return Configuration(document).settings(Settings)


async def keep_an_answer(settings):
    row = LedgerRow(
        generation_id=ANSWER,
        request_id="r1",
        created_at=datetime.now(UTC),
        tenant="demo",
        key_id="k",
        surface="openai",
        requested_model="fast",
        outcome="ok",
        upstream="first",
        model="m1",
        task="code",
    )
    limits = settings.gateway.database_limits
    database = open_current_database(settings.sql, limits, *SCHEMAS, upgrades_schema=True)
    async with database as engine, ledger_table(engine) as table:
        await table.write([row])


@pytest.fixture(scope="module")
def command(tmp_path_factory):
    """A function that runs `penstock feedback` with the arguments, and returns what became of it."""
    settings = settings_of(tmp_path_factory.mktemp("feedback"))
    asyncio.run(keep_an_answer(settings))

    @asynccontextmanager
    async def opened(_asked):
        async with open_administration(settings, Actor.at_the_command_line("tester")) as servicers:

            async def ask(method, request):
                return await method_of(servicers, method)(request, None)

            yield administration_over(ask)

    cli = feedback_commands(opened)

    def run(*arguments, exit_code=0):
        told = CliRunner().invoke(cli, [str(argument) for argument in arguments])
        assert told.exit_code == exit_code, told.output
        return told

    return run


@pytest.fixture
def answer(command):
    """What a command says with --json."""
    return lambda *arguments, **options: json.loads(command(*arguments, "--json", **options).stdout)


def test_what_is_given_is_listed_summed_up_and_erased(command, answer):
    given = answer("give", f"chatcmpl-{ANSWER}", "--down", "--score", "0.25", "--reason", "too_slow", *DEMO)
    assert (given["generation_id"], given["thumb"], given["score"], given["reason"]) == (
        ANSWER, "down", 0.25, "too_slow",
    )  # fmt: skip
    told = command("give", "r1", "--up", "--user", "ada", "--tag", "page=help", "--comment", "Fine.", *DEMO)
    assert told.stderr == f"Kept, of the answer {ANSWER} by first/m1.\n"
    listed = answer("list", *DEMO)
    assert [(one["user"], one["thumb"], one["tags"], one["comment"]) for one in listed] == [
        ("ada", "up", {"page": "help"}, ""),
        ("", "down", {}, ""),
    ]
    assert [one["comment"] for one in answer("list", "--content", *DEMO)] == ["Fine.", ""]
    assert "There are more than 1" in command("list", "--limit", "1").stderr
    assert "There are more than 1" in command("list", "--limit", "1", "--json").stderr
    assert len(answer("list", "--thumb", "up", "--answer", ANSWER, "--model", "fast", "--user", "ada")) == 1
    table = command("list", "--content").stdout
    assert "first/m1" in table
    assert "Fine." in table
    (line,) = answer("summary", "--by", "task", "--by", "upstream", *DEMO)
    assert (line["task"], line["upstream"], line["judgements"], line["model"]) == ("code", "first", 2, "")
    assert line["up_ratio"]["value"] == 0.5
    assert line["mean_score"]["value"] == 0.625
    shown = command("summary", "--since", "2026-01-01", "--until", "2126-01-01T00:00Z").stdout
    assert "0.50 (0.09 to 0.91)" in shown
    assert "1 too_slow" in shown
    assert answer("summary", "--since", "2126-01-01") == []
    assert command("delete", "--user", "ada", *DEMO).stderr == "1 erased.\n"
    assert answer("delete", "--yes", *DEMO) == {"deleted": 1}


@pytest.mark.parametrize(
    ("arguments", "exit_code", "words"),
    [
        (("give", ANSWER, "--up", "--down"), 2, "up or down"),
        (("give", ANSWER, "--score", "good"), 2, "from 0 to 1"),
        (("give", ANSWER, "--score", "2", *DEMO), 2, "--score must be between 0 and 1"),
        (("give", ANSWER, "--tag", "page", *DEMO), 2, "NAME=VALUE"),
        (("give", ANSWER, "--reason", "bad"), 2, "wrong, incomplete"),
        (("give", ANSWER, "--up"), 2, "--tenant must be named"),
        (("give", "b" * 24, "--up", *DEMO), 3, "There is no answer"),
        (("list", "--thumb", "sideways"), 2, "there are up, down"),
        (("summary", "--by", "colour"), 2, "there are model, upstream"),
        (("summary", "--since", "yesterday"), 2, "a time such as"),
        (("delete", *DEMO), 2, "say --yes"),
    ],
)
def test_what_cannot_be_meant_is_told(command, arguments, exit_code, words):
    told = command(*arguments, exit_code=exit_code)
    assert words in " ".join(told.output.replace("│", " ").split())
