"""What the router reads of the configuration: no provider's key, and of its address only whether it is another."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, ClassVar, Self, cast

from pydantic import ConfigDict, Field, model_validator

from penstock_common.configuration import MAX_INT32, RELOADED, Duration, Section, resolved_if_possible
from penstock_common.contract.router import Policy
from penstock_common.degradation import fault_of_on_budget, faults_of_ladders
from penstock_common.faults import KeyPath, nearest, refuse
from penstock_common.prices import Price
from penstock_common.routes import (
    Balance,
    ScoreByTask,
    TenantRouting,
    TokensByTask,
    by_task,
    faults_of_routes,
    unseen_tasks,
)
from penstock_common.sections import PublicModel, Redis
from penstock_router.domain.figures import PolicyRules, Wants, Weights
from penstock_router.domain.preference import PreferenceRules
from penstock_router.domain.sight import DriftRules


class _WithIdentity(Section):
    """Of what routing does not care about, keeps what decides who answers, and forgets all else: keys above all."""

    model_config = ConfigDict(extra="allow")
    told_by: ClassVar[tuple[str, ...]]

    @model_validator(mode="before")
    @classmethod
    def _forget(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        wanted = {*cls.model_fields, *cls.told_by}
        return {name: value for name, value in cast("dict[str, Any]", data).items() if name in wanted}

    @property
    def identity(self) -> tuple[str, ...]:
        """Return what tells it from another of its name."""
        known = self.model_extra or {}
        return tuple(resolved_if_possible(known.get(name, "")) for name in self.told_by)


class UpstreamModelSettings(_WithIdentity):
    """A model at an upstream, as far as routing cares."""

    told_by = ("chat_template",)

    name: str
    context_window: Annotated[int, Field(gt=0, le=MAX_INT32)]
    capabilities: list[str] = ["chat"]
    price: Price | None = None
    service_tiers: dict[str, Any] = {}
    quality: ScoreByTask | None = None
    output_tokens: TokensByTask | None = None


class UpstreamSettings(_WithIdentity):
    """An upstream, as far as routing cares."""

    told_by = ("provider", "base_url", "base_urls", "grpc")

    name: str
    region: str = ""
    models: list[UpstreamModelSettings] = []

    @property
    def kind(self) -> str:
        """Return the provider that it is."""
        return str((self.model_extra or {}).get("provider", ""))


class ClassifierSettings(Section):
    """How prompts are looked at for models with ``routes``."""

    weights: Path | None = None
    """A file of `tools/train_router`, trained on prompts of your own; unset: the weights that come with Penstock."""
    shadow: Path | None = None
    """Such a file that reads each prompt beside the weights that decide, and decides nothing: where it would have sent requests
    is in `penstock_router_shadowed_total` and in each plan's reason. It takes a prompt as long again, some 0.2 ms."""
    task_confidence: Annotated[float, Field(ge=0, le=1)] = 0.6
    """A prompt whose task is less sure than this takes the route `default`."""
    complexity_confidence: Annotated[float, Field(ge=0, le=1)] = 0.4
    """So does one whose complexity is less sure than this."""
    embedding_timeout: Annotated[Duration, Field(gt=timedelta())] = timedelta(milliseconds=50)
    """What the prompt's vector may take; without it a decision goes by the prompt's words alone, and says so."""


class DriftSettings(Section):
    """When prompts count as others than usual, by task and complexity (``penstock_router_drift``)."""

    recent: Annotated[Duration, Field(gt=timedelta())] = timedelta(hours=1)
    """After so long a prompt counts half among the recent ones."""
    usual: Annotated[Duration, Field(gt=timedelta())] = timedelta(days=7)
    """After so long it counts half among the usual ones."""
    least: Annotated[float, Field(gt=0)] = 200.0
    """While recent prompts count for less than so many together, nothing is told: chance would be."""

    @model_validator(mode="after")
    def _usable(self) -> Self:
        if self.recent >= self.usual:
            refuse([(("recent",), "it must be shorter than 'usual', or the two are never apart")])
        return self

    def rules(self) -> DriftRules:
        """Return the numbers as the domain takes them."""
        return DriftRules(self.recent.total_seconds(), self.usual.total_seconds(), self.least)


