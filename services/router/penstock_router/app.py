"""The router's composition root."""

from __future__ import annotations

import random
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import partial

from penstock_common.contract.wire.router import LIST_MODELS, ROUTE
from penstock_common.llm.types import Candidate
from penstock_common.sections import PublicModel as PublicModelSettings
from penstock_common.sections import split_candidate
from penstock_common.service import Commit, Role, Service
from penstock_router.domain.catalogue import Catalogue, PublicModel, UpstreamModel, digest_of
from penstock_router.domain.routing import Router
from penstock_router.settings import Settings
from penstock_router.surfaces.servicer import RouterServicer


@asynccontextmanager
async def build(settings: Settings) -> AsyncGenerator[Service, None]:
    """Yield the router; it holds nothing that needs closing."""
    servicer = RouterServicer(_router(settings))

    async def prepare(changed: Settings) -> Commit:
        # Plans that are remembered are the earlier router's.
        return partial(servicer.take_over, _router(changed))

    handlers = ROUTE.served_by(servicer.route), LIST_MODELS.served_by(servicer.list_models)
    yield Service("router", handlers, prepare=prepare)


def _router(settings: Settings) -> Router:
    return Router(catalogue_from(settings), random.Random())  # noqa: S311 - shares out load


def catalogue_from(settings: Settings) -> Catalogue:
    """Return the catalogue that the settings describe."""
    upstream_models = {
        (upstream.name, model.name): UpstreamModel(
            candidate=Candidate(upstream=upstream.name, model=model.name),
            region=upstream.region,
            context_window_tokens=model.context_window,
            capabilities=frozenset(model.capabilities),
            prices=model.price.unit_prices(),
            has_price="price" in model.model_fields_set,
            identity=(*upstream.identity, *model.identity),
        )
        for upstream in settings.upstreams
        for model in upstream.models
    }
    return Catalogue([_public_model(model, upstream_models) for model in settings.models])


def _public_model(settings: PublicModelSettings, known: dict[tuple[str, str], UpstreamModel]) -> PublicModel:
    candidates = tuple(known[split_candidate(candidate)] for candidate in settings.candidates)
    weights = {known[split_candidate(name)].candidate: weight for name, weight in settings.weights.items()}
    return PublicModel(
        name=settings.name,
        candidates=candidates,
        weights=weights,
        digest=digest_of(candidates, weights),
        unsupported=settings.unsupported,
    )


ROLE = Role(Settings, build)
