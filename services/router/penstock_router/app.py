"""The router's composition root."""

from __future__ import annotations

import random
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial

from penstock_common.background import running
from penstock_common.configuration import ConfigurationError
from penstock_common.contract.wire.router import LIST_MODELS, ROUTE
from penstock_common.llm.types import Candidate
from penstock_common.prices import unit_prices_of
from penstock_common.routes import RouteRule
from penstock_common.rpc.client import Channel
from penstock_common.sections import PublicModel as PublicModelSettings
from penstock_common.sections import split_candidate
from penstock_common.service import Commit, Role, Service
from penstock_common.upstreams.state import Board
from penstock_router.adapters.embedding import EmbeddingClient
from penstock_router.adapters.listener import Listener, Source
from penstock_router.domain.catalogue import Catalogue, PublicModel, UpstreamModel, digest_of
from penstock_router.domain.choosing import Chooser
from penstock_router.domain.forks import Fork, Rule
from penstock_router.domain.routing import Router
from penstock_router.settings import Settings
from penstock_router.surfaces.servicer import RouterServicer


@asynccontextmanager
async def build(
    settings: Settings, board: Board | None = None, embedding: Channel | None = None
) -> AsyncGenerator[Service, None]:
    """Yield the router; the ``board`` is where the inference service of the same process says how upstreams are.

    ``embedding`` is where the embedding service is, if there is one: models with routes decide better with it.

    Raises:
        ConfigurationError: if the address of Redis cannot be one.
    """
    servicer = RouterServicer(_router(settings), _chooser(settings, embedding))

    async def prepare(changed: Settings) -> Commit:
        # Plans that are remembered are the earlier router's.
        return partial(servicer.take_over, _router(changed), _chooser(changed, embedding))

    async with AsyncExitStack() as stack:
        source = board or await _source(settings, stack)
        if source is not None:
            listener = Listener(source, servicer.hear, settings.router.believed_for.total_seconds())
            await listener.listen()
            every_seconds = settings.router.listen_every.total_seconds()
            await stack.enter_async_context(running(listener.run(every_seconds)))
        handlers = ROUTE.served_by(servicer.route), LIST_MODELS.served_by(servicer.list_models)
        yield Service("router", handlers, prepare=prepare)


async def _source(settings: Settings, stack: AsyncExitStack) -> Source | None:
    if not settings.redis.state:
        return None
    # Who has no Redis waits for none of its library.
    from penstock_common.redis_connection import RedisConnection
    from penstock_common.upstreams.redis_feed import RedisFeed

    try:
        connection = RedisConnection(settings.redis.state)
    except ValueError as error:
        raise ConfigurationError(f"'redis.state': {error}") from None
    await stack.enter_async_context(connection)
    return RedisFeed(connection, settings.router.believed_for.total_seconds())


def _router(settings: Settings) -> Router:
    rules = settings.router.rules()
    return Router(catalogue_from(settings), random.Random(), rules)  # noqa: S311 - shares out load


def _chooser(settings: Settings, embedding: Channel | None) -> Chooser:
    forks = {model.name: _fork(model) for model in settings.models if model.routes}
    if not any(fork.needs_reading for fork in forks.values()):
        return Chooser(forks, None, None)
    timeout = settings.router.classifier.embedding_timeout
    return Chooser(forks, None, None if embedding is None else EmbeddingClient(embedding, timeout))


def _fork(model: PublicModelSettings) -> Fork:
    routes = {task: to if isinstance(to, str) else to.by_level() for task, to in model.routes.items()}
    return Fork(model.name, tuple(map(_rule, model.rules)), routes)


def _rule(rule: RouteRule) -> Rule:
    return Rule(
        to=rule.to,
        tasks=frozenset(rule.tasks),
        levels=frozenset(rule.complexity),
        tenants=frozenset(rule.tenants),
        tags=frozenset(rule.tags.items()),
        above_tokens=rule.above_tokens,
        up_to_tokens=rule.up_to_tokens,
    )


def catalogue_from(settings: Settings) -> Catalogue:
    """Return the catalogue that the settings describe."""
    upstream_models = {
        (upstream.name, model.name): UpstreamModel(
            candidate=Candidate(upstream=upstream.name, model=model.name),
            region=upstream.region,
            context_window_tokens=model.context_window,
            capabilities=frozenset(model.capabilities),
            prices=unit_prices_of(model.price),
            identity=(*upstream.identity, *model.identity),
            provider=upstream.kind,
            service_tiers=frozenset(model.service_tiers),
        )
        for upstream in settings.upstreams
        for model in upstream.models
    }
    return Catalogue([_public_model(model, upstream_models) for model in settings.models if model.candidates])


def _public_model(settings: PublicModelSettings, known: dict[tuple[str, str], UpstreamModel]) -> PublicModel:
    candidates = tuple(known[split_candidate(candidate)] for candidate in settings.candidates)
    weights = {known[split_candidate(name)].candidate: weight for name, weight in settings.weights.items()}
    prefers_fast = settings.policy == "latency"
    return PublicModel(
        name=settings.name,
        candidates=candidates,
        weights=weights,
        digest=digest_of(candidates, weights, prefers_fast=prefers_fast),
        unsupported=settings.unsupported,
        prefers_fast=prefers_fast,
    )


ROLE = Role(Settings, build, may_call=("embedding",), meets=("inference",))
