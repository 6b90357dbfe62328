"""AdminService on a socket: who may call it, the walls between tenants, and what keys are worth afterwards."""

from __future__ import annotations

import asyncio
import importlib
import pkgutil
import random
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import grpc
import pytest
from google.protobuf import descriptor_pool, field_mask_pb2, message_factory
from google.protobuf.empty_pb2 import Empty
from google.rpc import error_details_pb2, status_pb2
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

import penstock.gateway.v1
import penstock_gateway.settings
from penstock.gateway.v1 import admin_service_pb2 as pb
from penstock.gateway.v1 import model_service_pb2
from penstock.gateway.v1.model_service_pb2_grpc import ModelServiceStub
from penstock_common.background import background_work
from penstock_common.configuration import Configuration
from penstock_common.rpc.method import UnaryMethod
from penstock_common.rpc.protobuf import same
from penstock_common.rpc.server import listening
from penstock_common.service import Service
from penstock_common.telemetry.trace_context import TraceStarter
from penstock_gateway.domain.access.authentication import Authenticator
from penstock_gateway.domain.access.policy import POLICIES
from penstock_gateway.domain.life.door import Capacity, Door
from penstock_gateway.domain.life.refusals import Refusals
from penstock_gateway.surfaces.arrival import Reception, Timeouts
from penstock_gateway.surfaces.client_address import ClientAddresses
from penstock_gateway.surfaces.grpc.arrival import PolicyGuard

sys.path.insert(0, str(Path(__file__).parent))
from administrator import Administrator, refused  # noqa: E402

Code = grpc.StatusCode


def methods(*names):
    """Return the descriptors of the services' methods, by their path."""
    found = {}
    for module in pkgutil.iter_modules(penstock.gateway.v1.__path__):
        if module.name.endswith("_pb2"):
            descriptor = importlib.import_module(f"penstock.gateway.v1.{module.name}").DESCRIPTOR
            for service in descriptor_pool.Default().FindFileByName(descriptor.name).services_by_name.values():
                for method in service.methods:
                    if service.name in names:
                        found[f"/{service.full_name}/{method.name}"] = method
    return found


ADMINISTRATIVE = methods(
    "AdminService",
    "PromptService",
    "StatusService",
    "ExperimentService",
    "LedgerService",
    "BudgetService",
    "WebhookService",
)
PUBLIC = {
    **ADMINISTRATIVE,
    **methods(
        "ChatService",
        "ModelService",
        "EmbeddingService",
        "FeedbackService",
        "KnowledgeService",
        "UsageService",
        "JobService",
        "ReviewService",
    ),
}


@pytest.fixture
def operator(suite):
    return Administrator(suite.channel, suite.OPERATOR_KEY)


@pytest.fixture
async def acme(suite, operator):
    """The administrator of a created tenant."""
    await operator.CreateTenant(name="acme", tier="pro")
    created = await operator.CreateKey(tenant="acme", scopes=[pb.KEY_SCOPE_ADMIN])
    return Administrator(suite.channel, created.secret)


async def models_for(suite, key):
    metadata = (("authorization", f"Bearer {key}"),)
    listed = await ModelServiceStub(suite.channel).ListModels(
        model_service_pb2.ListModelsRequest(), metadata=metadata, timeout=30
    )
    return [model.name for model in listed.models]


async def is_let_in(suite, key):
    try:
        await models_for(suite, key)
    except grpc.aio.AioRpcError as error:
        if error.code() is not Code.UNAUTHENTICATED:
            raise
        return False
    return True


async def refusal_of(suite, key):
    return (await refused(models_for(suite, key)))[:2]


def raw_call(suite, method, path, key):
    call = suite.channel.unary_stream if method.server_streaming else suite.channel.unary_unary
    request = message_factory.GetMessageClass(method.input_type)()
    running = call(path, request_serializer=lambda message: message.SerializeToString())(
        request, metadata=(("authorization", f"Bearer {key}"),) if key else (), timeout=30
    )
    return running.read() if method.server_streaming else running


# Default deny


