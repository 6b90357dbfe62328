"""Teams between a tenant and its users: what their keys are of, what such a key may make, and what archiving refuses."""

from __future__ import annotations

import sys
from pathlib import Path

import grpc
import pytest
from google.protobuf import field_mask_pb2

from penstock.gateway.v1 import admin_service_pb2 as pb
from penstock.gateway.v1 import model_service_pb2
from penstock.gateway.v1.model_service_pb2_grpc import ModelServiceStub

sys.path.insert(0, str(Path(__file__).parent))
from administrator import Administrator, refused  # noqa: E402

Code = grpc.StatusCode
ADMIN = [pb.KEY_SCOPE_ADMIN]


@pytest.fixture
def operator(suite):
    return Administrator(suite.channel, suite.OPERATOR_KEY)


@pytest.fixture
async def acme(suite, operator):
    """The administrator of a created tenant with the teams search and ads."""
    await operator.CreateTenant(name="acme", tier="pro")
    for team in ("search", "ads"):
        await operator.CreateTeam(tenant="acme", name=team)
    created = await operator.CreateKey(tenant="acme", scopes=ADMIN)
    return Administrator(suite.channel, created.secret)


async def is_let_in(suite, key):
    metadata = (("authorization", f"Bearer {key}"),)
    try:
        await ModelServiceStub(suite.channel).ListModels(
            model_service_pb2.ListModelsRequest(), metadata=metadata, timeout=30
        )
    except grpc.aio.AioRpcError as error:
        if error.code() is not Code.UNAUTHENTICATED:
            raise
        return False
    return True


async def test_key_is_of_its_users_team_and_stays_there_when_the_user_leaves(acme):
    ada = (await acme.CreateUser(name="ada", role=pb.USER_ROLE_MEMBER, team="search")).user
    made = (await acme.CreateKey(user_id=ada.id)).key
    moved = await acme.UpdateUser(
        user=pb.User(id=ada.id, team="ads"), update_mask=field_mask_pb2.FieldMask(paths=["team"])
    )
    later = (await acme.CreateKey(user_id=ada.id)).key
    listed = {key.id: key.team for key in (await acme.ListKeys(user_id=ada.id)).keys}
    assert (ada.team, moved.user.team, moved.user.role) == ("search", "ads", pb.USER_ROLE_MEMBER)
    assert listed == {made.id: "search", later.id: "ads"}
    rotated = await acme.RotateKey(id=made.id)
    assert rotated.key.team == "search"
    assert [key.id for key in (await acme.ListKeys(team="ads")).keys] == [later.id]


async def test_key_can_be_of_another_team_than_its_user_and_of_one_without_a_user(acme):
    ada = (await acme.CreateUser(name="ada", role=pb.USER_ROLE_MEMBER, team="search")).user
    assert (await acme.CreateKey(user_id=ada.id, team="ads")).key.team == "ads"
    assert (await acme.CreateKey(team="ads")).key.team == "ads"
    assert (await acme.CreateKey()).key.team == ""


@pytest.mark.parametrize("team", ["unknown", "a b", "x" * 200])
async def test_team_that_is_not_there_is_refused(acme, team):
    for call in (
        acme.CreateKey(team=team),
        acme.CreateUser(name="ada", role=pb.USER_ROLE_MEMBER, team=team),
        acme.ArchiveTeam(name=team),
    ):
        assert (await refused(call))[:2] == (Code.NOT_FOUND, "RESOURCE_NOT_FOUND")


async def test_team_of_another_tenant_is_not_there(operator, acme):
    await operator.CreateTeam(tenant="other", name="theirs")
    assert (await refused(acme.CreateKey(team="theirs")))[0] is Code.NOT_FOUND
    assert (await refused(acme.ArchiveTeam(tenant="other", name="theirs")))[0] is Code.PERMISSION_DENIED
    assert [team.name for team in (await acme.ListTeams()).teams] == ["ads", "search"]
    everybodys = (await operator.ListTeams(page_size=2)).teams
    assert [(team.tenant, team.name) for team in everybodys] == [("acme", "ads"), ("acme", "search")]


async def test_teams_are_listed_in_pages(operator, acme):
    await operator.CreateTeam(tenant="other", name="ads")
    found, token = [], ""
    while True:
        page = await operator.ListTeams(page_size=1, page_token=token)
        found += [(team.tenant, team.name) for team in page.teams]
        token = page.next_page_token
        if not token:
            break
    assert found == [("acme", "ads"), ("acme", "search"), ("other", "ads")]


async def test_archived_teams_keys_are_refused_until_it_is_restored(suite, operator, acme):
    key = (await acme.CreateKey(team="search")).secret
    other = (await acme.CreateKey(team="ads")).secret
    assert (await acme.ArchiveTeam(name="search")).team.HasField("archived_at")
    # Never asked before, so it is looked up now.
    assert (await is_let_in(suite, key), await is_let_in(suite, other)) == (False, True)
    assert (await refused(acme.CreateKey(team="search")))[:2] == (Code.FAILED_PRECONDITION, "RESOURCE_STATE")
    assert (await refused(acme.CreateTeam(name="search")))[0] is Code.ALREADY_EXISTS
    assert not (await acme.RestoreTeam(name="search")).team.HasField("archived_at")
    again = (await acme.CreateKey(team="search")).secret
    assert await is_let_in(suite, again)
    actions = [entry.action for entry in (await operator.ListAuditEntries(tenant="acme")).entries]
    assert {"team.create", "team.archive", "team.restore"} <= set(actions)


