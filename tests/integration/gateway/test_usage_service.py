"""UsageService on sockets: over gRPC, over REST, and in OpenAI's buckets by OpenAI's own SDK."""

from __future__ import annotations

import asyncio
import json
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import grpc
import httpx
import openai
import pytest

sys.path.insert(0, str(Path(__file__).parent))
from administrator import refused  # noqa: E402
from test_admin_rest import call, running_edge  # noqa: E402

from penstock.gateway.v1 import usage_service_pb2 as pb  # noqa: E402
from penstock.gateway.v1.usage_service_pb2_grpc import UsageServiceStub  # noqa: E402
from penstock_common.llm.types import Usage  # noqa: E402
from penstock_common.sql.database import open_database  # noqa: E402
from penstock_gateway.adapters.sql.ledger_rows import ledger_table  # noqa: E402
from penstock_gateway.domain.life.settlement import LedgerRow  # noqa: E402

Code = grpc.StatusCode
DAY = timedelta(days=1)
BEGIN = datetime(2026, 10, 1, tzinfo=UTC)
OCTOBER = {"since": "2026-10-01T00:00:00Z", "until": "2026-11-01T00:00:00Z"}


def bill(number, day=0, **fields):
    usual = {
        "generation_id": f"g{number}",
        "request_id": f"r{number}",
        "created_at": BEGIN + day * DAY,
        "tenant": "demo",
        "key_id": "k1",
        "surface": "openai",
        "requested_model": "fast",
        "upstream": "first",
        "model": "m1",
        "outcome": "ok",
        "finish_reason": "stop",
        "usage": Usage(input_tokens=1000, output_tokens=50, cached_input_tokens=400, cache_write_input_tokens=100),
        "cost_nano_usd": 1_500_000_001,
        "attempts": 1,
    }
    return LedgerRow(**{**usual, **fields})


@pytest.fixture
async def billed(suite):
    """A suite whose ledger has three days of October."""
    rows = [
        bill(1, 0),
        bill(2, 0, requested_model="safe", key_id="k2", tags={"env": "prod"}),
        bill(3, 1, cost_nano_usd=2),
        bill(4, 2, finish_reason="", usage=Usage(input_tokens=7), requested_model="vectors", cost_nano_usd=70),
        bill(5, 2, tenant="other", cost_nano_usd=10**12),
    ]
    async with open_database(f"sqlite:///{suite.state}/penstock.db") as engine, ledger_table(engine) as table:
        await table.write(rows)
    return suite


def asking(suite, key, name="QueryUsage"):
    stub = UsageServiceStub(suite.channel)

    async def ask(**fields):
        request = getattr(pb, f"{name}Request")(**fields)
        return await getattr(stub, name)(request, metadata=(("authorization", f"Bearer {key}"),), timeout=30)

    return ask


async def test_an_operator_sees_all_tenants_and_a_tenant_s_key_its_own(billed):
    told = await asking(billed, billed.OPERATOR_KEY)(by=["tenant"], filter={"until": BEGIN + 30 * DAY})
    assert {line.groups["tenant"]: line.sums.cost_nano_usd for line in told.lines} == {
        "demo": 3_000_000_074,
        "other": 10**12,
    }
    code, reason, _ = await refused(asking(billed, billed.KEY)())
    assert (code, reason) == (Code.PERMISSION_DENIED, "SCOPE_MISSING")


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"by": ["colour"]}, "by"),
        ({"by": ["day", "month"]}, "by"),
        ({"by": ["tag:"]}, "by"),
        ({"by": ["tenant", "team", "user", "key", "feature", "model", "task"]}, "by"),
        ({"time_zone": "Mars/Olympus"}, "time zone"),
        ({"time_zone": "../etc/passwd"}, "time zone"),
        ({"filter": {"since": BEGIN, "until": BEGIN}}, "until"),
        ({"filter": {"tenant": "a b"}}, "tenant"),
        ({"filter": {"model": ["x" * 600]}}, "filter.model"),
        ({"by": ["minute"], "filter": {"since": BEGIN, "until": BEGIN + 40 * DAY}}, "1500 times a minute"),
        ({"filter": {"tag": ["env"]}}, "KEY=VALUE"),
        ({"page_size": -1}, "page_size"),
    ],
)
async def test_what_cannot_be_meant_is_said(billed, fields, said):
    code, _, error = await refused(asking(billed, billed.OPERATOR_KEY)(**fields))
    assert code is Code.INVALID_ARGUMENT
    assert said in error.details()


async def test_days_have_their_bounds_and_rows_nothing_of_what_was_said(billed):
    told = await asking(billed, billed.OPERATOR_KEY)(
        by=["day"], time_zone="America/New_York", filter={"tenant": "demo", "until": BEGIN + 30 * DAY}
    )
    days = [(line.start.ToDatetime(), line.end.ToDatetime(), line.sums.requests) for line in told.lines]
    assert days[0] == (datetime(2026, 9, 30, 4), datetime(2026, 10, 1, 4), 2)
    listed = await asking(billed, billed.OPERATOR_KEY, "ListRequests")(filter={"tag": ["env=prod"]}, page_size=1)
    (row,) = listed.requests
    assert (row.generation_id, row.key, dict(row.tags), row.sums.cost_nano_usd) == (
        "g2", "k2", {"env": "prod"}, 1_500_000_001,
    )  # fmt: skip
    assert (row.kind, row.operation, listed.next_page_token) == ("charge", "chat", "")