@pytest.mark.parametrize("path", ADMINISTRATIVE)
async def test_inference_key_is_denied_every_administrative_method(suite, path):
    code, reason, _ = await refused(raw_call(suite, ADMINISTRATIVE[path], path, suite.KEY))
    assert (code, reason) == (Code.PERMISSION_DENIED, "SCOPE_MISSING")


@pytest.mark.parametrize("path", PUBLIC)
@pytest.mark.parametrize("key", ["", "psk_unknown_unknown_unknown"])
async def test_nobody_is_let_in_without_a_key(suite, path, key):
    code, reason, _ = await refused(raw_call(suite, PUBLIC[path], path, key))
    assert (code, reason) == (Code.UNAUTHENTICATED, "INVALID_CREDENTIALS")


async def test_every_registered_method_is_in_the_table(suite):
    stub = reflection_pb2_grpc.ServerReflectionStub(suite.channel)

    async def questions():
        yield reflection_pb2.ServerReflectionRequest(list_services="")

    async for reply in stub.ServerReflectionInfo(questions()):
        names = [service.name for service in reply.list_services_response.service]
    ours = [name.removeprefix("penstock.gateway.v1.") for name in names if name.startswith("penstock.")]
    registered = methods(*ours)
    assert set(PUBLIC) == set(registered) <= set(POLICIES)


async def test_registered_method_without_a_policy_is_denied_to_everybody(suite, document):
    settings = Configuration(document).settings(penstock_gateway.settings.Settings)
    served = []

    async def serve(request, call):
        served.append(request)
        return Empty()

    drop = UnaryMethod("/penstock.gateway.v1.FutureService/Drop", same(Empty), same(Empty)).served_by(serve)

    async with background_work() as in_background:
        keys = settings.configured_keys(b"p" * 32)
        authenticator = Authenticator(b"p" * 32, settings.directory(), keys, None, in_background)
        traces = TraceStarter(0, random.Random(1))
        reception = Reception(Door(Capacity(), Refusals(600)), authenticator, traces, Timeouts(), ClientAddresses())
        guard = PolicyGuard(reception, NoObserver())
        async with (
            listening("127.0.0.1:0", [Service("future", [drop])], [guard]) as listener,
            grpc.aio.insecure_channel(f"127.0.0.1:{listener.port}") as channel,
        ):
            for key in (suite.KEY, suite.OPERATOR_KEY):
                call = channel.unary_unary("/penstock.gateway.v1.FutureService/Drop")
                code, reason, _ = await refused(call(b"", metadata=(("x-api-key", key),), timeout=30))
                assert (code, reason) == (Code.PERMISSION_DENIED, "SCOPE_MISSING")
    assert served == []


class NoObserver:
    def turned_away(self, surface, error):
        pass


@pytest.mark.parametrize("method", ["CreateTenant", "UpdateTenant", "DisableTenant", "EnableTenant"])
async def test_tenants_own_administrator_changes_no_tenant(acme, method):
    assert (await refused(getattr(acme, method)()))[:2] == (Code.PERMISSION_DENIED, "SCOPE_MISSING")


async def test_key_that_may_look_changes_nothing(suite, operator, acme):
    viewer = Administrator(suite.channel, (await acme.CreateKey(scopes=[pb.KEY_SCOPE_READ])).secret)
    assert [tenant.name for tenant in (await viewer.ListTenants()).tenants] == ["acme"]
    assert len((await viewer.ListKeys()).keys) == 2
    for call in (viewer.CreateKey(), viewer.RevokeKey(id="x"), viewer.CreateUser(name="x", role=1)):
        assert (await refused(call))[:2] == (Code.PERMISSION_DENIED, "SCOPE_MISSING")


async def test_operators_key_asks_no_model(suite):
    assert await refusal_of(suite, suite.OPERATOR_KEY) == (Code.PERMISSION_DENIED, "SCOPE_MISSING")


# Tenants


async def test_created_tenant_is_served_with_what_it_may_use(suite, operator):
    created = await operator.CreateTenant(name="acme", tier="pro", models=["safe"], regions=["eu"])
    assert (created.tenant.name, created.tenant.tier, created.tenant.is_configured) == ("acme", "pro", False)
    key = (await operator.CreateKey(tenant="acme")).secret
    assert await models_for(suite, key) == ["safe"]


