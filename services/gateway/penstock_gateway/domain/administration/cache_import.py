"""Putting questions and their answers into the cache, each as if a model had answered a request of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum

import msgspec

from penstock_common.contract.cache import (
    Hit,
    LookupRequest,
    Origin,
    Probe,
    Scope,
    StoreRequest,
    meaning_of,
    probe_of,
)
from penstock_common.contract.router import RouteRequest, requirements_of, subject_of
from penstock_common.errors import InvalidRequest, PenstockError, ResourceState, ServiceUnavailable
from penstock_common.llm.estimate import estimated_input_tokens, estimated_tokens
from penstock_common.llm.types import (
    Batch,
    Candidate,
    Finished,
    FinishReason,
    GenerationInput,
    Message,
    ModelInfo,
    Plan,
    Role,
    RouteExplanation,
    Started,
    Text,
    TextDelta,
    Usage,
)
from penstock_common.telemetry.steps import Step
from penstock_gateway.domain.access.identity import Tenant
from penstock_gateway.domain.access.tenancy import TenantDirectory
from penstock_gateway.domain.administration import bounds
from penstock_gateway.domain.administration.actor import Actor
from penstock_gateway.domain.administration.audit import AuditLog, Deed
from penstock_gateway.domain.administration.cache_entries import KeptEntries, check_model
from penstock_gateway.domain.administration.registry import Records, Registry
from penstock_gateway.domain.administration.tenants import existing_tenant
from penstock_gateway.domain.life.ports import Router

MAX_IMPORTED_ROWS = 100
"""Of one request."""
# Whom an answer names that no model has given.
_IMPORTED = Candidate(upstream="", model="imported")


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportRow:
    """A question and its answer; ``system`` is the system prompt of the requests that it answers, empty for none."""

    question: str
    answer: str
    model: str
    system: str = ""
    tags: tuple[str, ...] = ()
    ttl: timedelta | None = None


class ImportOutcome(Enum):
    """How a row went in."""

    STORED = "stored"
    UNCHANGED = "unchanged"
    """The same answer was there."""
    REPLACED = "replaced"
    """Another answer was there."""
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class ImportResult:
    """What became of a row; ``reason`` is one sentence where it was refused."""

    outcome: ImportOutcome
    reason: str = ""


class NoRoutes:
    """Implements ``Router`` where no gateway runs."""

    async def route(self, request: RouteRequest, steps: list[Step]) -> Plan:
        """Refuse."""
        raise ServiceUnavailable("Nothing runs here that routes requests.", service="router")

    async def explain(self, request: RouteRequest) -> RouteExplanation:
        """Refuse."""
        raise ServiceUnavailable("Nothing runs here that routes requests.", service="router")

    async def models(self) -> Sequence[ModelInfo]:
        """Return none."""
        return ()


class CacheImport:
    """Imports rows; each request leaves an entry in the audit log."""

    def __init__(self, entries: KeptEntries, router: Router, directory: TenantDirectory, registry: Registry) -> None:
        self._entries = entries
        self._router = router
        self._directory = directory
        self._audit = AuditLog(registry)

    async def take(
        self, actor: Actor, tenant: str, rows: Sequence[ImportRow], *, dry_run: bool
    ) -> Sequence[ImportResult]:
        """Return what became of each row, or would become; what is wrong with one ends none of the others.

        Raises:
            InvalidRequest: if there are too many, or none.
            ResourceNotFound: if there is no such tenant.
            ResourceState: if it is disabled.
            ServiceUnavailable: if the cache or the router does not answer; some rows may be in.
        """
        details = {"rows": str(len(rows)), "dry_run": "true" if dry_run else ""}
        meant = tenant or actor.tenant
        async with self._audit.changing(Deed(actor, "cache.import", meant, details=details)) as records:
            if not 1 <= len(rows) <= MAX_IMPORTED_ROWS:
                raise InvalidRequest(f"rows: 1 to {MAX_IMPORTED_ROWS} are taken, not {len(rows)}.", field="rows")
            enabled = await self._enabled(records, bounds.required_tenant(actor.meant(tenant)))
            return [await self._take_in(actor, enabled, row, dry_run=dry_run) for row in rows]

    async def _enabled(self, records: Records, name: str) -> Tenant:
        tenant = self._directory.tenant(name, await records.tenant(name))
        if tenant is None:
            await existing_tenant(self._directory, records, name)
            raise ResourceState(f"The tenant '{name}' is disabled.", kind="tenant", name=name)
        return tenant

    async def _take_in(self, actor: Actor, tenant: Tenant, row: ImportRow, *, dry_run: bool) -> ImportResult:
        try:
            _check(row)
            check_model(actor, row.model)
            if tenant.models and row.model not in tenant.models:
                return _refused(f"The tenant may not use the model '{row.model}'.")
            return await self._keep(tenant, row, dry_run=dry_run)
        except ServiceUnavailable:
            raise
        except PenstockError as error:
            return _refused(error.message)

    async def _keep(self, tenant: Tenant, row: ImportRow, *, dry_run: bool) -> ImportResult:
        request, scope = _request_of(row), Scope(tenant.name, row.model)
        probe = await self._probe(request, tenant)
        # By equality alone: another wording of the question may well have another answer.
        found = await self._entries.find(LookupRequest(scope=scope, probe=msgspec.structs.replace(probe, meaning=None)))
        if found.bypass_reason:
            return _refused(found.bypass_reason)
        outcome = _compared(found.hit, row.answer)
        if dry_run:
            return ImportResult(outcome)
        reason = await self._entries.put(
            StoreRequest(
                scope=scope,
                probe=probe,
                events=_answer(request, row.answer),
                ttl=row.ttl,
                generation=found.generation,
                tags=row.tags,
                origin=Origin.IMPORTED,
            )
        )
        return _refused(reason) if reason else ImportResult(outcome)

    async def _probe(self, request: GenerationInput, tenant: Tenant) -> Probe:
        route = RouteRequest(
            model=request.model,
            requirements=requirements_of(request),
            allowed_regions=tenant.regions,
            subject=subject_of(request),
            tenant=tenant.name,
        )
        digest = (await self._router.route(route, [])).route_digest
        meaning = meaning_of(request, digest, tenant.regions)
        return msgspec.structs.replace(probe_of(request, digest, tenant.regions), meaning=meaning)


def _check(row: ImportRow) -> None:
    bounds.question(row.question, "question")
    bounds.answer(row.answer)
    bounds.system_prompt(row.system)
    if not bounds.model(row.model):
        raise InvalidRequest("model: name the public model whose answer it is.", field="model")
    bounds.tags(row.tags)
    if row.ttl is not None and row.ttl <= timedelta():
        raise InvalidRequest("ttl must be longer than zero.", field="ttl")


def _request_of(row: ImportRow) -> GenerationInput:
    """Return what a caller asks who says nothing but the question, and the system prompt where there is one."""
    question = Message(role=Role.USER, parts=(Text(row.question),))
    if not row.system:
        return GenerationInput(model=row.model, messages=(question,))
    return GenerationInput(model=row.model, messages=(Message(role=Role.SYSTEM, parts=(Text(row.system),)), question))


def _answer(request: GenerationInput, text: str) -> Batch:
    usage = Usage(input_tokens=estimated_input_tokens(request), output_tokens=estimated_tokens(text), estimated=True)
    return (
        Started(generation_id="", answered_by=_IMPORTED),
        TextDelta(text=text),
        usage,
        Finished(reason=FinishReason.STOP, answered_by=_IMPORTED),
    )


def _compared(hit: Hit | None, answer: str) -> ImportOutcome:
    if hit is None:
        return ImportOutcome.STORED
    kept = "".join(event.text for event in hit.events if isinstance(event, TextDelta))
    return ImportOutcome.UNCHANGED if kept == answer else ImportOutcome.REPLACED


def _refused(reason: str) -> ImportResult:
    return ImportResult(ImportOutcome.REFUSED, reason)
