"""The gateway's composition root: adapters, the lives of requests, and the surfaces that callers reach."""

from __future__ import annotations

import random
import time
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager

from penstock_common.background import StartWork
from penstock_common.background import running as tidying_reviews
from penstock_common.key_material import read_token
from penstock_common.rpc.server_interceptors import CallTelemetry
from penstock_common.service import Commit, Prepare, Role
from penstock_common.telemetry.trace_context import TraceStarter
from penstock_gateway.adapters.services.cache import CacheClient, NoCache
from penstock_gateway.adapters.services.cache_entries import CacheEntriesClient
from penstock_gateway.adapters.services.channels import Channels
from penstock_gateway.adapters.services.embedding import EmbeddingClient, NoEmbedding
from penstock_gateway.adapters.services.models import InferenceClient, RouterClient
from penstock_gateway.adapters.services.questions import QuestionClient
from penstock_gateway.adapters.sql.keys import SqlKeyStore
from penstock_gateway.adapters.sql.registry import SqlRegistry
from penstock_gateway.adapters.sql.usage.store import SqlUsage
from penstock_gateway.app.administration import keyring_of
from penstock_gateway.app.background import background_parts
from penstock_gateway.app.compression import compression_for, rewriter_for, terms_by_name
from penstock_gateway.app.feedback import feedback_servicer, telling_quality
from penstock_gateway.app.guard_rules import Asked
from penstock_gateway.app.guardrails import pipelines_of
from penstock_gateway.app.idempotency import deferring_parts
from penstock_gateway.app.job_desk import batch_servicer, job_servicer
from penstock_gateway.app.jobs import have_jobs_run, running_jobs
from penstock_gateway.app.knowledge import knowledge_of, knowledge_servicer
from penstock_gateway.app.listening import grpc_limits
from penstock_gateway.app.parts import Parts, open_parts
from penstock_gateway.app.questions import OtherLives
from penstock_gateway.app.retrieval import uses_by_name
from penstock_gateway.app.stores import stores_parts
from penstock_gateway.app.structured_output import schema_terms_by_name
from penstock_gateway.app.tokens import tokens_of
from penstock_gateway.domain.access.authentication import Authenticator
from penstock_gateway.domain.access.holders import Holders
from penstock_gateway.domain.access.tokens import TokenAuthenticator
from penstock_gateway.domain.administration.administration import Administration, CachePorts
from penstock_gateway.domain.administration.cache_entries import NoKeptEntries
from penstock_gateway.domain.administration.keys import Keyring
from penstock_gateway.domain.jobs.gate import Gate
from penstock_gateway.domain.jobs.tidying import Tidying
from penstock_gateway.domain.knowledge.administration import KnowledgeAdministration
from penstock_gateway.domain.knowledge.ports import Knowledge
from penstock_gateway.domain.life.chat import ChatLife, LifeParts
from penstock_gateway.domain.life.compression import ContextCompression
from penstock_gateway.domain.life.embeddings import EmbeddingLife
from penstock_gateway.domain.life.exchange import VisitParts
from penstock_gateway.domain.life.pace import Pace
from penstock_gateway.domain.life.ports import TextEmbedder
from penstock_gateway.domain.life.retrieval import Retrieval
from penstock_gateway.domain.models import ModelDirectory
from penstock_gateway.domain.prompts.administration import PromptAdministration
from penstock_gateway.domain.status.report import ConfigurationRevision, StatusReporter
from penstock_gateway.domain.usage.looking import UsageReading
from penstock_gateway.settings import GatewaySettings, Settings
from penstock_gateway.surfaces.arrival import Reception, Timeouts
from penstock_gateway.surfaces.client_address import ClientAddresses
from penstock_gateway.surfaces.grpc.admin import AdminServicer, actors_of
from penstock_gateway.surfaces.grpc.arrival import PolicyGuard
from penstock_gateway.surfaces.grpc.chat import ChatServicer
from penstock_gateway.surfaces.grpc.deferred import RepeatedCalls
from penstock_gateway.surfaces.grpc.embedding import EmbeddingServicer
from penstock_gateway.surfaces.grpc.experiments import ExperimentServicer
from penstock_gateway.surfaces.grpc.idempotency import IdempotentCalls
from penstock_gateway.surfaces.grpc.ledger import LedgerServicer
from penstock_gateway.surfaces.grpc.models import ModelServicer
from penstock_gateway.surfaces.grpc.prompts import PromptServicer
from penstock_gateway.surfaces.grpc.reviews import ReviewServicer, reviewers_of
from penstock_gateway.surfaces.grpc.status import StatusServicer
from penstock_gateway.surfaces.grpc.usage import UsageServicer
from penstock_gateway.surfaces.http1.limits import HttpLimits
from penstock_gateway.surfaces.public import Listen, RunningGateway, Surfaces, open_to_the_public
from penstock_gateway.surfaces.wire_formats.background import BackgroundParts
from penstock_gateway.surfaces.wire_formats.bodies import Bodies
from penstock_gateway.surfaces.wire_formats.deferred import DeferringParts
from penstock_gateway.surfaces.wire_formats.event_stream import StreamTiming
from penstock_gateway.surfaces.wire_formats.idempotency import IdempotentRoutes
from penstock_gateway.surfaces.wire_formats.stateful import KeptAnswersParts
from penstock_gateway.surfaces.wire_formats.stores import StoresParts
from penstock_gateway.surfaces.wire_formats.surface import WireFormats, WireFormatsParts