async def test_key_of_a_team_makes_nothing_for_others(suite, operator, acme):
    lead = Administrator(suite.channel, (await acme.CreateKey(team="search", scopes=ADMIN)).secret)
    ads = (await acme.CreateUser(name="ada", role=pb.USER_ROLE_MEMBER, team="ads")).user
    assert (await lead.CreateKey()).key.team == "search"
    assert (await lead.CreateUser(name="bob", role=pb.USER_ROLE_MEMBER)).user.team == "search"
    key_of_ads = (await acme.CreateKey(team="ads")).key
    key_of_none = (await acme.CreateKey()).key
    for call in (
        lead.CreateKey(team="ads"),
        lead.CreateKey(user_id=ads.id),
        lead.CreateUser(name="eve", role=pb.USER_ROLE_MEMBER, team="ads"),
        lead.UpdateUser(user=pb.User(id=ads.id, team="ads")),
        lead.RotateKey(id=key_of_ads.id),
        lead.RotateKey(id=key_of_none.id),
        lead.CreateTeam(name="third"),
        lead.ArchiveTeam(name="search"),
        lead.RestoreTeam(name="ads"),
    ):
        assert (await refused(call))[:2] == (Code.PERMISSION_DENIED, "RIGHTS_EXCEEDED")
    assert (await operator.CreateKey(tenant="acme", team="ads")).key.team == "ads"


async def test_operators_key_has_no_team(operator):
    call = operator.CreateKey(team="search", scopes=[pb.KEY_SCOPE_OPERATOR])
    assert (await refused(call))[:2] == (Code.INVALID_ARGUMENT, "INVALID_REQUEST")


@pytest.mark.parametrize(
    ("scopes", "prefix", "kind"),
    [
        (["INFERENCE"], "psk_", pb.KEY_KIND_INFERENCE),
        (["INFERENCE", "READ"], "psk_", pb.KEY_KIND_INFERENCE),
        (["READ"], "psa_", pb.KEY_KIND_ADMINISTRATIVE),
        (["ADMIN", "INFERENCE"], "psa_", pb.KEY_KIND_ADMINISTRATIVE),
        (["OPERATOR"], "psa_", pb.KEY_KIND_ADMINISTRATIVE),
    ],
)
async def test_key_says_what_it_is(suite, operator, acme, scopes, prefix, kind):
    tenant = "" if scopes == ["OPERATOR"] else "acme"
    made = await operator.CreateKey(tenant=tenant, scopes=[pb.KeyScope.Value(f"KEY_SCOPE_{name}") for name in scopes])
    assert (made.secret[:4], made.key.kind) == (prefix, kind)
    rotated = await operator.RotateKey(id=made.key.id)
    assert (rotated.secret[:4], rotated.key.kind) == (prefix, kind)


async def test_service_account_has_keys_of_its_own_kind(suite, acme):
    made = await acme.CreateUser(name="ci", role=pb.USER_ROLE_ADMIN, team="ads", kind=pb.USER_KIND_SERVICE_ACCOUNT)
    assert made.user.kind == pb.USER_KIND_SERVICE_ACCOUNT
    key = await acme.CreateKey(user_id=made.user.id)
    assert (key.secret[:4], key.key.kind, key.key.team) == ("pss_", pb.KEY_KIND_SERVICE_ACCOUNT, "ads")
    assert await is_let_in(suite, key.secret)
    rotated = await acme.RotateKey(id=key.key.id)
    assert (rotated.secret[:4], await is_let_in(suite, rotated.secret)) == ("pss_", True)
    assert (await refused(acme.CreateUser(name="x", role=pb.USER_ROLE_ADMIN, kind=9)))[0] is Code.INVALID_ARGUMENT


async def test_administrators_key_is_told_what_it_is_where_models_are_asked(suite, operator, acme):
    key = (await acme.CreateKey(scopes=ADMIN)).secret
    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await is_let_in(suite, key)
    assert failed.value.code() is Code.PERMISSION_DENIED
    assert "administrative key" in failed.value.details()


async def test_tenant_keeps_its_time_zone(operator):
    made = (await operator.CreateTenant(name="acme", time_zone="Asia/Kathmandu")).tenant
    assert made.time_zone == "Asia/Kathmandu"
    moved = await operator.UpdateTenant(tenant=pb.Tenant(name="acme", time_zone="Europe/Berlin"))
    assert (moved.tenant.time_zone, moved.tenant.tier) == ("Europe/Berlin", "free")
    assert (await operator.GetTenant(name="acme")).tenant.time_zone == "Europe/Berlin"
    for zone in ("Mars/Olympus", "../etc/passwd", "x" * 999):
        call = operator.UpdateTenant(tenant=pb.Tenant(name="acme", time_zone=zone))
        assert (await refused(call))[:2] == (Code.INVALID_ARGUMENT, "INVALID_REQUEST")


async def test_revoked_subjects_are_listed_and_restored(operator, acme):
    issuer = "https://login.example.com"
    await acme.RevokeSubject(issuer=issuer, subject="ada")
    await acme.RevokeSubject(subject="eve|1")
    first = (await acme.RevokeSubject(subject="eve|1")).subject
    found, token = [], ""
    while True:
        page = await acme.ListRevokedSubjects(page_size=1, page_token=token)
        found += [(each.tenant, each.issuer, each.subject) for each in page.subjects]
        token = page.next_page_token
        if not token:
            break
    assert found == [("acme", "", "eve|1"), ("acme", issuer, "ada")]
    assert first.HasField("revoked_at")
    await acme.RestoreSubject(subject="eve|1")
    assert (await refused(acme.RestoreSubject(subject="eve|1")))[0] is Code.NOT_FOUND
    assert (await refused(acme.RevokeSubject(tenant="demo", subject="x")))[0] is Code.PERMISSION_DENIED
    assert [each.subject for each in (await operator.ListRevokedSubjects()).subjects] == ["ada"]