async def test_tenants_of_both_kinds_are_listed_by_name_in_pages(operator):
    for name in ("acme", "zeta"):
        await operator.CreateTenant(name=name)
    names, token = [], ""
    while True:
        listed = await operator.ListTenants(page_size=2, page_token=token)
        names += [(tenant.name, tenant.is_configured) for tenant in listed.tenants]
        token = listed.next_page_token
        if not token:
            break
    assert names == [
        ("acme", False), ("demo", True), ("free", True), ("narrow", True), ("other", True), ("zeta", False),
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["demo", "acme"])
async def test_taken_name_is_refused(operator, acme, name):
    assert (await refused(operator.CreateTenant(name=name)))[:2] == (Code.ALREADY_EXISTS, "RESOURCE_EXISTS")


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": "a b"}, "name"),
        ({"name": "a" * 129}, "name"),
        ({"name": "a", "tier": "gold"}, "tier"),
        ({"name": "a", "models": ["\x00"]}, "models"),
        ({"name": "a", "models": [str(number) for number in range(257)]}, "models"),
        ({"name": "a", "regions": [""]}, "regions"),
    ],
)
async def test_tenant_out_of_bounds_is_refused_by_field(operator, fields, field):
    code, reason, error = await refused(operator.CreateTenant(**fields))
    assert (code, reason) == (Code.INVALID_ARGUMENT, "INVALID_REQUEST")
    assert field in error.details()


async def test_configured_tenant_is_changed_in_the_configuration_only(operator):
    for call in (operator.DisableTenant(name="demo"), operator.UpdateTenant(tenant=pb.Tenant(name="demo", tier="pro"))):
        assert (await refused(call))[:2] == (Code.FAILED_PRECONDITION, "RESOURCE_STATE")


async def test_tenant_is_changed_in_the_fields_that_the_mask_names(operator, acme):
    wanted = pb.Tenant(name="acme", tier="enterprise", models=["fast"])
    mask = field_mask_pb2.FieldMask(paths=["models"])
    changed = (await operator.UpdateTenant(tenant=wanted, update_mask=mask)).tenant
    assert (changed.tier, list(changed.models)) == ("pro", ["fast"])
    changed = (await operator.UpdateTenant(tenant=pb.Tenant(name="acme", tier="enterprise"))).tenant
    assert (changed.tier, list(changed.models)) == ("enterprise", ["fast"])
    assert (await operator.GetTenant(name="acme")).tenant == changed
    mask = field_mask_pb2.FieldMask(paths=["name"])
    assert (await refused(operator.UpdateTenant(tenant=wanted, update_mask=mask)))[0] is Code.INVALID_ARGUMENT


# Walls


async def test_named_other_tenant_is_denied_whether_it_exists_or_not(acme):
    for name in ("demo", "nobody"):
        for call in (
            acme.GetTenant(name=name),
            acme.CreateKey(tenant=name),
            acme.ListKeys(tenant=name),
            acme.CreateUser(tenant=name, name="x", role=pb.USER_ROLE_ADMIN),
            acme.ListUsers(tenant=name),
            acme.ListAuditEntries(tenant=name),
        ):
            assert (await refused(call))[:2] == (Code.PERMISSION_DENIED, "SCOPE_MISSING")


async def test_ids_of_another_tenant_do_not_exist(operator, acme):
    key = (await operator.CreateKey(tenant="demo")).key.id
    operators = (await operator.CreateKey(scopes=[pb.KEY_SCOPE_OPERATOR])).key.id
    user = (await operator.CreateUser(tenant="demo", name="ada", role=pb.USER_ROLE_ADMIN)).user.id
    for call in (
        acme.RevokeKey(id=key),
        acme.RotateKey(id=key),
        acme.RevokeKey(id=operators),
        acme.RotateKey(id="nothing"),
        acme.DisableUser(id=user),
        acme.EnableUser(id=user),
        acme.UpdateUser(user=pb.User(id=user, role=pb.USER_ROLE_VIEWER)),
        acme.CreateKey(user_id=user),
    ):
        assert (await refused(call))[:2] == (Code.NOT_FOUND, "RESOURCE_NOT_FOUND")