class RouterSettings(Section):
    """How the router hears of upstreams, and what it makes of it."""

    classifier: ClassifierSettings = ClassifierSettings()
    """For models with ``routes``."""
    drift: DriftSettings = DriftSettings()
    """For models with ``routes``, too."""

    listen_every: Duration = timedelta(milliseconds=500)
    """How often it reads what inference says of its upstreams: in its own process, else in ``redis.state``."""
    believed_for: Duration = timedelta(seconds=5)
    """After so long without another word what was said counts for nothing, and plans are those of the configuration."""
    latency_margin: Annotated[float, Field(ge=0)] = 0.2
    """With `policy: latency`, by how much of its own time another must be faster to come before the first."""
    latency_answer_tokens: Annotated[int, Field(ge=1, le=MAX_INT32)] = 100
    """With `policy: latency` and `balanced`, the usual time to so many tokens is compared; 1: to the first. Where nobody knows how
    fast the tokens of one of the candidates come, it is the first's of all."""
    explore_ratio: Annotated[float, Field(ge=0, le=1)] = 0.02
    """With `policy: latency`, the share of requests that goes to candidates whose latency is not known, while there are some."""
    measured_for: Duration = timedelta(minutes=1)
    """After so long without an answer a candidate's latency is not known any more, for ``explore_ratio``."""
    quality_every: Duration = timedelta(seconds=15)
    """How often it reads what feedback says of candidates: in its own process, else in ``redis.state``."""

    balance: Balance = Balance()
    """With `policy: balanced`, what counts how much, where the tenant has no ``routing`` of its own."""
    quality_prior: Annotated[float, Field(ge=0, le=1)] = 0.5
    """The quality of a candidate of which nobody has said any."""
    quality_prior_weight: Annotated[float, Field(gt=0)] = 20.0
    """Of how many judgements in feedback a configured quality, or ``quality_prior``, is worth."""
    output_tokens: TokensByTask = 400
    """What an answer is taken to have where its model says nothing and too few were seen: a number, or numbers by task with
    `default` for the rest.
    A request's own limit holds where it is less."""

    @model_validator(mode="after")
    def _usable(self) -> Self:
        values = {
            name: value for name in type(self).model_fields if isinstance(value := getattr(self, name), timedelta)
        }
        refuse(((name,), "it must be longer than nothing") for name, value in values.items() if value <= timedelta())
        if self.believed_for <= self.listen_every:
            refuse([(("believed_for",), "it must be longer than 'listen_every', or nothing is ever believed")])
        return self

    def rules(self) -> PreferenceRules:
        """Return the numbers as the domain takes them."""
        return PreferenceRules(
            self.latency_margin, self.explore_ratio, self.measured_for.total_seconds(), self.latency_answer_tokens
        )


class TenantSettings(Section):
    """A tenant, as far as routing cares."""

    model_config = ConfigDict(extra="ignore")

    name: str
    routing: TenantRouting = TenantRouting()


class Settings(Section):
    """The router's sections."""

    upstreams: Annotated[list[UpstreamSettings], RELOADED] = []
    models: Annotated[list[PublicModel], RELOADED] = []
    """What callers ask for, each with the candidates that may answer."""
    tenants: Annotated[list[TenantSettings], RELOADED] = []
    router: RouterSettings = RouterSettings()
    redis: Redis = Redis()

    def policy_rules(self) -> PolicyRules:
        """Return what policies go by, as the domain takes it."""
        own = self.router
        tenants = {tenant.name: _wants(tenant.routing) for tenant in self.tenants}
        return PolicyRules(
            quality=own.quality_prior,
            quality_weight=own.quality_prior_weight,
            output_tokens=by_task(own.output_tokens),
            answer_tokens=own.latency_answer_tokens,
            weights=Weights(own.balance.cost, own.balance.latency, own.balance.quality),
            tenants={name: wants for name, wants in tenants.items() if wants != Wants()},
        )

    @model_validator(mode="after")
    def _consistent(self) -> Settings:
        known = {f"{upstream.name}/{model.name}" for upstream in self.upstreams for model in upstream.models}
        names: set[str] = set()
        faults: list[tuple[KeyPath, str]] = []
        plain = {model.name for model in self.models if model.candidates}
        forks = {model.name for model in self.models if model.routes}
        for index, model in enumerate(self.models):
            faults += [
                (("models", index, *below), text)
                for below, text in (
                    *faults_of_routes(model.name, model.rules, model.routes, plain, forks),
                    *([] if self.router.classifier.weights else unseen_tasks(model.name, model.rules, model.routes)),
                )
            ]
            path = ("models", index)
            if model.name in names:
                faults.append(((*path, "name"), f"the model '{model.name}' is defined twice"))
            names.add(model.name)
            faults += [((*path, *below), text) for below, text in _at_odds(model, known)]
        for index, found in enumerate(faults_of_ladders([(model.name, model.degradation) for model in self.models])):
            faults += [(("models", index, "degradation", *below), text) for below, text in found]
        for index, model in enumerate(self.models):
            if text := fault_of_on_budget(model.name, model.on_budget, names):
                faults.append((("models", index, "on_budget", "model"), text))
        refuse(faults)
        return self


def _wants(routing: TenantRouting) -> Wants:
    weights = routing.weights()
    return Wants(
        None if routing.policy is None else Policy(routing.policy), None if weights is None else Weights(*weights)
    )


def _at_odds(model: PublicModel, known: set[str]) -> Iterator[tuple[KeyPath, str]]:
    if model.routes and model.candidates:
        yield ("routes",), f"the model '{model.name}' has candidates too; give those a public model of their own"
    if model.policy and model.weights:
        text = f"the model '{model.name}' has a policy too, and only one of them can say who comes first: leave one out"
        yield ("weights",), text
    if not model.candidates and not model.routes:
        yield ("candidates",), f"the model '{model.name}' names no candidates"
    yield from _candidates_at_odds(model, known)


def _candidates_at_odds(model: PublicModel, known: set[str]) -> Iterator[tuple[KeyPath, str]]:
    for index, candidate in enumerate(model.candidates):
        if candidate not in known:
            text = f"the model '{model.name}' names the candidate '{candidate}', which no upstream has"
            yield ("candidates", index), text + nearest(candidate, known)
    for candidate in model.weights:
        if candidate not in model.candidates:
            text = f"the model '{model.name}' weighs '{candidate}', which is not among its candidates"
            yield ("weights", candidate), text + nearest(candidate, model.candidates)
    if model.weights and not any(model.weights.values()):
        yield ("weights",), f"the model '{model.name}' gives nobody any weight"