__all__ = ["ROLE", "Channels", "ConfigurationRevision", "Listen", "RunningGateway", "running"]


Cache = CacheClient | NoCache


@asynccontextmanager
async def running(
    settings: Settings, channels: Channels, listen: Listen, *, upgrades_schema: bool, shares_limits: bool
) -> AsyncGenerator[RunningGateway, None]:
    """Yield a gateway that listens for gRPC and for the wire formats.

    ``shares_limits`` says that other processes count the same limits, so that Redis must.

    Raises:
        ConfigurationError: if the schema is not current, and the gateway is not to upgrade it.
        ListenError: if an address is taken or not ours.
    """
    async with AsyncExitStack() as stack:
        parts = await open_parts(stack, settings, upgrades_schema=upgrades_schema, shares_limits=shares_limits)
        for collector in channels.collectors:
            parts.registry.register(collector)
        surfaces, tidying = surfaces_of(settings, channels, parts)
        await stack.enter_async_context(running_jobs(parts.jobs, tidying, claims=settings.jobs.run_here))
        await stack.enter_async_context(telling_quality(settings, parts.engine, channels.quality))
        await stack.enter_async_context(tidying_reviews(parts.reviews.tidying.run()))
        yield await stack.enter_async_context(open_to_the_public(surfaces, parts.door, listen))


def surfaces_of(settings: Settings, channels: Channels, parts: Parts) -> tuple[Surfaces, Tidying]:
    """Return what callers can reach, once that is opened to them, and who sees to jobs that nobody is at."""
    own, visits, keyring = settings.gateway, parts.visits, keyring_of(settings)
    router, inference = RouterClient(channels.router, own.router_timeout), InferenceClient(channels.inference)
    cache, store = _cache(settings, channels, parts.in_background), SqlKeyStore(parts.engine)
    embedder = NoEmbedding() if channels.embedding is None else EmbeddingClient(channels.embedding, own.router_timeout)
    compression, retrieval = compression_for(settings, embedder), _retrieval(settings, channels, router)
    life = ChatLife(_life_parts(settings, channels, parts, visits, (router, cache, inference, compression, retrieval)))
    embeddings, models = EmbeddingLife(visits, embedder), ModelDirectory(router, embedder, parts.forks)
    cache_ports, knowledge = _cache_ports(channels, cache, router), knowledge_of(settings, channels)
    usage, tokens = UsageReading(SqlUsage(parts.engine)), tokens_of(settings, keyring.directory, parts)
    holders = Holders(keyring.directory, settings.configured_keys(keyring.pepper).values(), store, tokens)
    steps_in = compression, retrieval, _rules(settings, channels, embedder, parts)
    reception, prepare = _reception(settings, (keyring, store, holders, tokens), parts, steps_in)
    tidying = _tidying(settings, parts, (holders, inference), (life, embeddings, _documents(knowledge, keyring, parts)))
    others = OtherLives.over(visits, router, QuestionClient(channels.inference))
    served = life, embeddings, others, models, stores_parts(settings, channels, knowledge, visits), usage
    gate, deferring, repeated, background = _deferred(settings, parts, models)
    return Surfaces(
        chat=ChatServicer(reception, life, parts.in_background, repeated),
        embeddings=EmbeddingServicer(reception, embeddings, repeated),
        questions=others.servicers(reception),
        models=ModelServicer(models),
        prompts=_prompts(keyring, parts, reception),
        admin=_admin(keyring, parts, cache_ports, inference, reception),
        knowledge=knowledge_servicer(settings, knowledge, (keyring.directory, visits), parts, reception),
        feedback=feedback_servicer(settings, parts, cache_ports.entries, reception),
        usage=UsageServicer(usage, actors_of(reception)),
        budgets=parts.limits.budgets.servicer(keyring.directory, actors_of(reception)),
        webhooks=parts.limits.budgets.webhooks.servicer(actors_of(reception)),
        jobs=job_servicer(settings, parts, reception, (gate, repeated), (keyring.directory, knowledge)),
        batches=batch_servicer(parts, reception),
        for_people=_for_people(parts, reception),
        status=StatusServicer(_reporter(parts, channels, inference, store)),
        wire_formats=_wire_formats(own, (parts, deferring, background), reception, served),
        idempotency=IdempotentCalls(parts.idempotency.calls, parts.idempotency.marks, own.unary_timeout),
        http_limits=_http_limits(settings),
        grpc_limits=grpc_limits(own),
        interceptors=[CallTelemetry(parts.registry), PolicyGuard(reception, parts.observer)],
        prepare=prepare,
        also_drains=parts.jobs.runner.drain,
    ), tidying