async def test_lists_hold_the_own_tenant_alone(operator, acme):
    await operator.CreateKey(tenant="demo")
    await operator.CreateUser(tenant="demo", name="ada", role=pb.USER_ROLE_ADMIN)
    assert {key.tenant for key in (await acme.ListKeys()).keys} == {"acme"}
    assert not (await acme.ListUsers()).users
    assert {entry.tenant for entry in (await acme.ListAuditEntries()).entries} == {"acme"}
    assert {key.tenant for key in (await operator.ListKeys()).keys} == {"acme", "demo"}


async def test_tenants_administrator_gives_no_operators_key(acme):
    call = acme.CreateKey(scopes=[pb.KEY_SCOPE_OPERATOR])
    assert (await refused(call))[:2] == (Code.PERMISSION_DENIED, "SCOPE_MISSING")


async def test_operators_key_works_for_every_tenant_and_has_no_other_scope(suite, operator, acme):
    secret = (await operator.CreateKey(scopes=[pb.KEY_SCOPE_OPERATOR])).secret
    other = Administrator(suite.channel, secret)
    assert (await other.GetTenant(name="acme")).tenant.name == "acme"
    for wanted in (
        {"tenant": "acme", "scopes": [pb.KEY_SCOPE_OPERATOR]},
        {"scopes": [pb.KEY_SCOPE_OPERATOR, pb.KEY_SCOPE_INFERENCE]},
        {"scopes": [pb.KEY_SCOPE_INFERENCE]},
    ):
        assert (await refused(operator.CreateKey(**wanted)))[:2] == (Code.INVALID_ARGUMENT, "INVALID_REQUEST")


async def test_key_that_names_models_gives_none_beyond_them(suite, operator):
    secret = (await operator.CreateKey(tenant="demo", scopes=[pb.KEY_SCOPE_ADMIN], models=["safe"])).secret
    narrow = Administrator(suite.channel, secret)
    wider = (await operator.CreateKey(tenant="demo")).key.id
    for call in (narrow.CreateKey(), narrow.CreateKey(models=["fast", "safe"]), narrow.RotateKey(id=wider)):
        assert (await refused(call))[:2] == (Code.PERMISSION_DENIED, "MODEL_NOT_PERMITTED")
    assert list((await narrow.CreateKey(models=["safe"])).key.models) == ["safe"]


BOUNDED = {"scopes": [pb.KEY_SCOPE_ADMIN], "allowed_networks": ["127.0.0.0/8"], "lifetime": {"seconds": 3600}}


@pytest.fixture
async def bounded(suite, operator, acme):
    """An administrator of acme, from this machine and for an hour, and its key."""
    created = await operator.CreateKey(tenant="acme", **BOUNDED)
    administrator = Administrator(suite.channel, created.secret)
    administrator.key = created.key
    return administrator


async def bound_of(call):
    """Return the bound that a refusal names."""
    code, reason, error = await refused(call)
    assert (code, reason) == (Code.PERMISSION_DENIED, "RIGHTS_EXCEEDED")
    info, raw = error_details_pb2.ErrorInfo(), dict(error.trailing_metadata())["grpc-status-details-bin"]
    assert any(packed.Unpack(info) for packed in status_pb2.Status.FromString(raw).details)
    return info.metadata["bound"]


