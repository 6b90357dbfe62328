"""BudgetService through a gateway: who may do what, what is left of it, and that every process knows."""

from __future__ import annotations

import asyncio
import sqlite3
import sys
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import grpc
import pytest
from aiohttp import web
from google.protobuf import field_mask_pb2

from penstock.gateway.v1 import admin_service_pb2
from penstock.gateway.v1 import budget_service_pb2 as pb
from penstock.gateway.v1.budget_service_pb2_grpc import BudgetServiceStub

sys.path.insert(0, str(Path(__file__).parent))
from administrator import Administrator, refused  # noqa: E402

Code = grpc.StatusCode
DOLLAR = 1_000_000_000
WEBHOOK = {"url": "https://hook.example.com/", "secrets": ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"]}


class Caller:
    """A caller of BudgetService with a key; ``ask.GetBudget(name="x")`` returns the response or raises."""

    def __init__(self, channel, key):
        self._stub = BudgetServiceStub(channel)
        self._metadata = (("authorization", f"Bearer {key}"),)

    def __getattr__(self, name):
        async def call(**fields):
            request = getattr(pb, f"{name}Request")(**fields)
            return await getattr(self._stub, name)(request, metadata=self._metadata, timeout=30)

        return call


@pytest.fixture
def document(document):
    document["tenants"][0]["time_zone"] = "Asia/Kathmandu"
    document["budgets"] = [{"name": "configured", "tenant": "demo", "amount": 5, "scope": "model/fast"}]
    document["webhooks"] = {"finance": WEBHOOK, "demos": {**WEBHOOK, "tenants": ["demo"]}}
    document["budget_watch"] = {"refresh": "20ms"}
    return document


@pytest.fixture
def operator(suite):
    return Caller(suite.channel, suite.OPERATOR_KEY)


@pytest.fixture
async def keys(suite):
    """Keys of the tenant demo, by scope, and one of the tenant other."""
    ask, made = Administrator(suite.channel, suite.OPERATOR_KEY), {}
    for name, tenant, scope in (
        ("admin", "demo", admin_service_pb2.KEY_SCOPE_ADMIN),
        ("reader", "demo", admin_service_pb2.KEY_SCOPE_READ),
        ("stranger", "other", admin_service_pb2.KEY_SCOPE_ADMIN),
    ):
        key = await ask.CreateKey(tenant=tenant, scopes=[scope])
        made[name] = Caller(suite.channel, key.secret)
        made[f"{name}_id"] = key.key.id
    return made


def month(**fields):
    whole = {"tenant": "demo", "name": "month", "amount_nano_usd": 10 * DOLLAR, "alert_percents": [80]}
    return pb.Budget(**whole | fields)


def mask(*fields):
    return field_mask_pb2.FieldMask(paths=fields)


async def audit(suite):
    entries = (await Administrator(suite.channel, suite.OPERATOR_KEY).ListAuditEntries(tenant="demo")).entries
    found = [one for one in entries if one.action.startswith("budget.")]
    return [(one.action, one.target, one.outcome, dict(one.details)) for one in reversed(found)]


async def test_a_budgets_life_leaves_its_entries(suite, operator):
    made = (await operator.CreateBudget(budget=month())).budget
    assert (made.scope_kind, made.period, made.kind) == (
        pb.BUDGET_SCOPE_KIND_TENANT, pb.BUDGET_PERIOD_MONTH, pb.BUDGET_KIND_HARD,
    )  # fmt: skip
    assert (made.time_zone, made.is_operators, made.created_by) == ("Asia/Kathmandu", True, "config-operator-1")
    assert (await operator.GetBudget(tenant="demo", name="month")).budget == made
    changed = month(amount_nano_usd=20 * DOLLAR, kind=pb.BUDGET_KIND_SOFT, alert_percents=[1])
    fields = mask("amount_nano_usd", "kind")
    changed = (await operator.UpdateBudget(budget=changed, update_mask=fields)).budget
    assert (changed.amount_nano_usd, changed.kind, list(changed.alert_percents)) == (
        20 * DOLLAR, pb.BUDGET_KIND_SOFT, [80],
    )  # fmt: skip
    until = datetime.now(UTC) + timedelta(days=3)
    grant = {"tenant": "demo", "name": "month", "amount_nano_usd": DOLLAR, "until": until, "reason": "INC-7"}
    granted = (await operator.GrantGrace(**grant)).budget
    assert [(one.amount_nano_usd, one.reason, one.granted_by) for one in granted.graces] == [
        (DOLLAR, "INC-7", "config-operator-1")
    ]
    standing = (await operator.GetStanding(tenant="demo", name="month")).standing
    assert (standing.limit_nano_usd, standing.spent_nano_usd) == (21 * DOLLAR, 0)
    # The first of a month at midnight in Kathmandu is 18:15 the day before.
    resets = standing.resets_at.ToDatetime(UTC)
    assert (resets.hour, resets.minute, (resets + timedelta(hours=5, minutes=45)).day) == (18, 15, 1)
    await operator.DeleteBudget(tenant="demo", name="month")
    code, reason, _ = await refused(operator.GetBudget(tenant="demo", name="month"))
    assert (code, reason) == (Code.NOT_FOUND, "RESOURCE_NOT_FOUND")
    again = (await operator.CreateBudget(budget=month())).budget
    assert (again.id, list(again.graces)) == (made.id, [])
    before, after = "tenant $10.00 per month hard alerts 80", "tenant $20.00 per month soft alerts 80"
    assert await audit(suite) == [
        ("budget.create", "month", "ok", {"after": before}),
        ("budget.update", "month", "ok", {"before": before, "after": after}),
        ("budget.grant", "month", "ok", {
            "amount": "$1.00", "before": "$20.00", "after": "$21.00", "reason": "INC-7", "until": until.isoformat(),
        }),
        ("budget.delete", "month", "ok", {"before": after}),
        ("budget.create", "month", "ok", {"after": before}),
    ]  # fmt: skip


async def test_an_operators_budget_is_an_operators_alone(suite, operator, keys):
    await operator.CreateBudget(budget=month())
    admin, until = keys["admin"], datetime.now(UTC) + timedelta(days=1)
    for attempt in (
        admin.UpdateBudget(budget=month(amount_nano_usd=DOLLAR * 99), update_mask=mask("amount_nano_usd")),
        admin.DeleteBudget(name="month"),
        admin.GrantGrace(name="month", amount_nano_usd=1, until=until, reason="mine"),
        admin.GrantGrace(name="configured", amount_nano_usd=1, until=until, reason="mine"),
    ):
        code, reason, _ = await refused(attempt)
        assert (code, reason) == (Code.PERMISSION_DENIED, "SCOPE_MISSING")
    assert (await operator.GetBudget(tenant="demo", name="month")).budget.amount_nano_usd == 10 * DOLLAR
    own = (await admin.CreateBudget(budget=month(tenant="", name="own", webhook="demos"))).budget
    assert (own.tenant, own.is_operators) == ("demo", False)
    raised = month(tenant="", name="own", amount_nano_usd=DOLLAR * 99)
    await admin.UpdateBudget(budget=raised, update_mask=mask("amount_nano_usd"))
    await admin.GrantGrace(name="own", amount_nano_usd=1, until=until, reason="mine")
    assert [outcome for _, _, outcome, _ in await audit(suite)].count("scope_missing") == 4


async def test_what_stands_in_the_configuration_is_changed_there_and_granted_grace_here(operator):
    for attempt, reason in (
        (operator.CreateBudget(budget=month(name="configured")), "RESOURCE_EXISTS"),
        (operator.DeleteBudget(tenant="demo", name="configured"), "RESOURCE_STATE"),
    ):
        assert (await refused(attempt))[1] == reason
    until = datetime.now(UTC) + timedelta(days=1)
    granted = await operator.GrantGrace(
        tenant="demo", name="configured", amount_nano_usd=DOLLAR, until=until, reason="x"
    )
    assert (granted.budget.is_configured, granted.budget.scope_name, len(granted.budget.graces)) == (True, "fast", 1)
    listed = (await operator.ListBudgets(tenant="demo")).budgets
    assert [(one.budget.name, one.standing.limit_nano_usd) for one in listed] == [("configured", 6 * DOLLAR)]


async def test_tenants_see_their_own_and_readers_change_nothing(operator, keys):
    await operator.CreateBudget(budget=month())
    reader, stranger = keys["reader"], keys["stranger"]
    assert [one.budget.name for one in (await reader.ListBudgets()).budgets] == ["configured", "month"]
    assert (await reader.GetStanding(name="month")).standing.remaining_nano_usd == 10 * DOLLAR
    assert (await refused(reader.DeleteBudget(name="month")))[0] == Code.PERMISSION_DENIED
    assert (await refused(stranger.GetBudget(name="month")))[0] == Code.NOT_FOUND
    assert (await refused(stranger.GetBudget(tenant="demo", name="month")))[0] == Code.PERMISSION_DENIED
    assert list((await stranger.ListBudgets()).budgets) == []
    assert (await refused(stranger.ExplainLimits(key_id=keys["admin_id"], model="fast")))[0] == Code.NOT_FOUND
    assert (await refused(stranger.CreateBudget(budget=month(tenant="", webhook="demos"))))[0] == Code.INVALID_ARGUMENT
    page = await operator.ListBudgets(page_size=1)
    assert [one.budget.name for one in page.budgets] == ["configured"]
    rest = await operator.ListBudgets(page_size=1, page_token=page.next_page_token)
    assert ([one.budget.name for one in rest.budgets], rest.next_page_token) == (["month"], "")


async def test_a_teams_key_sees_its_teams_budgets_and_changes_none(suite, operator):
    ask, keys, ids = Administrator(suite.channel, suite.OPERATOR_KEY), {}, {}
    for team in ("red", "blue"):
        await ask.CreateTeam(tenant="demo", name=team)
        user = (await ask.CreateUser(tenant="demo", name=team, role=admin_service_pb2.USER_ROLE_MEMBER, team=team)).user
        key = await ask.CreateKey(tenant="demo", scopes=[admin_service_pb2.KEY_SCOPE_ADMIN], team=team)
        keys[team], ids[team] = Caller(suite.channel, key.secret), (key.key.id, user.id)
        scope = {"scope_kind": pb.BUDGET_SCOPE_KIND_TEAM, "scope_name": team}
        await operator.CreateBudget(budget=month(name=f"{team}-month", **scope))
    whole = Caller(
        suite.channel, (await ask.CreateKey(tenant="demo", scopes=[admin_service_pb2.KEY_SCOPE_ADMIN])).secret
    )
    await whole.CreateBudget(budget=month(tenant=""))
    red, until = keys["red"], datetime.now(UTC) + timedelta(days=1)
    assert [one.budget.name for one in (await red.ListBudgets()).budgets] == ["red-month"]
    assert (await red.GetStanding(name="red-month")).standing.limit_nano_usd == 10 * DOLLAR
    for name in ("blue-month", "month", "configured"):
        for attempt in (red.GetBudget(name=name), red.GetStanding(name=name)):
            assert (await refused(attempt))[0] == Code.NOT_FOUND
    for attempt in (
        red.CreateBudget(budget=month(tenant="", name="own")),
        red.UpdateBudget(budget=month(tenant="", amount_nano_usd=DOLLAR * 99), update_mask=mask("amount_nano_usd")),
        red.DeleteBudget(name="month"),
        red.GrantGrace(name="month", amount_nano_usd=1, until=until, reason="mine"),
    ):
        code, reason, error = await refused(attempt)
        assert (code, reason) == (Code.PERMISSION_DENIED, "RIGHTS_EXCEEDED")
        assert "budgets are made and changed with one that is of none" in error.details()
    assert (await whole.GetBudget(name="month")).budget.amount_nano_usd == 10 * DOLLAR
    # Whichever team is named, a key's own is looked at.
    for explained in (
        red.ExplainLimits(key_id=ids["red"][0], team="blue", model="safe"),
        red.ExplainLimits(user_id=ids["red"][1], model="safe"),
        whole.ExplainLimits(key_id=ids["red"][0], model="safe"),
    ):
        assert {one.name for one in (await explained).limits} >= {"red-month", "month"}
    for asked in (
        {"key_id": ids["blue"][0]},
        {"key_id": "config-demo-1"},
        {"team": "blue"},
        {"user_id": ids["blue"][1]},
        {"user_id": "nobody"},
    ):
        code, reason, _ = await refused(red.ExplainLimits(**asked, model="safe"))
        assert (code, reason) == (Code.PERMISSION_DENIED, "SCOPE_MISSING"), asked


WRONG = [
    ({"name": ""}, "budget.name"),
    ({"name": "a b"}, "budget.name"),
    ({"name": "x" * 65}, "budget.name"),
    ({"amount_nano_usd": -1}, "budget.amount_nano_usd"),
    ({"amount_nano_usd": 2**63 - 1}, "budget.amount_nano_usd"),
    ({"scope_kind": pb.BUDGET_SCOPE_KIND_TEAM}, "budget.scope_name"),
    ({"scope_name": "x"}, "budget.scope_name"),
    ({"scope_kind": pb.BUDGET_SCOPE_KIND_TEAM, "scope_name": "a\x00"}, "budget.scope_name"),
    ({"scope_kind": pb.BUDGET_SCOPE_KIND_USER, "scope_name": "ann@example.com"}, "budget.scope_name"),
    ({"scope_kind": 77}, "budget.scope_kind"),
    ({"period": 77}, "budget.period"),
    ({"kind": 77}, "budget.kind"),
    ({"alert_percents": [0]}, "budget.alert_percents"),
    ({"alert_percents": range(1, 18)}, "budget.alert_percents"),
    ({"webhook": "nobody"}, "budget.webhook"),
    ({"tenant": ""}, "tenant"),
]


async def test_what_a_budget_cannot_be_is_said_by_its_field(operator):
    for fields, field in WRONG:
        code, _, error = await refused(operator.CreateBudget(budget=month(**fields)))
        assert code == Code.INVALID_ARGUMENT, fields
        assert field in error.details()


async def test_an_update_names_what_it_changes(operator):
    await operator.CreateBudget(budget=month())
    for paths in ((), ("name", "tenant"), ("scope_name",), ("amount_nano_usd", "id")):
        code, _, error = await refused(operator.UpdateBudget(budget=month(), update_mask=mask(*paths)))
        assert (code, "update_mask names some of" in error.details()) == (Code.INVALID_ARGUMENT, True)
    assert (await refused(operator.CreateBudget(budget=month())))[1] == "RESOURCE_EXISTS"


async def test_what_is_spent_is_seen_and_explained(suite, upstream, operator, keys):
    await operator.CreateBudget(budget=month(amount_nano_usd=100_000))
    answered = await suite.ask(max_tokens=8)
    assert answered.status == 200
    cost = 0
    while not cost:
        standing = (await operator.GetStanding(tenant="demo", name="month")).standing
        cost = standing.spent_nano_usd
        await asyncio.sleep(0.01)
    assert standing.remaining_nano_usd == 100_000 - cost
    assert [one.budget.name for one in (await operator.ListBudgets(over_percent=1)).budgets] == ["month"]
    told = await keys["reader"].ExplainLimits(key_id=keys["admin_id"], model="fast", feature="rag")
    assert (told.tenant, told.key_id) == ("demo", keys["admin_id"])
    assert [(one.source, one.scope, one.binds_first) for one in told.limits][:2] == [
        ("budget month", "tenant", True),
        ("budget configured", "model fast", False),
    ]
    assert (told.limits[0].used, told.limits[0].remaining) == (cost, 100_000 - cost)
    assert "configured" not in [one.name for one in (await operator.ExplainLimits(tenant="demo", model="safe")).limits]
    for asked, code in (
        ({"model": "fast"}, Code.INVALID_ARGUMENT),
        ({"tenant": "demo"}, Code.INVALID_ARGUMENT),
        ({"tenant": "nobody", "model": "fast"}, Code.NOT_FOUND),
        ({"key_id": "unknownunknown", "model": "fast"}, Code.NOT_FOUND),
    ):
        assert (await refused(operator.ExplainLimits(**asked)))[0] == code


async def test_what_another_process_makes_is_known_here(suite, operator):
    """Another process, such as the command over the same database, writes a row; nobody tells this one."""
    made = (await operator.CreateBudget(budget=month())).budget

    def change():
        with closing(sqlite3.connect(suite.state / "penstock.db", timeout=60)) as database, database:
            database.execute("UPDATE budgets SET amount_nano_usd = 7")

    # Beside the loop, on which the gateway may be about to end a transaction of its own.
    await asyncio.to_thread(change)
    limit = made.amount_nano_usd
    while limit != 7:
        told = await operator.ExplainLimits(tenant="demo", model="safe")
        limit = next(one.amount for one in told.limits if one.name == "month")
        await asyncio.sleep(0.01)


async def test_a_gateway_tells_a_receiver_of_what_is_spent(serve, document):
    came, bodies = asyncio.Event(), []

    async def receive(request):
        bodies.append((request.headers["webhook-signature"], await request.json()))
        came.set()
        return web.Response(status=204)

    app = web.Application()
    app.router.add_post("/hook", receive)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
    document["webhooks"]["inside"] = {**WEBHOOK, "url": url, "allow_private": True}
    tiny = {"name": "tiny", "tenant": "demo", "amount": "0.000000001", "kind": "soft"}
    document["budgets"].append({**tiny, "alerts": [100], "webhook": "inside"})
    document["budget_watch"]["every"] = "20ms"
    document["webhook_delivery"] = {"every": "20ms"}
    suite = await serve()
    assert (await suite.ask()).status == 200
    await came.wait()
    await runner.cleanup()
    ((signature, body),) = bodies
    assert signature.startswith("v1,")
    assert (body["type"], body["data"]["budget"], body["data"]["threshold"]) == ("budget.threshold", "tiny", "100")
    assert int(body["data"]["spent_nano_usd"]) > 1