def _documents(knowledge: Knowledge, keyring: Keyring, parts: Parts) -> KnowledgeAdministration:
    return KnowledgeAdministration(knowledge, keyring.directory, SqlRegistry(parts.engine))


def _tidying(
    settings: Settings,
    parts: Parts,
    asked: tuple[Holders, InferenceClient],
    lives: tuple[ChatLife, EmbeddingLife, KnowledgeAdministration],
) -> Tidying:
    holders, providers = asked
    return have_jobs_run(parts.jobs, settings, (holders, parts.ledger, parts.in_background), lives, providers)


def _deferred(
    settings: Settings, parts: Parts, models: ModelDirectory
) -> tuple[Gate, DeferringParts, RepeatedCalls, BackgroundParts]:
    gate = Gate(models, parts.limits.book, parts.limits.limiter)
    deferring = deferring_parts(settings, parts.jobs, parts.idempotency, gate)
    background = background_parts(settings, parts.engine, parts.jobs, deferring, gate)
    return gate, deferring, RepeatedCalls(deferring.repeats, deferring.marks, deferring.kept), background


def _for_people(parts: Parts, reception: Reception) -> tuple[ExperimentServicer, LedgerServicer, ReviewServicer]:
    actor_of = actors_of(reception)
    return (
        ExperimentServicer(parts.experiments.administration, actor_of),
        LedgerServicer(parts.book.administration, actor_of),
        parts.reviews.servicer(reviewers_of(actor_of)),
    )


def _wire_formats(
    own: GatewaySettings,
    opened: tuple[Parts, DeferringParts, BackgroundParts],
    reception: Reception,
    served: tuple[ChatLife, EmbeddingLife, OtherLives, ModelDirectory, StoresParts, UsageReading],
) -> WireFormats:
    life, embeddings, others, models, stores, usage = served
    parts, deferring, background = opened
    return WireFormats(
        WireFormatsParts(
            reception=reception,
            bodies=Bodies(own.body_bounds, parts.readers),
            life=life,
            embeddings=embeddings,
            questions=others.questions,
            relays=others.relays,
            models=models,
            stores=stores,
            desk=parts.jobs.batches.desk,
            kept=KeptAnswersParts(parts.responses.responses, parts.responses.ended, background),
            usage=usage,
            observer=parts.observer,
            deferring=deferring,
            idempotency=IdempotentRoutes(parts.idempotency.calls, parts.idempotency.marks, own.unary_timeout),
            timing=StreamTiming(own.hold_back, own.keep_alive),
            started_at=int(time.time()),
        )
    )


def _life_parts(
    settings: Settings,
    channels: Channels,
    parts: Parts,
    visits: VisitParts,
    services: tuple[RouterClient, Cache, InferenceClient, ContextCompression, Retrieval],
) -> LifeParts:
    router, cache, inference, compression, retrieval = services
    return LifeParts(
        visits=visits,
        input_steps=(),
        rails=parts.guardrails.rails,
        guarding=parts.guardrails.parts,
        compression=compression,
        retrieval=retrieval,
        cache=cache,
        router=router,
        generator=inference,
        inference_is_here=channels.inference_is_here,
        matches_meaning=settings.cache.mode == "semantic",
        ladders=parts.ladders,
        forks=parts.forks,
        flights=parts.flights,
        prompts=parts.prompts,
        experiments=parts.experiments.experiments,
        shadows=parts.experiments.shadows,
        structured=parts.structured,
        pace=None if settings.cache.replay_pace == "instant" else Pace(settings.cache.replay_pace),
    )