@pytest.mark.parametrize(
    ("wanted", "bound"),
    [
        ({}, "allowed_networks"),
        ({"lifetime": {"seconds": 60}}, "allowed_networks"),
        ({"allowed_networks": ["0.0.0.0/0"], "lifetime": {"seconds": 60}}, "allowed_networks"),
        ({"allowed_networks": ["127.0.0.0/8", "::/0"], "lifetime": {"seconds": 60}}, "allowed_networks"),
        ({"allowed_networks": ["127.0.0.0/8"]}, "expires_at"),
        ({"allowed_networks": ["127.0.0.0/8"], "lifetime": {"seconds": 3700}}, "expires_at"),
        ({"scopes": [pb.KEY_SCOPE_ADMIN], "allowed_networks": ["127.0.0.1"]}, "expires_at"),
    ],
)
async def test_bounded_administrator_makes_no_wider_key(bounded, acme, wanted, bound):
    assert await bound_of(bounded.CreateKey(**wanted)) == bound
    kept = await bounded.CreateKey(allowed_networks=["127.1.0.0/16"], lifetime={"seconds": 60})
    assert kept.key.expires_at.ToDatetime() <= bounded.key.expires_at.ToDatetime()
    entries = (await acme.ListAuditEntries()).entries
    assert ("key.create", "rights_exceeded") in {(entry.action, entry.outcome) for entry in entries}


async def test_bounded_operator_makes_no_wider_operator_or_administrator(suite, operator):
    wanted = {**BOUNDED, "scopes": [pb.KEY_SCOPE_OPERATOR]}
    hourly = Administrator(suite.channel, (await operator.CreateKey(**wanted)).secret)
    for scope, tenant in ((pb.KEY_SCOPE_OPERATOR, ""), (pb.KEY_SCOPE_ADMIN, "demo"), (pb.KEY_SCOPE_INFERENCE, "demo")):
        assert await bound_of(hourly.CreateKey(tenant=tenant, scopes=[scope])) == "allowed_networks"


async def test_bounded_administrator_prolongs_neither_itself_nor_another(bounded, acme):
    own, end = bounded.key.id, bounded.key.expires_at.ToDatetime()
    assert await bound_of(bounded.RotateKey(id=own, lifetime={"seconds": 4000})) == "expires_at"
    eternal = (await acme.CreateKey(allowed_networks=["127.0.0.1"])).key.id
    assert await bound_of(bounded.RotateKey(id=eternal)) == "expires_at"
    assert await bound_of(bounded.RotateKey(id=eternal, lifetime={"seconds": 60})) == "expires_at"
    anywhere = (await acme.CreateKey(lifetime={"seconds": 60})).key.id
    assert await bound_of(bounded.RotateKey(id=anywhere)) == "allowed_networks"
    rotated = await bounded.RotateKey(id=own)
    assert rotated.key.expires_at.ToDatetime() <= end


async def test_bounded_administrator_revives_no_wider_key(bounded, acme):
    ada = (await acme.CreateUser(name="ada", role=pb.USER_ROLE_VIEWER)).user
    await acme.CreateKey(user_id=ada.id, scopes=[pb.KEY_SCOPE_READ])
    await bounded.DisableUser(id=ada.id)
    assert await bound_of(bounded.EnableUser(id=ada.id)) == "allowed_networks"
    assert not (await acme.EnableUser(id=ada.id)).user.HasField("disabled_at")


async def test_bounded_administrator_gives_no_wider_key_a_better_role(bounded, acme):
    ada = (await acme.CreateUser(name="ada", role=pb.USER_ROLE_ADMIN)).user
    await acme.CreateKey(user_id=ada.id, scopes=[pb.KEY_SCOPE_ADMIN])
    await bounded.UpdateUser(user=pb.User(id=ada.id, role=pb.USER_ROLE_VIEWER))
    assert await bound_of(bounded.UpdateUser(user=pb.User(id=ada.id, role=pb.USER_ROLE_ADMIN))) == "allowed_networks"
    # Nothing is gained: the key has no scope that a member has beside a viewer's.
    await bounded.UpdateUser(user=pb.User(id=ada.id, role=pb.USER_ROLE_MEMBER))


async def test_bounded_operator_revives_no_wider_key_of_a_tenant(suite, operator, acme):
    wanted = {**BOUNDED, "scopes": [pb.KEY_SCOPE_OPERATOR]}
    hourly = Administrator(suite.channel, (await operator.CreateKey(**wanted)).secret)
    await hourly.DisableTenant(name="acme")
    assert await bound_of(hourly.EnableTenant(name="acme")) == "allowed_networks"
    await operator.EnableTenant(name="acme")


# Keys


