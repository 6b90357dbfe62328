"""`penstock budgets` and `penstock limits`: what they say and write, over the database of a stack that is down."""

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
from penstock_suite.domain.money import nano_usd_from, usd_text
from penstock_suite.surfaces.cli.budgets import budgets
from penstock_suite.surfaces.cli.limits import limits

DEMO = ("--tenant", "demo")


def settings_of(folder):
    (folder / "pepper").write_bytes(b"p" * 32)
    document = {
        "tenants": [{"name": "demo", "tier": {"requests_per_minute": 60, "each_user": {"spend_per_day": 5}}}],
        "budgets": [{"name": "total", "tenant": "demo", "amount": 1000, "period": "total", "alerts": [90]}],
        "webhooks": {
            "finance": {"url": "https://finance.example.com/", "secrets": ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"]}
        },
        "sql": f"sqlite:///{folder}/penstock.db",
        "secrets": {"key_pepper_file": f"{folder}/pepper"},
    }
    return Configuration(document).settings(Settings)


async def spend(settings):
    row = LedgerRow(
        generation_id="g",
        request_id="r",
        created_at=datetime.now(UTC),
        tenant="demo",
        key_id="k",
        surface="openai",
        requested_model="fast",
        outcome="ok",
        cost_nano_usd=850_000_000_000,
    )
    database = open_current_database(settings.sql, settings.gateway.database_limits, *SCHEMAS, upgrades_schema=True)
    async with database as engine, ledger_table(engine) as table:
        await table.write([row])


@pytest.fixture(scope="module")
def commands(tmp_path_factory):
    """A function that runs commands over one database, and returns what became of them."""
    settings = settings_of(tmp_path_factory.mktemp("budgets"))
    asyncio.run(spend(settings))

    @asynccontextmanager
    async def opened(_asked):
        async with open_administration(settings, Actor.at_the_command_line("tester")) as servicers:

            async def ask(method, request):
                return await method_of(servicers, method)(request, None)

            yield administration_over(ask)

    made = {"budgets": budgets(opened), "limits": limits(opened)}

    def run(group, *arguments, exit_code=0):
        told = CliRunner().invoke(made[group], list(arguments))
        assert told.exit_code == exit_code, told.output
        return told

    return run


@pytest.fixture
def answer(commands):
    """What a command says with --json."""
    return lambda *arguments, **options: json.loads(commands(*arguments, "--json", **options).stdout)


def test_a_budget_is_made_changed_granted_shown_and_taken_away(commands, answer):
    made = answer("budgets", "set", "month", *DEMO, "--amount", "1000", "--webhook", "finance")
    assert (made["scope"], made["amount_nano_usd"], made["period"], made["kind"]) == (
        "tenant", 1_000_000_000_000, "month", "hard",
    )  # fmt: skip
    assert (made["alerts"], made["webhook"], made["created_by"]) == (
        ["50", "80", "100", "projected"], "finance", "tester",
    )  # fmt: skip
    changed = answer("budgets", "set", "month", *DEMO, "--amount", "2,500.50", "--alert", "80%", "--kind", "soft")
    assert (changed["amount_nano_usd"], changed["alerts"], changed["kind"]) == (2_500_500_000_000, ["80"], "soft")
    assert (changed["webhook"], changed["id"]) == ("finance", made["id"])
    told = commands("budgets", "grant", "month", *DEMO, "--amount", "50", "--until", "3d", "--reason", "INC-7")
    assert "has $50.00 more until" in told.stderr
    shown = commands("budgets", "show", "month", *DEMO)
    assert "$2,500.50" in shown.stdout
    assert "$50.00 of grace until" in shown.stderr
    standing = answer("budgets", "standing", "month", *DEMO)["standing"]
    assert standing["limit_nano_usd"] == 2_550_500_000_000
    assert (standing["spent_nano_usd"], standing["reserved_nano_usd"]) == (850_000_000_000, 0)
    assert "$850.00 (33 %)" in commands("budgets", "standing", "month", *DEMO).stdout
    # 850 of 2,550.50, and of the configuration's 1,000.
    assert [one["budget"]["name"] for one in answer("budgets", "list")] == ["month", "total"]
    assert [one["budget"]["name"] for one in answer("budgets", "list", "--over", "80%")] == ["total"]
    assert "85 %" in commands("budgets", "list", "--over", "85").stdout
    assert commands("budgets", "list", "--over", "86%").stderr == "There are none.\n"
    assert commands("budgets", "delete", "month", *DEMO).stderr == "Budget month is deleted.\n"
    again = answer("budgets", "set", "month", *DEMO, "--amount", "1", "--alert", "none")
    assert (again["id"], again["alerts"], again["graces"]) == (made["id"], [], [])
    assert answer("budgets", "standing", "month", *DEMO)["standing"]["remaining_nano_usd"] == 0
    commands("budgets", "delete", "month", *DEMO)


def test_what_cannot_be_meant_is_said_in_the_words_of_the_command(commands):
    cases = [
        (("set", "new", *DEMO), 3, "say --amount to make it"),
        (("set", "new", *DEMO, "--amount", "1", "--period", "1mo"), 2, "--period: there is no '1mo'"),
        (("set", "new", *DEMO, "--amount", "0.1234567891"), 2, "at most 9 decimals"),
        (("set", "new", *DEMO, "--amount", "-1"), 2, "from 0 to"),
        (("set", "new", *DEMO, "--amount", "1", "--webhook", "finanze"), 2, "there are finance"),
        (("set", "new", *DEMO, "--amount", "1", "--scope", "team"), 2, "must say whose"),
        (("set", "new", *DEMO, "--amount", "1", "--alert", "0"), 2, "from 1 to 1000"),
        (("set", "total", *DEMO, "--amount", "1"), 1, "stands in the configuration"),
        (("set", "total", *DEMO), 2, "say what is to change"),
        (("set", "new", "--tenant", "nobody", "--amount", "1"), 3, "no tenant 'nobody'"),
        (("set", "new", "--amount", "1"), 2, "--tenant must be named"),
        (("show", "none", *DEMO), 3, "see 'penstock budgets list'"),
        (("grant", "total", *DEMO, "--amount", "1", "--until", "2020-01-01", "--reason", "x"), 2, "--until must be"),
        (("grant", "total", *DEMO, "--amount", "0", "--until", "3d", "--reason", "x"), 2, "--amount must be above 0"),
        (("grant", "total", *DEMO, "--amount", "1", "--until", "soon", "--reason", "x"), 2, "a time such as 3d"),
        (("list", "--over", "many"), 2, "from 1 to 1000"),
    ]
    for arguments, code, words in cases:
        told = commands("budgets", *arguments, exit_code=code)
        assert words in " ".join(told.output.replace("│", " ").split()), (arguments, told.output)


def test_limits_are_explained_with_what_binds_first_on_top(commands, answer):
    asked = ("limits", "explain", *DEMO, "--user", "u1", "--model", "fast")
    rows = answer(*asked)
    by_name = {row["name"]: row for row in rows}
    assert (rows[0]["name"], rows[0]["binds_first"], rows[0]["source"]) == ("total", True, "budget total")
    assert (rows[0]["used"], rows[0]["remaining"], rows[0]["resets_at"]) == (850_000_000_000, 150_000_000_000, None)
    # Without a gateway that runs, nobody knows of requests.
    rate = by_name["requests_per_minute"]
    assert (rate["used"], rate["allowance"], rate["source"]) == (None, "60 requests per minute", "tier own")
    assert (by_name["spend_per_day"]["scope"], by_name["spend_per_day"]["used"]) == ("user u1", 0)
    table = commands(*asked).stdout
    assert table.splitlines()[1].startswith("first")
    assert "$850.00" in table
    whole = "psk_" + "a" * 12 + "_" + "b" * 32 + "_" + "c" * 6
    told = commands("limits", "explain", "a-secret-of-the-file", "--model", "fast", exit_code=2)
    assert "a-secret-of-the-file" not in told.output
    told = commands("limits", "explain", whole, "--model", "fast", exit_code=3)
    assert "There is no key 'aaaaaaaaaaaa'" in told.output
    assert "b" * 32 not in told.output
    assert answer("limits", "explain", "config-demo-1", *DEMO, "--model", "fast")[0]["name"] == "total"
    commands("limits", "explain", "config-other-1", *DEMO, "--model", "fast", exit_code=3)


@pytest.mark.parametrize(
    ("text", "nano"), [("2500", 2_500 * 10**9), ("$1,000.5", 1_000_500_000_000), ("0.000000001", 1), ("1e-9", 1)]
)
def test_money_is_read_exactly(text, nano):
    assert nano_usd_from(text) == nano
    assert nano_usd_from(usd_text(nano)) == nano


@pytest.mark.parametrize("text", ["", "x", "nan", "1e999", "0.0000000001", "9000000001", "-0.1"])
def test_what_is_no_money_is_refused(text):
    with pytest.raises(ValueError, match="an amount"):
        nano_usd_from(text)
