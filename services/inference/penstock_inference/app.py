"""The inference service's composition root."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING

from penstock_common.background import running
from penstock_common.key_material import read_key_material
from penstock_common.service import Commit, Role, Service
from penstock_common.upstreams.state import Board
from penstock_inference.adapters.providers.open_upstreams import OpenUpstreams, PoolsOfRevision
from penstock_inference.adapters.providers.provider import ModelsOfUpstream
from penstock_inference.adapters.providers.registry import PROVIDERS
from penstock_inference.adapters.telemetry import AttemptTelemetry, HealthMetrics, LimitMetrics
from penstock_inference.configured import catalogue_from
from penstock_inference.domain.catalogue import Catalogue
from penstock_inference.domain.generation import GenerationParts, Pauses
from penstock_inference.domain.health.registry import Health
from penstock_inference.domain.health.summary import summary
from penstock_inference.domain.hedging import Hedging
from penstock_inference.domain.model_control import ModelAdministration
from penstock_inference.domain.probe import Watch
from penstock_inference.domain.reasoning.kept import KeptReasoning, SharedTurns
from penstock_inference.domain.relay import Relays
from penstock_inference.domain.revisions import Revision, Revisions
from penstock_inference.domain.upstream_batches import UpstreamBatches
from penstock_inference.domain.upstream_control import UpstreamControl, nobody_to_tell
from penstock_inference.settings import Settings
from penstock_inference.surfaces.grpc.questions import QuestionServicer
from penstock_inference.surfaces.grpc.relay import RelayServicer
from penstock_inference.surfaces.grpc.servicer import InferenceServicer
from penstock_inference.surfaces.grpc.upstream_batches import UpstreamBatchServicer

if TYPE_CHECKING:
    from penstock_inference.adapters.shared import Shared


@asynccontextmanager
async def build(
    settings: Settings, pauses: Pauses | None = None, health: Health | None = None, board: Board | None = None
) -> AsyncGenerator[Service, None]:
    """Yield the inference service, its connections open; ``pauses``, and a ``health`` with its own clock, are for tests.

    The ``board`` is where the router of the same process reads how upstreams are.

    Raises:
        ConfigurationError: if an upstream's or Redis' address, or a chat template cannot be used.
    """
    telemetry, hedging = AttemptTelemetry(), Hedging(settings.hedging.rules())
    health = health or Health(settings.health.rules())
    health.observer = metrics = HealthMetrics(health)
    if board is not None:
        board.tell = partial(summary, health)
    async with AsyncExitStack() as stack:
        shared = await _shared(settings, health, stack)
        limits, known = (None, None) if shared is None else (shared.limits, shared.health)
        upstreams = await stack.enter_async_context(OpenUpstreams.opening(health, limits))
        watch = Watch(health, known)
        kept = KeptReasoning(settings.reasoning.rules(), await _shared_reasoning(settings, stack))

        async def revision_of(changed: Settings) -> tuple[Revision, PoolsOfRevision]:
            pools, catalogue = await upstreams.of(changed.upstreams), catalogue_from(changed)
            models = {name: one.models for name, one in pools.upstreams.items() if one.models is not None}
            hedged = changed.hedging.of(hedging)
            parts = GenerationParts(pools, catalogue, pauses or Pauses(), telemetry, hedged, kept)
            relays = Relays({one.name: one.raw.terms(one.region) for one in changed.upstreams}, pools)
            batches = UpstreamBatches(catalogue, parts)
            return Revision(catalogue, parts, _administration(catalogue, models, batches), relays, batches), pools

        first, pools = await revision_of(settings)
        revisions = Revisions(first)
        watch.look_after(pools, first.catalogue)
        # Who holds them keeps upstreams open that no later revision has.
        del first, pools
        if shared is not None:
            await shared.go_on(settings.health.share_every.total_seconds(), stack)
        await stack.enter_async_context(running(watch.run()))

        async def prepare(changed: Settings) -> Commit:
            revision, pools = await revision_of(changed)

            def commit() -> None:
                revisions.take_over(revision, changed.reload.earlier_plans)
                watch.look_after(pools, revision.catalogue)
                hedging.rules, kept.rules = changed.hedging.rules(), changed.reasoning.rules()
                hedging.keep_only(model.candidate for model in revision.catalogue)

            return commit

        share = nobody_to_tell if known is None else known.exchange
        servicer = InferenceServicer(revisions, UpstreamControl(health, upstreams.gates, share))
        handlers = (
            *servicer.handlers(),
            *QuestionServicer(revisions).handlers(),
            *RelayServicer(revisions).handlers(),
            *UpstreamBatchServicer(revisions).handlers(),
        )
        yield Service("inference", handlers, [telemetry, metrics, LimitMetrics(upstreams.gates)], prepare)


async def _shared(settings: Settings, health: Health, stack: AsyncExitStack) -> Shared | None:
    if not settings.redis.state:
        return None
    # Who has no Redis waits for none of its library.
    from penstock_inference.adapters.shared import sharing

    return await stack.enter_async_context(sharing(settings.redis.state, health))


async def _shared_reasoning(settings: Settings, stack: AsyncExitStack) -> SharedTurns | None:
    url, key = settings.redis.cache or settings.redis.state, settings.secrets.cache_key_file
    if not url or key is None or not settings.reasoning.memory_turns:
        return None
    from penstock_inference.adapters.shared_reasoning import sharing_reasoning

    secret = read_key_material(key, "secrets.cache_key_file")
    return await stack.enter_async_context(sharing_reasoning(url, secret))


@asynccontextmanager
async def open_models(settings: Settings) -> AsyncGenerator[ModelAdministration]:
    """Yield the models' administration alone, for a command that needs no more of the service."""
    async with AsyncExitStack() as stack:
        models = {
            upstream.name: await stack.enter_async_context(opening(upstream))
            for upstream in settings.upstreams
            if (opening := PROVIDERS[upstream.provider].open_models) is not None
        }
        yield _administration(catalogue_from(settings), models)


def _administration(
    catalogue: Catalogue, models: Mapping[str, ModelsOfUpstream], batches: UpstreamBatches | None = None
) -> ModelAdministration:
    tellers = {name: one.states for name, one in models.items()}
    controls = {name: one.control for name, one in models.items() if one.control is not None}
    if batches is None:
        return ModelAdministration(catalogue, tellers, controls)
    return ModelAdministration(catalogue, tellers, controls, batches.takes)


ROLE = Role(Settings, build, meets=("router",))
