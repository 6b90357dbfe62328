"""Administration by the contract's AdminService, wherever it is: behind a gateway's port, or in this process."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Collection, Generator, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from datetime import timedelta
from typing import Any, Literal

import grpc
from google.protobuf import duration_pb2, field_mask_pb2

from penstock.gateway.v1 import admin_service_pb2 as pb
from penstock.gateway.v1 import (
    admin_service_pb2_grpc,
    batch_service_pb2_grpc,
    budget_service_pb2_grpc,
    experiment_service_pb2_grpc,
    feedback_service_pb2_grpc,
    job_service_pb2_grpc,
    knowledge_service_pb2_grpc,
    ledger_service_pb2_grpc,
    prompt_service_pb2_grpc,
    review_service_pb2_grpc,
    usage_service_pb2_grpc,
    webhook_service_pb2_grpc,
)
from penstock_common.errors import (
    AddressNotPermitted,
    InvalidCredentials,
    InvalidRequest,
    ModelNotFound,
    ModelNotPermitted,
    PenstockError,
    ResourceNotFound,
    RightsExceeded,
    ScopeMissing,
    ServiceUnavailable,
)
from penstock_common.status import error_from_rpc
from penstock_suite.adapters.admin_rows import (
    ROLES,
    SCOPES,
    entry_row,
    key_row,
    number_of,
    tenant_row,
    user_row,
)
from penstock_suite.adapters.batch_client import BatchClient
from penstock_suite.adapters.budget_client import BudgetClient
from penstock_suite.adapters.cache_admin_client import CacheAdminClient
from penstock_suite.adapters.experiment_client import ExperimentClient
from penstock_suite.adapters.feedback_client import FeedbackClient
from penstock_suite.adapters.gateway_client import failed
from penstock_suite.adapters.job_client import JobClient
from penstock_suite.adapters.knowledge_client import KnowledgeAdminClient
from penstock_suite.adapters.ledger_client import LedgerClient
from penstock_suite.adapters.listers import with_lister
from penstock_suite.adapters.prompt_admin_client import PromptAdminClient
from penstock_suite.adapters.review_client import ReviewClient
from penstock_suite.adapters.team_admin_client import TeamAdminClient
from penstock_suite.adapters.upstream_rows import upstream_rows
from penstock_suite.adapters.usage_client import UsageClient
from penstock_suite.adapters.webhook_client import WebhookClient
from penstock_suite.domain.administration import (
    Administration,
    EjectionRequest,
    KeyRequest,
    StoredEntry,
    StoredKey,
    StoredTenant,
    StoredUser,
    TenantRequest,
    UserRequest,
)
from penstock_suite.domain.answers import UpstreamRow
from penstock_suite.domain.failure import Misconfigured, NotThere, Refused, SuiteFailure, Unreachable
from penstock_suite.domain.requests import GatewayTarget

Ask = Callable[[str, Any], Awaitable[Any]]
"""Calls a method of a service by its name; raises ``PenstockError`` or ``SuiteFailure``."""
Follow = Callable[[str, Any], AbstractAsyncContextManager[AsyncIterator[Any]]]
"""Calls a method that streams by its name; raises what ``Ask`` does."""
Metadata = tuple[tuple[str, str], ...]
Listed = Literal["tenants", "teams", "users", "keys", "subjects"]

# By the contract's field.
_OPTIONS = {
    "tenant": "--tenant",
    "user_id": "--user",
    "team": "--team",
    "time_zone": "--time-zone",
    "issuer": "--issuer",
    "subject": "SUBJECT",
    "scopes": "--scope",
    "models": "--model",
    "model": "--model",
    "tag": "--tag",
    "user": "--user",
    "stored": "STORED",
    "asked": "ASKED",
    "regions": "--region",
    "allowed_networks": "--network",
    "labels": "--labels",
    "lifetime": "--expires",
    "overlap": "--overlap",
    "label": "--label",
    "tier": "--tier",
    "role": "--role",
    "name": "NAME",
    "duration": "--for",
    "reason": "--reason",
    "thumb": "--up or --down",
    "score": "--score",
    "correction": "--correction",
    "comment": "--comment",
    "generation_id": "ID",
    "tags": "--tag",
    "since": "--since",
    "until": "--until",
    "variant": "VARIANT",
    "cost_nano_usd": "--cost",
    "input_tokens": "--input-tokens",
    "output_tokens": "--output-tokens",
    "cached_input_tokens": "--cached-input-tokens",
    "by": "--by",
    "amount_nano_usd": "--amount",
    "alert_percents": "--alert",
    "scope_name": "--scope",
    "period": "--period",
    "kind": "--kind",
    "webhook": "--webhook",
    "url": "--url",
    "events": "--event",
    "lease": "--lease",
    "text": "TEXT",
    "context": "--context",
    "edited": "--text",
    "note": "--note",
}
_PAGE_SIZE = 500
_TIMEOUT_SECONDS = 30.0
_STREAM_SECONDS = 600.0


def asking(channel: grpc.aio.Channel, target: GatewayTarget, metadata: Metadata) -> tuple[Ask, Follow]:
    """Return what asks a gateway; the metadata says who asks."""
    stubs = (
        admin_service_pb2_grpc.AdminServiceStub(channel),
        prompt_service_pb2_grpc.PromptServiceStub(channel),
        feedback_service_pb2_grpc.FeedbackServiceStub(channel),
        experiment_service_pb2_grpc.ExperimentServiceStub(channel),
        knowledge_service_pb2_grpc.KnowledgeServiceStub(channel),
        ledger_service_pb2_grpc.LedgerServiceStub(channel),
        usage_service_pb2_grpc.UsageServiceStub(channel),
        budget_service_pb2_grpc.BudgetServiceStub(channel),
        job_service_pb2_grpc.JobServiceStub(channel),
        batch_service_pb2_grpc.BatchServiceStub(channel),
        webhook_service_pb2_grpc.WebhookServiceStub(channel),
        review_service_pb2_grpc.ReviewServiceStub(channel),
    )

    async def ask(method: str, request: Any) -> Any:
        try:
            return await method_of(stubs, method)(request, metadata=metadata, timeout=_TIMEOUT_SECONDS)
        except grpc.aio.AioRpcError as error:
            raise error_from_rpc(error) or failed(error, target) from None

    @asynccontextmanager
    async def follow(method: str, request: Any) -> AsyncGenerator[AsyncIterator[Any]]:
        stream: Any = method_of(stubs, method)(request, metadata=metadata, timeout=_STREAM_SECONDS)
        try:
            yield aiter(stream)
        except grpc.aio.AioRpcError as error:
            raise error_from_rpc(error) or failed(error, target) from None
        finally:
            stream.cancel()

    return ask, follow


def method_of(services: Iterable[object], name: str) -> Callable[..., Awaitable[Any]]:
    """Return the method of the one service that has it."""
    return next(getattr(service, name) for service in services if hasattr(service, name))


def administration_over(ask: Ask, follow: Follow | None = None) -> Administration:
    """Return the administration that the service does."""
    return _AdminClient(ask, follow)


class _AdminClient(
    TeamAdminClient,
    CacheAdminClient,
    PromptAdminClient,
    FeedbackClient,
    ExperimentClient,
    KnowledgeAdminClient,
    LedgerClient,
    UsageClient,
    BudgetClient,
    JobClient,
    BatchClient,
    WebhookClient,
    ReviewClient,
):
    """Implements ``Administration``: converts, asks, converts."""

    def __init__(self, ask: Ask, follow: Follow | None) -> None:
        self._service = ask
        self._followed = follow

    async def create_tenant(self, wanted: TenantRequest) -> StoredTenant:
        request = pb.CreateTenantRequest(
            name=wanted.name,
            tier=wanted.tier,
            models=wanted.models,
            regions=wanted.regions,
            time_zone=wanted.time_zone,
        )
        return tenant_row((await self._ask("CreateTenant", request)).tenant)

    async def tenants(self) -> list[StoredTenant]:
        return [tenant_row(tenant) for tenant in await self._all("ListTenants", pb.ListTenantsRequest(), "tenants")]

    async def update_tenant(self, wanted: TenantRequest, fields: Collection[str]) -> StoredTenant:
        tenant = pb.Tenant(
            name=wanted.name,
            tier=wanted.tier,
            models=wanted.models,
            regions=wanted.regions,
            time_zone=wanted.time_zone,
        )
        request = pb.UpdateTenantRequest(tenant=tenant, update_mask=field_mask_pb2.FieldMask(paths=fields))
        return tenant_row((await self._ask("UpdateTenant", request)).tenant)

    async def switch_tenant(self, name: str, *, enabled: bool) -> StoredTenant:
        if enabled:
            return tenant_row((await self._ask("EnableTenant", pb.EnableTenantRequest(name=name))).tenant)
        return tenant_row((await self._ask("DisableTenant", pb.DisableTenantRequest(name=name))).tenant)

    async def create_user(self, wanted: UserRequest) -> StoredUser:
        request = pb.CreateUserRequest(
            tenant=wanted.tenant,
            name=wanted.name,
            role=number_of(ROLES, wanted.role, "role"),
            team=wanted.team,
            kind=pb.USER_KIND_SERVICE_ACCOUNT if wanted.is_service_account else pb.USER_KIND_PERSON,
        )
        return user_row((await self._ask("CreateUser", request)).user)

    async def users(self, tenant: str) -> list[StoredUser]:
        return [user_row(user) for user in await self._all("ListUsers", pb.ListUsersRequest(tenant=tenant), "users")]

    async def change_user(self, user_id: str, role: str | None, team: str | None) -> StoredUser:
        user = pb.User(id=user_id, team=team or "", role=None if role is None else number_of(ROLES, role, "role"))
        paths = [field for field, value in (("role", role), ("team", team)) if value is not None]
        request = pb.UpdateUserRequest(user=user, update_mask=field_mask_pb2.FieldMask(paths=paths))
        return user_row((await self._ask("UpdateUser", request)).user)

    async def switch_user(self, user_id: str, *, enabled: bool) -> StoredUser:
        if enabled:
            return user_row((await self._ask("EnableUser", pb.EnableUserRequest(id=user_id))).user)
        return user_row((await self._ask("DisableUser", pb.DisableUserRequest(id=user_id))).user)

    async def create_key(self, wanted: KeyRequest) -> tuple[str, StoredKey]:
        request = pb.CreateKeyRequest(
            tenant=wanted.tenant,
            user_id=wanted.user_id,
            team=wanted.team,
            label=wanted.label,
            scopes=[number_of(SCOPES, scope, "scope") for scope in wanted.scopes],
            models=wanted.models,
            allowed_networks=wanted.networks,
            labels=wanted.labels,
            lifetime=_duration(wanted.lifetime),
        )
        made = await self._ask("CreateKey", request)
        return str(made.secret), key_row(made.key)

    async def keys(self, tenant: str) -> list[StoredKey]:
        return [key_row(key) for key in await self._all("ListKeys", pb.ListKeysRequest(tenant=tenant), "keys")]

    async def rotate_key(
        self, key_id: str, overlap: timedelta, lifetime: timedelta | None
    ) -> tuple[str, StoredKey, StoredKey]:
        request = pb.RotateKeyRequest(id=key_id, overlap=_duration(overlap), lifetime=_duration(lifetime))
        made = await self._ask("RotateKey", request)
        return str(made.secret), key_row(made.key), key_row(made.previous_key)

    async def revoke_key(self, key_id: str) -> StoredKey:
        return key_row((await self._ask("RevokeKey", pb.RevokeKeyRequest(id=key_id))).key)

    async def entries(self, tenant: str, limit: int) -> list[StoredEntry]:
        request = pb.ListAuditEntriesRequest(tenant=tenant, page_size=limit)
        return [entry_row(entry) for entry in (await self._ask("ListAuditEntries", request)).entries]

    async def upstreams(self) -> tuple[UpstreamRow, ...]:
        return upstream_rows((await self._ask("ListUpstreams", pb.ListUpstreamsRequest())).places)

    async def probe_upstream(self, upstream: str, model: str) -> tuple[UpstreamRow, ...]:
        request = pb.ProbeUpstreamRequest(upstream=upstream, model=model)
        return upstream_rows((await self._ask("ProbeUpstream", request)).places)

    async def eject_upstream(self, wanted: EjectionRequest) -> tuple[UpstreamRow, ...]:
        request = pb.EjectUpstreamRequest(
            upstream=wanted.upstream,
            model=wanted.model,
            duration=_duration(wanted.duration),
            reason=wanted.reason,
            force=wanted.force,
        )
        return upstream_rows((await self._ask("EjectUpstream", request)).places)

    async def restore_upstream(self, upstream: str, model: str) -> tuple[UpstreamRow, ...]:
        request = pb.RestoreUpstreamRequest(upstream=upstream, model=model)
        return upstream_rows((await self._ask("RestoreUpstream", request)).places)

    async def _all(self, method: str, request: Any, listed: Listed) -> list[Any]:
        """Return the items of every page."""
        found: list[Any] = []
        request.page_size = _PAGE_SIZE
        while True:
            page = await self._ask(method, request)
            found += getattr(page, listed)
            if not page.next_page_token:
                return found
            request.page_token = page.next_page_token

    async def _ask(self, method: str, request: Any) -> Any:
        with _told():
            return await self._service(method, request)

    @asynccontextmanager
    async def _follow(self, method: str, request: Any) -> AsyncGenerator[AsyncIterator[Any]]:
        if self._followed is None:
            raise Unreachable("no stack runs: start it with 'penstock up'")
        with _told():
            async with self._followed(method, request) as responses:
                yield responses


@contextmanager
def _told() -> Generator[None]:
    """Turn what a service says into the sentence and the exit code of a command."""
    try:
        yield
    except InvalidRequest as error:
        raise Misconfigured(_as_typed(str(error), error.field)) from None
    except ResourceNotFound as error:
        raise NotThere(with_lister(str(error), error.kind)) from None
    except ModelNotFound as error:
        raise NotThere(str(error)) from None
    except (AddressNotPermitted, InvalidCredentials, ModelNotPermitted, RightsExceeded, ScopeMissing) as error:
        raise Refused(str(error)) from None
    except ServiceUnavailable as error:
        raise Unreachable(str(error)) from None
    except PenstockError as error:
        raise SuiteFailure(str(error)) from None


def _as_typed(message: str, field: str) -> str:
    """Return the sentence about a field of the contract with the option that people type."""
    option = _OPTIONS.get(field.rpartition(".")[2].partition("[")[0])
    if option is None:
        return message
    if message.startswith(f"{field} "):
        return option + message.removeprefix(field)
    return f"{option}: {message}"


def _duration(value: timedelta | None) -> duration_pb2.Duration | None:
    if value is None:
        return None
    message = duration_pb2.Duration()
    message.FromTimedelta(value)
    return message