def _rules(settings: Settings, channels: Channels, embedder: TextEmbedder, parts: Parts) -> Asked:
    """Make the rules ready, and return whom they ask."""
    asked = Asked(None if channels.embedding is None else embedder, parts.guardrails.http)
    parts.guardrails.rails.take_over(pipelines_of(settings, asked))
    return asked


def _retrieval(settings: Settings, channels: Channels, router: RouterClient) -> Retrieval:
    if channels.embedding is None:
        return Retrieval(uses_by_name(settings))
    return Retrieval(uses_by_name(settings), knowledge_of(settings, channels), router)


def _admin(
    keyring: Keyring, parts: Parts, cache: CachePorts, inference: InferenceClient, reception: Reception
) -> AdminServicer:
    return AdminServicer(
        Administration.over(keyring, SqlRegistry(parts.engine), cache, inference), actors_of(reception)
    )


def _prompts(keyring: Keyring, parts: Parts, reception: Reception) -> PromptServicer:
    administration = PromptAdministration(keyring.directory, SqlRegistry(parts.engine), parts.prompts.forget)
    return PromptServicer(administration, actors_of(reception))


def _cache_ports(channels: Channels, cache: Cache, router: RouterClient) -> CachePorts:
    entries = NoKeptEntries() if channels.cache is None else CacheEntriesClient(channels.cache)
    return CachePorts(cache, entries, router)


def _reporter(parts: Parts, channels: Channels, inference: InferenceClient, store: SqlKeyStore) -> StatusReporter:
    checks = {"The database": store.answers, "Redis": parts.limits.limiter.answers}
    return StatusReporter(parts.door, parts.traffic, inference, checks, channels.revision)


def _http_limits(settings: Settings) -> HttpLimits:
    own = settings.gateway
    return HttpLimits(
        max_body_bytes=own.max_body_bytes,
        write_seconds=own.write_timeout.total_seconds(),
        joins_forwarded=bool(settings.listen.trusted_proxies),
    )


def _cache(settings: Settings, channels: Channels, in_background: StartWork) -> Cache:
    if channels.cache is None:
        return NoCache()
    own = settings.gateway
    return CacheClient(
        channels.cache,
        own.cache_lookup_timeout,
        own.cache_store_timeout,
        None if channels.cache_is_here else in_background,
    )


def _reception(
    settings: Settings,
    access: tuple[Keyring, SqlKeyStore, Holders, TokenAuthenticator | None],
    parts: Parts,
    input_steps: tuple[ContextCompression, Retrieval, Asked],
) -> tuple[Reception, Prepare]:
    """Return who lets requests in, and what makes other tenants, tiers, keys, ladders and forks ready."""
    keyring, store, holders, tokens = access
    own, pepper = settings.gateway, keyring.pepper
    compression, retrieval, asked = input_steps
    keys, trust = settings.configured_keys(pepper), own.key_freshness
    authenticator = Authenticator(
        pepper, keyring.directory, keys, store, parts.in_background, freshness=trust, tokens=tokens
    )

    async def prepare(changed: Settings) -> Commit:
        terms, configured = changed.directory().terms, changed.configured_keys(pepper)
        by_name, on_budget = changed.ladders(), changed.on_budget()
        take_experiments_over = await parts.experiments.prepare(changed)
        note_prices = parts.book.prepare(changed, parts.in_background)
        take_budgets_over = parts.limits.budgets.prepare(changed)
        compressed, schema_terms = terms_by_name(changed), schema_terms_by_name(changed)
        rewriter, searched, rules = (
            rewriter_for(compressed.values()),
            uses_by_name(changed),
            pipelines_of(changed, asked),
        )

        def commit() -> None:
            authenticator.take_over(terms, configured)
            holders.take_over(configured.values())
            parts.ladders.take_over(by_name, on_budget)
            take_experiments_over()
            note_prices()
            take_budgets_over()
            parts.forks.take_over(changed.forks())
            compression.take_over(compressed, rewriter)
            parts.structured.take_over(schema_terms)
            retrieval.take_over(searched)
            parts.guardrails.rails.take_over(rules)

        return commit

    reception = Reception(
        parts.door,
        authenticator,
        TraceStarter(settings.telemetry.sample_ratio, random.Random()),  # noqa: S311 - ids, not secrets
        Timeouts(own.unary_timeout, own.stream_timeout),
        ClientAddresses(
            read_token(settings.secrets.edge_token_file, "secrets.edge_token_file"),
            settings.listen.trusted_networks,
            settings.telemetry.parent_sampling,
        ),
    )
    return reception, prepare


ROLE = Role(Settings, running, calls=("router", "inference"), may_call=("cache", "embedding"))
