"""How the configuration says which public model a request goes to that leaves the choice to the router."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Annotated, Literal, Self, get_args

from pydantic import Field, model_validator

from penstock_common.configuration import Section
from penstock_common.degradation import Task
from penstock_common.faults import KeyPath, nearest, refuse_key

Policy = Literal["balanced", "cost", "latency", "quality"]

TASKS: tuple[str, ...] = get_args(Task)
Complexity = Literal["low", "medium", "high"]
LEVELS: tuple[Complexity, ...] = ("low", "medium", "high")
OTHERWISE = "default"
"""The route of what has none of its own, and of prompts that tell too little."""
Tokens = Annotated[int, Field(gt=0)]
Weight = Annotated[float, Field(ge=0, le=1_000_000)]
Score = Annotated[float, Field(ge=0, le=1)]
ScoreByTask = Score | dict[str, Score]
TokensByTask = Tokens | dict[str, Tokens]


class ByComplexity(Section):
    """Public models by how much work a prompt asks for; a level without one takes the next above it, else the next below."""

    low: str = ""
    """For one fact, one step, one or two lines."""
    medium: str = ""
    """For several steps or conditions."""
    high: str = ""
    """For several components or documents, a proof, performance."""

    @model_validator(mode="after")
    def _names_somebody(self) -> Self:
        if not any(self.by_level().values()):
            refuse_key("it names no model: say low, medium or high")
        return self

    def by_level(self) -> dict[str, str]:
        """Return the named models by level."""
        return {level: name for level in LEVELS if (name := getattr(self, level))}


class Balance(Section):
    """What counts how much under the policy `balanced`; only what the three are beside one another matters."""

    cost: Weight = 1.0
    """That an answer is cheap."""
    latency: Weight = 1.0
    """That it comes soon."""
    quality: Weight = 1.0
    """That it is good."""

    @model_validator(mode="after")
    def _weighs_something(self) -> Self:
        if not self.cost + self.latency + self.quality:
            refuse_key("nothing counts: one of cost, latency and quality must be more than 0")
        return self


class TenantRouting(Section):
    """How candidates are put in order for a tenant, of models with `routes` or a `policy`."""

    policy: Policy | None = None
    """In the place of the model's own; the header `x-penstock-policy` counts more. Not said: the model's own."""
    cost: Weight | None = None
    """As in `router.balance`; where none of the three is said, it is that."""
    latency: Weight | None = None
    """As in `router.balance`; not said, beside another: 0."""
    quality: Weight | None = None
    """As in `router.balance`; not said, beside another: 0."""

    @model_validator(mode="after")
    def _weighs_something(self) -> Self:
        if (weights := self.weights()) is not None and not sum(weights):
            refuse_key("nothing counts: one of cost, latency and quality must be more than 0")
        return self

    def weights(self) -> tuple[float, float, float] | None:
        """Return what counts how much of cost, latency and quality; None where nothing is said."""
        said = self.cost, self.latency, self.quality
        if all(weight is None for weight in said):
            return None
        return self.cost or 0.0, self.latency or 0.0, self.quality or 0.0


def by_task(number: float | Mapping[str, float] | None) -> dict[str, float]:
    """Return numbers by task of what may be one number for all."""
    if number is None:
        return {}
    return dict(number) if isinstance(number, Mapping) else {OTHERWISE: number}


class RouteRule(Section):
    """A choice that comes before the routes: the first rule all of whose conditions hold decides."""

    to: str
    """The public model."""
    tasks: list[str] = []
    """One of these tasks."""
    complexity: list[Complexity] = []
    """One of these levels."""
    tenants: list[str] = []
    """A request of one of these tenants."""
    tags: dict[str, str] = {}
    """A request with all of these tags."""
    above_tokens: Tokens | None = None
    """More input than this, at four bytes a token."""
    up_to_tokens: Tokens | None = None
    """No more input than this, at four bytes a token."""

    @property
    def needs_reading(self) -> bool:
        """Whether the prompt has to be looked at for it."""
        return bool(self.tasks or self.complexity)

    def covers(self, other: RouteRule) -> bool:
        """Return whether it holds wherever the other does, so that one behind it never decides."""
        return (
            _all_named(self.tasks, other.tasks)
            and _all_named(self.complexity, other.complexity)
            and _all_named(self.tenants, other.tenants)
            and self.tags.items() <= other.tags.items()
            and (self.above_tokens or 0) <= (other.above_tokens or 0)
            and (self.up_to_tokens is None or (other.up_to_tokens or self.up_to_tokens + 1) <= self.up_to_tokens)
        )


Route = str | ByComplexity


def models_of(route: Route) -> tuple[str, ...]:
    """Return the public models that a route names."""
    return (route,) if isinstance(route, str) else tuple(route.by_level().values())


def faults_of_routes(
    name: str, rules: Sequence[RouteRule], routes: Mapping[str, Route], plain: Collection[str], forks: Collection[str]
) -> Iterator[tuple[KeyPath, str]]:
    """Yield what is wrong with how the model ``name`` is routed; ``plain`` models have candidates, ``forks`` routes."""
    named: list[tuple[KeyPath, str]] = [(("rules", at, "to"), rule.to) for at, rule in enumerate(rules)]
    for task, route in routes.items():
        if isinstance(route, str):
            named.append((("routes", task), route))
        else:
            named += [(("routes", task, level), model) for level, model in route.by_level().items()]
    for path, target in named:
        if target == name:
            yield path, f"the model '{name}' leads to itself; name a model with candidates"
        elif target in forks:
            yield path, f"the model '{name}' leads to '{target}', which has routes too; name a model with candidates"
        elif target not in plain:
            yield path, f"the model '{name}' leads to '{target}', which is no public model{nearest(target, plain)}"
    yield from _faults_of_order(name, rules)
    if rules and not routes:
        yield (
            ("routes",),
            f"the model '{name}' has rules and no routes: say at least where the rest goes, as '{OTHERWISE}'",
        )


def unseen_tasks(name: str, rules: Sequence[RouteRule], routes: Mapping[str, Route]) -> Iterator[tuple[KeyPath, str]]:
    """Yield the tasks of a model's rules and routes that no prompt is ever seen to be of, by the weights that we ship."""
    named: list[tuple[KeyPath, str]] = [(("routes", task), task) for task in routes if task != OTHERWISE]
    named += [(("rules", at, "tasks"), task) for at, rule in enumerate(rules) for task in rule.tasks]
    for path, task in named:
        if task not in TASKS:
            text = f"the model '{name}' names the task '{task}', which no prompt is ever seen to be of"
            yield path, text + nearest(task, TASKS)


def _faults_of_order(name: str, rules: Sequence[RouteRule]) -> Iterator[tuple[KeyPath, str]]:
    for at, rule in enumerate(rules):
        if rule.up_to_tokens is not None and rule.up_to_tokens <= (rule.above_tokens or 0):
            yield ("rules", at, "up_to_tokens"), f"no request of '{name}' has more tokens than it and no more than it"
        before = next((earlier for earlier in range(at) if rules[earlier].covers(rule)), None)
        if before is not None:
            yield ("rules", at), f"it never decides: rule {before + 1} of '{name}' holds wherever this one does"
        if rule.covers(_ANYTHING):
            yield ("rules", at), f"it has no condition, so that no route of '{name}' is ever taken; use '{OTHERWISE}'"


def _all_named(mine: Sequence[str], others: Sequence[str]) -> bool:
    return not mine or (bool(others) and set(others) <= set(mine))


_ANYTHING = RouteRule(to="")