async def test_key_is_shown_once_and_its_secret_is_kept_nowhere(suite, operator):
    created = await operator.CreateKey(tenant="demo", label="ci")
    assert created.secret.split("_")[1] == created.key.id
    shown = str(await operator.ListKeys(tenant="demo")) + str(await operator.ListAuditEntries())
    secret = created.secret.split("_")[2]
    assert secret not in shown
    await suite.stack.aclose()
    assert secret.encode() not in (suite.state / "penstock.db").read_bytes()


async def test_key_expires(suite, operator):
    request = pb.CreateKeyRequest(tenant="demo")
    request.lifetime.FromTimedelta(timedelta(milliseconds=1))
    created = await operator.CreateKey(tenant="demo", lifetime=request.lifetime)
    while datetime.now(UTC) < created.key.expires_at.ToDatetime(tzinfo=UTC):
        await asyncio.sleep(0)
    assert await refusal_of(suite, created.secret) == (Code.UNAUTHENTICATED, "INVALID_CREDENTIALS")


@pytest.mark.parametrize("seconds", [0, -1, 86_400 * 4_000, 315_576_000_000])
async def test_lifetime_out_of_bounds_is_refused(operator, seconds):
    call = operator.CreateKey(tenant="demo", lifetime={"seconds": seconds})
    assert (await refused(call))[:2] == (Code.INVALID_ARGUMENT, "INVALID_REQUEST")


async def test_key_works_from_its_networks_only(suite, operator):
    here = (await operator.CreateKey(tenant="demo", allowed_networks=["192.0.2.0/24", "127.0.0.0/8", "::1"])).secret
    assert await models_for(suite, here)
    elsewhere = (await operator.CreateKey(tenant="demo", allowed_networks=["192.0.2.0/24"])).secret
    code, reason, error = await refused(models_for(suite, elsewhere))
    assert (code, reason) == (Code.PERMISSION_DENIED, "ADDRESS_NOT_PERMITTED")
    assert "127.0.0.1" in error.details()


@pytest.mark.parametrize(
    "headers",
    [
        (("x-forwarded-for", "192.0.2.1"),),
        (("x-penstock-client-address", "192.0.2.1"),),
        (("x-penstock-client-address", "192.0.2.1"), ("x-penstock-edge-token", "")),
        (("x-penstock-client-address", "192.0.2.1"), ("x-penstock-edge-token", "guess")),
        (("x-real-ip", "192.0.2.1"), ("forwarded", "for=192.0.2.1")),
    ],
    ids=lambda headers: headers[0][0],
)
async def test_no_header_moves_a_caller_to_another_network(suite, operator, headers):
    secret = (await operator.CreateKey(tenant="demo", allowed_networks=["192.0.2.0/24"])).secret
    call = ModelServiceStub(suite.channel).ListModels(
        model_service_pb2.ListModelsRequest(), metadata=(("x-api-key", secret), *headers), timeout=30
    )
    assert (await refused(call))[:2] == (Code.PERMISSION_DENIED, "ADDRESS_NOT_PERMITTED")


async def test_rotated_key_stays_valid_until_its_overlap_ends(suite, operator):
    created = await operator.CreateKey(tenant="demo", models=["safe"], label="ci", allowed_networks=["127.0.0.0/8"])
    assert await models_for(suite, created.secret) == ["safe"]
    rotated = await operator.RotateKey(id=created.key.id, overlap={"seconds": 2})
    assert rotated.key.id != created.key.id
    for field in ("tenant", "label", "scopes", "models", "allowed_networks", "user_id"):
        assert getattr(rotated.key, field) == getattr(created.key, field), field
    assert (rotated.previous_key.id, rotated.previous_key.replaced_by) == (created.key.id, rotated.key.id)
    ends_at = rotated.previous_key.expires_at.ToDatetime(tzinfo=UTC)
    asked, began_at = 0, datetime.now(UTC)
    while await is_let_in(suite, created.secret):
        asked += 1
        assert await models_for(suite, rotated.secret) == ["safe"]
        began_at = datetime.now(UTC)
    # Refused never before, and at the latest where what was known of it is no longer fresh.
    assert ends_at <= datetime.now(UTC)
    assert began_at < ends_at + timedelta(seconds=5)
    assert asked > 10