async def test_rest_says_the_same_in_json(billed):
    async with running_edge(billed) as session:
        query = "by=requested_model&by=month&filter.tenant=demo&filter.since=2026-10-01T00:00:00Z&page_size=2"
        status, body = await call(session, "GET", f"/api/v1/usage?{query}", billed.OPERATOR_KEY)
        assert status == 200
        assert [line["groups"] for line in body["lines"]] == [{"requested_model": "fast"}, {"requested_model": "safe"}]
        assert body["lines"][0]["sums"]["cost_nano_usd"] == "1500000003"
        more = f"/api/v1/usage?{query}&page_token={body['next_page_token']}"
        status, body = await call(session, "GET", more, billed.OPERATOR_KEY)
        assert (status, [line["groups"] for line in body["lines"]]) == (200, [{"requested_model": "vectors"}])
        path = "/api/v1/usage/requests?filter.tag=env%3Dprod"
        status, body = await call(session, "GET", path, billed.OPERATOR_KEY)
        assert status == 200, body
        assert body["requests"][0]["generation_id"] == "g2"


async def test_a_request_is_in_the_report_once_its_row_is_written(suite):
    await suite.ask(headers={"x-penstock-tags": "env=test"})
    ask = asking(suite, suite.OPERATOR_KEY)
    while not (told := await ask(by=["requested_model"], filter={"tenant": "demo"})).lines:
        await asyncio.sleep(0)
    (line,) = told.lines
    assert (line.groups["requested_model"], line.sums.requests, line.sums.errors) == ("fast", 1, 0)


# OpenAI's buckets


@pytest.fixture
async def sdk(billed):
    """OpenAI's SDK with an operator's key."""
    transport = httpx.AsyncHTTPTransport(uds=billed.http_socket)
    async with httpx.AsyncClient(transport=transport) as http:
        yield openai.AsyncOpenAI(
            api_key="unused",
            admin_api_key=billed.OPERATOR_KEY,
            base_url="http://penstock/v1",
            http_client=http,
            max_retries=0,
        ).admin.organization.usage


START = int(BEGIN.timestamp())


async def test_completions_come_in_buckets_of_days(sdk):
    page = await sdk.completions(start_time=START, end_time=START + 3 * 86400, group_by=["model", "api_key_id"])
    assert (page.object, page.has_more, page.next_page) == ("page", False, None)
    assert [(one.start_time, one.end_time) for one in page.data] == [
        (START + day * 86400, START + (day + 1) * 86400) for day in range(3)
    ]
    first = page.data[0].results
    assert [(one.model, one.api_key_id, one.num_model_requests) for one in first] == [
        ("fast", "k1", 1),
        ("safe", "k2", 1),
    ]
    assert (first[0].input_tokens, first[0].input_cached_tokens, first[0].input_uncached_tokens) == (1000, 400, 500)
    assert (first[0].output_tokens, first[0].project_id) == (50, None)


async def test_embeddings_are_apart_and_pages_follow(sdk):
    page = await sdk.embeddings(start_time=START, end_time=START + 3 * 86400, limit=2)
    assert [one.results for one in page.data] == [[], []]
    assert page.has_more
    page = await sdk.embeddings(start_time=START, end_time=START + 3 * 86400, limit=2, page=page.next_page)
    assert [one.results[0].input_tokens for one in page.data] == [7]
    assert not page.has_more


async def test_costs_are_in_dollars_by_what_they_are_for(sdk):
    page = await sdk.costs(start_time=START, end_time=START + 86400, group_by=["line_item"])
    ((fast, safe),) = [one.results for one in page.data]
    assert (fast.line_item, fast.amount.value, fast.amount.currency) == ("fast", 1.500000001, "usd")
    assert safe.line_item == "safe"
    hours = await sdk.completions(start_time=START, end_time=START + 7200, bucket_width="1h", models=["safe"])
    assert [sum(one.num_model_requests for one in hour.results) for hour in hours.data] == [1, 0]


@pytest.mark.parametrize(
    ("query", "parameter"),
    [
        ("", "start_time"),
        ("start_time=x", "start_time"),
        ("start_time=99999999999999", "start_time"),
        ("start_time=10&end_time=10", "end_time"),
        ("start_time=10&bucket_width=2d", "bucket_width"),
        ("start_time=10&limit=32", "limit"),
        ("start_time=10&group_by[]=batch", "group_by"),
        ("start_time=10&batch=true", "batch"),
        ("start_time=10&page=elsewhere", "page"),
        ("start_time=10&start_time=11", "start_time"),
    ],
)
async def test_a_query_that_means_nothing_is_told_in_openai_s_words(billed, query, parameter):
    head = {"authorization": f"Bearer {billed.OPERATOR_KEY}"}
    answered = await billed.request("GET", f"/v1/organization/usage/completions?{query}", headers=head)
    error = json.loads(answered.body)["error"]
    assert (answered.status, error["type"]) == (400, "invalid_request_error")
    assert parameter in error["message"]


async def test_a_key_for_models_sees_no_organization(billed):
    head = {"authorization": f"Bearer {billed.KEY}"}
    answered = await billed.request("GET", f"/v1/organization/costs?start_time={START}", headers=head)
    assert answered.status == 403
