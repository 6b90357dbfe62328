"""What the settings describe, as the domain has it."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

from penstock_common.configuration import ConfigurationError
from penstock_common.contract.router import Policy
from penstock_common.llm.types import Candidate, UnitPrices
from penstock_common.prices import Price, unit_prices_of
from penstock_common.routes import RouteRule, by_task
from penstock_common.sections import PublicModel as PublicModelSettings
from penstock_common.sections import split_candidate
from penstock_router.domain.catalogue import Catalogue, PublicModel, UpstreamModel, digest_of
from penstock_router.domain.forks import Fork, Rule
from penstock_router.settings import ClassifierSettings, Settings

if TYPE_CHECKING:
    from penstock_router.domain.classification.classifier import Classifier


def readers_from(settings: ClassifierSettings) -> tuple[Classifier, Classifier | None]:
    """Return what looks at prompts, and what looks at them beside it.

    Raises:
        ConfigurationError: if the file of weights cannot be read, or is none for this version.
    """
    # It brings numpy, which nobody else needs.
    from penstock_router.domain.classification.classifier import Classifier
    from penstock_router.domain.classification.model import Unusable, read

    def classifier(name: str, weights: Path | None) -> Classifier:
        try:
            model = None if weights is None else read(weights.read_bytes())
        except (OSError, Unusable) as error:
            raise ConfigurationError(f"'router.classifier.{name}': {error}") from None
        return Classifier(
            model, task_threshold=settings.task_confidence, complexity_threshold=settings.complexity_confidence
        )

    shadow = None if settings.shadow is None else classifier("shadow", settings.shadow)
    return classifier("weights", settings.weights), shadow


def fork_from(model: PublicModelSettings) -> Fork:
    """Return the fork that a model with routes is."""
    routes = {task: to if isinstance(to, str) else to.by_level() for task, to in model.routes.items()}
    return Fork(model.name, tuple(map(_rule, model.rules)), routes, _policy(model))


def _rule(rule: RouteRule) -> Rule:
    return Rule(
        to=rule.to,
        tasks=frozenset(rule.tasks),
        levels=frozenset(rule.complexity),
        tenants=frozenset(rule.tenants),
        tags=frozenset(rule.tags.items()),
        above_tokens=rule.above_tokens,
        up_to_tokens=rule.up_to_tokens,
        languages=frozenset(rule.languages),
        hours=rule.week_hours,
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
            price_steps=_price_steps(model.price),
            quality=by_task(model.quality),
            output_tokens=by_task(model.output_tokens),
        )
        for upstream in settings.upstreams
        for model in upstream.models
    }
    led_to = {name for model in settings.models if model.routes for name in fork_from(model).targets}
    return Catalogue([_public_model(model, upstream_models, led_to) for model in settings.models if model.candidates])


def _policy(model: PublicModelSettings) -> Policy | None:
    return None if model.policy is None else Policy(model.policy)


def _price_steps(price: Price | None) -> tuple[tuple[int, UnitPrices], ...]:
    return () if price is None else tuple((step.above_input_tokens, unit) for step, unit in price.unit_prices_above())


def _public_model(
    settings: PublicModelSettings, known: dict[tuple[str, str], UpstreamModel], led_to: Collection[str]
) -> PublicModel:
    candidates = tuple(known[split_candidate(candidate)] for candidate in settings.candidates)
    weights = {known[split_candidate(name)].candidate: weight for name, weight in settings.weights.items()}
    return PublicModel(
        name=settings.name,
        candidates=candidates,
        weights=weights,
        digest=digest_of(candidates, weights, _policy(settings)),
        unsupported=settings.unsupported,
        policy=_policy(settings),
        is_led_to=settings.name in led_to,
    )
