"""How the configuration says which public model a request goes to that leaves the choice to the router."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Annotated, Literal, Self, get_args
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, Field, model_validator

from penstock_common.configuration import Section
from penstock_common.degradation import Task
from penstock_common.faults import KeyPath, nearest, refuse_key
from penstock_common.hours import DAYS, MINUTES_OF_A_DAY, WeekHours
from penstock_common.languages import LANGUAGES

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
Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
_HOURS = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-(?:([01]\d|2[0-3]):([0-5]\d)|24:00)")


def _known_language(code: str) -> str:
    if code not in LANGUAGES:
        refuse_key("a language is two letters of ISO 639-1, such as de, without a region" + nearest(code, LANGUAGES))
    return code


def _known_hours(text: str) -> str:
    match = _HOURS.fullmatch(text)
    if match is None or match.groups()[:2] == match.groups()[2:]:
        refuse_key("hours are from one time of day to another, such as 08:00-18:00, 22:00-06:00 or 00:00-24:00")
    return text


def _known_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (OSError, ValueError, KeyError):
        refuse_key("there is no such time zone; say one of the IANA database, such as Europe/Berlin")
    return name


Language = Annotated[str, AfterValidator(_known_language)]
Hours = Annotated[str, AfterValidator(_known_hours)]
TimeZone = Annotated[str, AfterValidator(_known_zone)]


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
    languages: list[Language] = []
    """The user's last turn is in one of these, such as `de`; one that does not tell its language is in none."""
    days: list[Day] = []
    """On one of these days; the hours of a night belong to the day on which they begin."""
    hours: Hours = "00:00-24:00"
    """From one time of day to before another, such as `08:00-18:00`; `22:00-06:00` ends on the next day."""
    timezone: TimeZone = "UTC"
    """By whose clocks."""

    @model_validator(mode="after")
    def _whose_clocks(self) -> Self:
        if "timezone" in self.model_fields_set and self.week_hours is None:
            refuse_key("its timezone says nothing without days or hours")
        return self

    @property
    def week_hours(self) -> WeekHours | None:
        """When it holds; None for always."""
        if not {"days", "hours"} & self.model_fields_set:
            return None
        (start, end), days = self.hours.split("-"), self.days or DAYS
        return WeekHours(frozenset(map(DAYS.index, days)), _minute(start), _minute(end), self.timezone)

    def covers(self, other: RouteRule) -> bool:
        """Return whether it holds wherever the other does, so that one behind it never decides."""
        return (
            _all_named(self.tasks, other.tasks)
            and _all_named(self.complexity, other.complexity)
            and _all_named(self.tenants, other.tenants)
            and self.tags.items() <= other.tags.items()
            and (self.above_tokens or 0) <= (other.above_tokens or 0)
            and (self.up_to_tokens is None or (other.up_to_tokens or self.up_to_tokens + 1) <= self.up_to_tokens)
            and _all_named(self.languages, other.languages)
            and _at_all_times(self.week_hours, other.week_hours)
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


def _minute(time_of_day: str) -> int:
    hour, minute = time_of_day.split(":")
    return int(hour) * 60 + int(minute)


def _at_all_times(mine: WeekHours | None, others: WeekHours | None) -> bool:
    """Return whether mine hold whenever the others do; clocks of two zones are not compared."""
    if mine is None or others is None:
        return mine is None or len(mine.minutes()) == len(DAYS) * MINUTES_OF_A_DAY
    return mine.zone == others.zone and others.minutes() <= mine.minutes()


def _all_named(mine: Sequence[str], others: Sequence[str]) -> bool:
    return not mine or (bool(others) and set(others) <= set(mine))


_ANYTHING = RouteRule(to="")