async def test_overlap_is_a_day_without_a_word_and_none_where_it_is_zero(suite, operator):
    first = await operator.CreateKey(tenant="demo")
    rotated = await operator.RotateKey(id=first.key.id)
    overlap = rotated.previous_key.expires_at.ToDatetime() - rotated.key.created_at.ToDatetime()
    assert overlap == timedelta(days=1)
    await operator.RotateKey(id=rotated.key.id, overlap={})
    assert await refusal_of(suite, rotated.secret) == (Code.UNAUTHENTICATED, "INVALID_CREDENTIALS")


async def test_rotation_does_not_outlive_the_keys_own_end_and_starts_its_lifetime_anew(operator):
    created = await operator.CreateKey(tenant="demo", lifetime={"seconds": 3600})
    rotated = await operator.RotateKey(id=created.key.id)
    assert rotated.previous_key.expires_at == created.key.expires_at
    lifetime = rotated.key.expires_at.ToDatetime() - rotated.key.created_at.ToDatetime()
    assert lifetime == timedelta(hours=1)


async def test_key_is_rotated_once_also_by_two_at_once(operator):
    created = await operator.CreateKey(tenant="demo")
    outcomes = await asyncio.gather(*(operator.RotateKey(id=created.key.id) for _ in range(5)), return_exceptions=True)
    errors = [outcome for outcome in outcomes if isinstance(outcome, grpc.aio.AioRpcError)]
    assert len(errors) == 4
    assert {error.code() for error in errors} == {Code.FAILED_PRECONDITION}
    assert len((await operator.ListKeys(tenant="demo")).keys) == 2


async def test_revoked_key_is_refused_for_good(suite, operator):
    created = await operator.CreateKey(tenant="demo")
    revoked = await operator.RevokeKey(id=created.key.id)
    assert revoked.key.HasField("revoked_at")
    assert await refusal_of(suite, created.secret) == (Code.UNAUTHENTICATED, "INVALID_CREDENTIALS")
    assert (await operator.RevokeKey(id=created.key.id)).key == revoked.key
    call = operator.RotateKey(id=created.key.id)
    assert (await refused(call))[:2] == (Code.FAILED_PRECONDITION, "RESOURCE_STATE")


# Users


@pytest.fixture
async def ada(acme):
    """A member of acme."""
    return (await acme.CreateUser(name="ada@example.com", role=pb.USER_ROLE_MEMBER)).user


async def test_users_key_has_at_most_what_the_role_permits(suite, acme, ada):
    allowed = await acme.CreateKey(user_id=ada.id, scopes=[pb.KEY_SCOPE_INFERENCE, pb.KEY_SCOPE_READ])
    assert await models_for(suite, allowed.secret)
    code, reason, error = await refused(acme.CreateKey(user_id=ada.id, scopes=[pb.KEY_SCOPE_ADMIN]))
    assert (code, reason) == (Code.INVALID_ARGUMENT, "INVALID_REQUEST")
    assert "'member' does not permit the scope 'admin'" in error.details()


async def test_key_loses_with_the_role_what_it_gave(suite, acme, ada):
    created = await acme.CreateKey(user_id=ada.id, scopes=[pb.KEY_SCOPE_INFERENCE, pb.KEY_SCOPE_READ])
    changed = await acme.UpdateUser(user=pb.User(id=ada.id, role=pb.USER_ROLE_VIEWER))
    assert changed.user.role == pb.USER_ROLE_VIEWER
    assert await refusal_of(suite, created.secret) == (Code.PERMISSION_DENIED, "SCOPE_MISSING")
    own = Administrator(suite.channel, created.secret)
    assert [user.id for user in (await own.ListUsers()).users] == [ada.id]


