"""`penstock usage` and `penstock estimate` over the ledger of two scripted months, of a stack that is down."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import random
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from xml.etree import ElementTree as ET

import pytest
from typer.testing import CliRunner

from penstock_common.configuration import Configuration
from penstock_common.llm.types import Usage
from penstock_common.sql.schema import open_current_database
from penstock_gateway.adapters.sql.ledger_rows import ledger_table
from penstock_gateway.adapters.sql.schema import SCHEMAS
from penstock_gateway.app.administration import open_administration
from penstock_gateway.domain.administration.actor import Actor
from penstock_gateway.domain.life.settlement import LedgerRow
from penstock_gateway.settings import Settings
from penstock_suite.adapters.admin_client import administration_over, method_of
from penstock_suite.domain.estimate.capacity import carried
from penstock_suite.domain.estimate.costs import Sizes, UnitCosts
from penstock_suite.domain.failure import NotThere
from penstock_suite.surfaces.cli.estimate import Known
from penstock_suite.surfaces.cli.estimate import estimate as estimate_command
from penstock_suite.surfaces.cli.usage import usage as usage_commands

SEPTEMBER, OCTOBER, NOVEMBER = (datetime(2026, month, 1, tzinfo=UTC) for month in (9, 10, 11))
INPUT_PRICE, OUTPUT_PRICE = 2_500, 10_000
"""In nano-dollars for a token."""


def settings_of(folder):
    (folder / "pepper").write_bytes(b"p" * 32)
    document = {
        "tenants": [{"name": "demo", "tier": {}}],
        "sql": f"sqlite:///{folder}/penstock.db",
        "secrets": {"key_pepper_file": f"{folder}/pepper"},
    }
    return Configuration(document).settings(Settings)


def scripted():
    """Return the rows of two months: fewer on weekends, a fifth of them hits, one upstream our own."""
    draw, found, day = random.Random(7), [], SEPTEMBER
    while day < NOVEMBER:
        for _ in range(20 if day.weekday() >= 5 else 48):
            is_hit, is_own = draw.random() < 0.2, draw.random() < 0.5
            usage = Usage(input_tokens=draw.randrange(200, 2200), output_tokens=draw.randrange(50, 650))
            cost = 0 if is_hit or is_own else usage.input_tokens * INPUT_PRICE + usage.output_tokens * OUTPUT_PRICE
            found.append(
                LedgerRow(
                    generation_id=f"g{len(found)}",
                    request_id=f"r{len(found)}",
                    created_at=day + timedelta(seconds=draw.randrange(86_400)),
                    tenant="demo",
                    key_id="k",
                    surface="openai",
                    requested_model=draw.choice(["fast", "=smart"]),
                    upstream="own" if is_own else "rented",
                    model="m1",
                    outcome="ok" if draw.random() < 0.97 else "upstream_failed",
                    finish_reason="stop",
                    cache_status="hit" if is_hit else "miss",
                    usage=usage,
                    cost_nano_usd=cost,
                    attempts=0 if is_hit else 1,
                    duration_ms=20.0 if is_hit else 1000.0 + draw.random() * 4000,
                    tags=draw.choice([{}, {"env": "prod"}]),
                )
            )
        day += timedelta(days=1)
    return found


ROWS = scripted()


def of(begin, end):
    return [row for row in ROWS if begin <= row.created_at < end]


async def written(settings):
    limits = settings.gateway.database_limits
    database = open_current_database(settings.sql, limits, *SCHEMAS, upgrades_schema=True)
    async with database as engine, ledger_table(engine) as table:
        await table.write(ROWS)


@pytest.fixture(scope="module")
def opened(tmp_path_factory):
    settings = settings_of(tmp_path_factory.mktemp("usage"))
    asyncio.run(written(settings))

    @asynccontextmanager
    async def administration(_asked):
        async with open_administration(settings, Actor.at_the_command_line("tester")) as servicers:

            async def ask(method, request):
                return await method_of(servicers, method)(request, None)

            yield administration_over(ask)

    return administration


def running(cli):
    def run(*arguments, exit_code=0):
        told = CliRunner().invoke(cli, [str(argument) for argument in arguments])
        assert told.exit_code == exit_code, told.output
        return told

    return run


@pytest.fixture(scope="module")
def usage(opened):
    return running(usage_commands(opened, None))


@pytest.fixture(scope="module")
def estimate(opened):
    def prices_of(_selection, name):
        if name != "mini":
            raise NotThere(f"nothing is known of a model '{name}'")
        return 0.15, 0.6

    return running(estimate_command(opened, Known(prices_of, lambda _selection: (UnitCosts(), Sizes()))))


def cost(rows):
    return sum(row.cost_nano_usd for row in rows)


def close(value, expected, ratio=0.02):
    assert abs(value - expected) <= ratio * expected, (value, expected)


# Usage


def test_a_month_is_told_to_the_nano(usage):
    told = json.loads(usage("--month", "2026-10", "--by", "requested_model,day", "--format", "json").stdout)
    october = of(OCTOBER, NOVEMBER)
    assert told["total"]["cost_nano_usd"] == cost(october) == sum(one["sums"]["cost_nano_usd"] for one in told["lines"])
    assert told["total"]["requests"] == len(october)
    assert len(told["lines"]) == 62


def test_a_table_has_its_bars_the_dearest_first_and_what_is_nobody_s(usage):
    shown = usage("--month", "2026-10", "--by", "tag:env,upstream").stdout.splitlines()
    assert shown[0].split()[:3] == ["tag:env", "upstream", "requests"]
    assert {line.split()[0] for line in shown[1:-1]} == {"(none)", "prod"}
    assert [line.split()[1] for line in shown[1:3]] == ["rented", "rented"]
    assert "█" * 20 in shown[1]
    assert shown[-1].split()[0] == "total"
    assert f"{cost(of(OCTOBER, NOVEMBER)) / 1e9:,.4f}" in shown[-1]


def test_csv_has_every_decimal_and_no_formula(usage):
    text = usage(
        "--from",
        "2026-10-01",
        "--to",
        "2026-11-01",
        "--by",
        "requested_model,month",
        "--tz",
        "Europe/Berlin",
        "--format",
        "csv",
    ).stdout
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [row["requested_model"] for row in rows] == ["'=smart", "fast"]
    assert rows[0]["start"] == "2026-10-01T00:00:00+02:00"
    assert rows[0]["end"] == "2026-11-01T00:00:00+01:00"
    berlin = of(OCTOBER - timedelta(hours=2), NOVEMBER - timedelta(hours=1))
    whole = sum(int(row["cost"].replace(".", "")) for row in rows)
    assert (whole, rows[0]["currency"]) == (cost(berlin), "USD")


@pytest.mark.parametrize("by", ["requested_model", "upstream,week"])
def test_a_drawing_is_svg(usage, tmp_path, by):
    plot = tmp_path / "cost.svg"
    usage("--month", "2026-10", "--by", by, "--plot", plot, "--where", "tag:env=prod")
    assert ET.fromstring(plot.read_text()).tag.endswith("svg")  # noqa: S314 - our own
    assert "rented" in plot.read_text() or "=smart" in plot.read_text()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--month", "2026-13"), "a month such as"),
        (("--month", "2026-10", "--from", "30d"), "say --month, or"),
        (("--from", "2026-11-01", "--to", "2026-10-01"), "--to must be after"),
        (("--from", "yesterday"), "a time such as"),
        (("--tz", "Mars"), "no time zone 'Mars'"),
        (("--by", "colour"), "there is no 'colour'"),
        (("--where", "model"), "WORD=VALUE"),
        (("--format", "png"), "there are table, csv, json"),
        (("--plot", "a.png"), "ends with .svg"),
    ],
)
def test_what_cannot_be_meant_is_told(usage, arguments, words):
    told = usage(*arguments, exit_code=2)
    assert words in " ".join(told.output.replace("│", " ").split())


# Estimate

OCTOBER_ARGUMENTS = ("--from", "2026-10-01", "--to", "2026-11-01", "--format", "json")


def test_a_scripted_month_is_estimated_as_its_own_sum(estimate):
    told = json.loads(estimate(*OCTOBER_ARGUMENTS, "--days", "31", "--own", "own").stdout)["estimate"]
    october = of(OCTOBER, NOVEMBER)
    items = {item["name"]: item for item in told["items"]}
    close(items["models"]["usd"]["value"], cost(october) / 1e9)
    assert items["models"]["usd"]["p10"] < cost(october) / 1e9 < items["models"]["usd"]["p90"]
    close(items["database"]["amount"]["value"], len(october) * 900 / 1e9)
    close(items["Redis"]["usd"]["value"], 50 * 31 * 24 / 730)
    assert (items["GPUs"]["amount"]["value"], items["vCPUs"]["amount"]["value"]) == (1, 1)
    close(items["GPUs"]["usd"]["value"], 2.5 * 24 * 31)
    close(told["total_usd"]["value"], sum(item["usd"]["value"] for item in told["items"]), 1e-9)
    close(told["per_million_usd"]["value"], told["total_usd"]["value"] / len(october) * 1e6)
    assert (told["sample"], told["sample_days"], told["warnings"]) == (len(october), 31, [])


def test_a_load_takes_whole_machines_for_its_busiest_hour(estimate):
    told = json.loads(estimate(*OCTOBER_ARGUMENTS, "--rps", "100", "--own", "own", "--cpu-per-request", "0.01").stdout)
    items = {item["name"]: item["amount"]["value"] for item in told["estimate"]["items"]}
    october = of(OCTOBER, NOVEMBER)
    hours = {}
    last = [row for row in october if row.created_at >= NOVEMBER - timedelta(days=14)]
    for row in last:
        hours[row.created_at.replace(minute=0, second=0)] = hours.get(row.created_at.replace(minute=0, second=0), 0) + 1
    peak = max(hours.values()) / (len(last) / (14 * 24))
    own = sum(row.duration_ms for row in october if row.upstream == "own" and row.cache_status == "miss") / 1000
    gpus = 100 * peak * own / len(october) / 16 / 0.7
    assert gpus - 1e-9 <= items["GPUs"] < gpus + 1
    vcpus = 100 * peak * 0.01 / 0.6
    assert vcpus - 1e-9 <= items["vCPUs"] < vcpus + 1


def test_ten_times_the_scripted_load_takes_ten_times_the_pods_gpus_and_dollars(estimate):
    def asked(rps):
        arguments = (*OCTOBER_ARGUMENTS, "--rps", rps, "--own", "own", "--capacity")
        return json.loads(estimate(*arguments).stdout)

    once, tenfold = asked("4000"), asked("40000")
    pods, more = ({each["role"]: each for each in told["capacity"]["roles"]} for told in (once, tenfold))
    assert set(pods) == {"edge", "gateway", "router", "cache", "inference"}
    for role, now in pods.items():
        then = more[role]
        assert 2 <= now["pods"]["p10"] <= now["pods"]["value"] <= now["pods"]["p90"]
        assert then["pods"]["p10"] <= then["pods"]["value"] <= then["pods"]["p90"]
        # Whole pods are never more than one too many.
        assert 10 * (now["pods"]["value"] - 1) <= then["pods"]["value"] <= 10 * now["pods"]["value"]
        assert then["memory_mb"]["value"] == pytest.approx(then["pods"]["value"] * carried().memory_mb[role])
    items, later = ({each["name"]: each for each in told["estimate"]["items"]} for told in (once, tenfold))
    assert 9 * items["GPUs"]["amount"]["value"] <= later["GPUs"]["amount"]["value"] + 10
    close(later["models"]["usd"]["value"], 10 * items["models"]["usd"]["value"])
    shown = estimate(*OCTOBER_ARGUMENTS[:-2], "--rps", "400", "--capacity").stdout
    assert "gateway" in shown
    assert "requests a second in the busiest hour" in shown


def test_what_would_be_otherwise_is_what_the_script_says_too(estimate):
    october = of(OCTOBER, NOVEMBER)
    misses = [row for row in october if row.cache_status == "miss"]

    def models(what_if):
        told = json.loads(estimate(*OCTOBER_ARGUMENTS, "--days", "31", "--what-if", what_if).stdout)["estimate"]
        return told["items"][0]["usd"]["value"], told["hit_rate"]

    close(models("price=+20%")[0], cost(october) / 1e9 * 1.2)
    usd, hit_rate = models("hit_rate=0.4")
    close(usd, cost(october) / 1e9 * 0.6 * len(october) / len(misses))
    close(hit_rate, 0.4)
    mini = sum(row.usage.input_tokens * 150 + row.usage.output_tokens * 600 for row in misses) / 1e9
    close(models("model=mini")[0], mini)
    close(models("price=0.15/0.6")[0], mini)
    close(models("hit_rate=1")[0] + 1, 1)


def test_a_month_is_foretold_by_the_one_before(estimate):
    told = json.loads(estimate("--backtest", "2026-10", "--format", "json").stdout)
    close(told["actual_usd"], cost(of(OCTOBER, NOVEMBER)) / 1e9, 1e-9)
    expected = cost(of(SEPTEMBER, OCTOBER)) / len(of(SEPTEMBER, OCTOBER)) * len(of(OCTOBER, NOVEMBER)) / 1e9
    close(told["projected_usd"]["value"], expected, 1e-6)
    assert told["is_within"] is (told["projected_usd"]["p10"] <= told["actual_usd"] <= told["projected_usd"]["p90"])
    shown = estimate("--backtest", "2026-10").stdout
    assert "the month before said" in shown


def test_ranges_are_the_same_at_every_run_and_wide_where_there_is_little(estimate):
    narrow = ("--from", "2026-10-01", "--to", "2026-10-01T12:00", "--format", "json")
    first, again = (json.loads(estimate(*narrow).stdout)["estimate"] for _ in range(2))
    assert first == again
    usd = first["items"][0]["usd"]
    assert usd["p10"] <= usd["value"] * 0.7
    assert usd["p90"] >= usd["value"] * 1.3
    assert "too few to tell" in first["warnings"][0]


def test_what_is_assumed_needs_no_ledger(estimate, tmp_path):
    plot = tmp_path / "estimate.svg"
    words = "tokens_in=1000,tokens_out=200,hit_rate=0.5,price=2/10"
    shown = estimate("--assume", words, "--requests-per-day", "1000000", "--days", "1", "--plot", plot)
    assert "from what is assumed" in shown.stdout
    # Half a million times 0.2 + 0.2 cents.
    assert "2,000.00" in shown.stdout
    assert not shown.stderr
    assert ET.fromstring(plot.read_text()).tag.endswith("svg")  # noqa: S314 - our own


@pytest.mark.parametrize(
    ("arguments", "exit_code", "words"),
    [
        (("--assume", "tokens=1"), 2, "there is no 'tokens'; there are tokens_in"),
        (("--assume", "tokens_in=1"), 2, "say --requests-per-day or --rps"),
        (("--assume", "hit_rate=2", "--rps", "1"), 2, "hit_rate must be from 0 to 1"),
        (("--rps", "1", "--requests-per-day", "1"), 2, "not both"),
        (("--rps", "nan"), 2, "not below 0"),
        (("--what-if", "price=20"), 2, "such as +20%"),
        (("--what-if", "colour=red"), 2, "there is no 'colour'"),
        (("--what-if", "model=maxi"), 3, "nothing is known of a model 'maxi'"),
        (("--unit-cost", "vcpu=1"), 2, "there are vcpu_hour"),
        (("--size", "gpu_streams=0"), 2, "must be above 0"),
        (("--bench", "nowhere.json"), 2, "cannot read"),
        (("--from", "2025-01-01", "--to", "2025-02-01", "--rps", "1"), 2, "no request of that time"),
        (("--backtest", "2025-10"), 2, "no request of 2025-10"),
        (("--format", "csv"), 2, "table or json"),
    ],
)
def test_an_estimate_of_nothing_is_told(estimate, arguments, exit_code, words):
    told = estimate(*arguments, exit_code=exit_code)
    assert words in " ".join(told.output.replace("│", " ").split())