async def test_disabled_users_keys_are_refused_until_the_user_is_enabled(suite, acme, ada):
    created = await acme.CreateKey(user_id=ada.id)
    assert (await acme.DisableUser(id=ada.id)).user.HasField("disabled_at")
    assert await refusal_of(suite, created.secret) == (Code.UNAUTHENTICATED, "INVALID_CREDENTIALS")
    assert not (await acme.EnableUser(id=ada.id)).user.HasField("disabled_at")
    second = await acme.CreateKey(user_id=ada.id)
    assert await models_for(suite, second.secret)
    assert {key.id for key in (await acme.ListKeys(user_id=ada.id)).keys} == {created.key.id, second.key.id}


@pytest.mark.parametrize("fields", [{"name": ""}, {"name": "a\nb"}, {"name": "a" * 257}, {"name": "a", "role": 0}])
async def test_user_out_of_bounds_is_refused(acme, fields):
    call = acme.CreateUser(**{"role": pb.USER_ROLE_ADMIN, **fields})
    assert (await refused(call))[:2] == (Code.INVALID_ARGUMENT, "INVALID_REQUEST")


async def test_users_name_is_unique_in_its_tenant(operator, acme, ada):
    taken = acme.CreateUser(name=ada.name, role=pb.USER_ROLE_ADMIN)
    assert (await refused(taken))[:2] == (Code.ALREADY_EXISTS, "RESOURCE_EXISTS")
    assert (await operator.CreateUser(tenant="demo", name=ada.name, role=pb.USER_ROLE_ADMIN)).user.tenant == "demo"


# The audit log


async def test_change_leaves_who_did_what_from_where(suite, operator, acme, ada):
    created = await acme.CreateKey(user_id=ada.id, label="ci", scopes=[pb.KEY_SCOPE_READ])
    await acme.RevokeKey(id=created.key.id)
    newest, before = (await acme.ListAuditEntries()).entries[:2]
    assert (newest.action, newest.target, newest.outcome) == ("key.revoke", created.key.id, "ok")
    assert (newest.actor_tenant, newest.tenant, newest.client_address) == ("acme", "acme", "127.0.0.1")
    assert len(newest.request_id) == 32
    assert (before.action, before.target) == ("key.create", created.key.id)
    assert dict(before.details) == {"label": "ci", "scopes": "read", "user_id": ada.id}
    (made,) = [entry for entry in (await operator.ListAuditEntries()).entries if entry.action == "tenant.create"]
    assert (made.actor_key_id, made.actor_tenant, made.target) == ("config-operator-1", "", "acme")


async def test_refused_attempt_is_in_the_log_of_those_who_made_it(operator, acme):
    await refused(acme.CreateKey(tenant="demo"))
    await refused(acme.RevokeKey(id="nothing"))
    newest, before = (await acme.ListAuditEntries()).entries[:2]
    assert (newest.action, newest.target, newest.outcome) == ("key.revoke", "nothing", "resource_not_found")
    assert (before.outcome, dict(before.details)["named_tenant"]) == ("scope_missing", "demo")
    assert not (await operator.ListAuditEntries(tenant="demo")).entries


async def test_audit_log_is_read_in_pages(operator):
    for number in range(5):
        await operator.CreateTenant(name=f"t{number}")
    first = await operator.ListAuditEntries(page_size=3)
    second = await operator.ListAuditEntries(page_size=3, page_token=first.next_page_token)
    names = [entry.target for entry in (*first.entries, *second.entries)]
    assert names == ["t4", "t3", "t2", "t1", "t0"]
    assert not second.next_page_token


NO_PAGES = [{"page_size": -1}, {"page_token": "!"}]
NO_PLACES = [{"page_token": "eHw="}, {"page_token": "w6Q="}]
"""Words, where a list by age goes on after a time; a list by name goes on after any word."""


@pytest.mark.parametrize(
    ("method", "page"),
    [
        *((method, page) for method in ("ListKeys", "ListUsers", "ListAuditEntries") for page in NO_PAGES + NO_PLACES),
        *(("ListTenants", page) for page in NO_PAGES),
    ],
)
async def test_page_that_is_none_is_refused(operator, method, page):
    code, reason, _ = await refused(getattr(operator, method)(**page))
    assert (code, reason) == (Code.INVALID_ARGUMENT, "INVALID_REQUEST")
