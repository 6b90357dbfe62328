"""A public model that leads to others: which of them a request goes to, as the configuration says."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple
from zoneinfo import ZoneInfo

from penstock_common.contract.router import Policy, RouteRequest
from penstock_common.hours import DAYS, WeekHours

OTHERWISE = "default"
_FALLBACK_TASK = "general"
LEVELS = ("low", "medium", "high")


class Seen(NamedTuple):
    """What was seen of a prompt, and when; what is empty nobody looked for, or the prompt told too little."""

    task: str = ""
    complexity: str = ""
    language: str = ""
    at: datetime | None = None


class Chosen(NamedTuple):
    """A public model, the line of the configuration that names it, and of what it saw what no reading tells."""

    model: str
    by: str
    because: str = ""


@dataclass(frozen=True, slots=True)
class Rule:
    """A choice before the routes; what is empty or None holds always."""

    to: str
    tasks: frozenset[str] = frozenset()
    levels: frozenset[str] = frozenset()
    tenants: frozenset[str] = frozenset()
    tags: frozenset[tuple[str, str]] = frozenset()
    above_tokens: int | None = None
    up_to_tokens: int | None = None
    languages: frozenset[str] = frozenset()
    hours: WeekHours | None = None

    @property
    def needs_reading(self) -> bool:
        """Whether the prompt's task or complexity has to be told for it."""
        return bool(self.tasks or self.levels)

    def holds(self, request: RouteRequest, seen: Seen) -> bool:
        """Return whether all of its conditions do."""
        tokens = request.requirements.likely_input_tokens
        return (
            (not self.tasks or seen.task in self.tasks)
            and (not self.levels or seen.complexity in self.levels)
            and (not self.tenants or request.tenant in self.tenants)
            and self.tags <= frozenset(request.tags)
            and (self.above_tokens is None or tokens > self.above_tokens)
            and (self.up_to_tokens is None or tokens <= self.up_to_tokens)
            and (not self.languages or seen.language in self.languages)
            and (self.hours is None or (seen.at is not None and self.hours.hold(seen.at)))
        )

    def because(self, seen: Seen) -> str:
        """Return in which language and when it was asked, as far as the rule goes by it."""
        said = [f"language {seen.language}"] if self.languages else []
        if self.hours is not None and seen.at is not None:
            local = seen.at.astimezone(ZoneInfo(self.hours.zone))
            said.append(f"{DAYS[local.weekday()]} {local:%H:%M} {self.hours.zone}")
        return ", ".join(said)


@dataclass(frozen=True, slots=True)
class Fork:
    """A public model with rules and routes. Routes map a task to a model, or to models by level of complexity."""

    name: str
    rules: tuple[Rule, ...]
    routes: Mapping[str, str | Mapping[str, str]]
    policy: Policy | None = None
    """Puts the candidates of whichever model is chosen in order; None: that model's own."""

    @property
    def needs_language(self) -> bool:
        """Whether any rule goes by the language of the prompt."""
        return any(rule.languages for rule in self.rules)

    @property
    def needs_reading(self) -> bool:
        """Whether any choice of it depends on what the prompt asks for."""
        return (
            any(rule.needs_reading for rule in self.rules)
            or any(not isinstance(route, str) for route in self.routes.values())
            or bool(self.routes.keys() - {OTHERWISE})
        )

    @property
    def targets(self) -> tuple[str, ...]:
        """The models that it leads to, each once, in the order of the configuration, that of last resort first."""
        named = [self._otherwise(Seen()).model, *(rule.to for rule in self.rules)]
        for route in self.routes.values():
            named += [route] if isinstance(route, str) else [route[level] for level in LEVELS if level in route]
        return tuple(dict.fromkeys(named))

    def ways(self, request: RouteRequest, seen: Seen) -> Iterator[Chosen]:
        """Yield whom the request may go to, the first choice first, no model twice."""
        gone: set[str] = set()
        for chosen in self._choices(request, seen):
            if chosen.model not in gone:
                gone.add(chosen.model)
                yield chosen

    def _choices(self, request: RouteRequest, seen: Seen) -> Iterator[Chosen]:
        for at, rule in enumerate(self.rules, start=1):
            if rule.holds(request, seen):
                yield Chosen(rule.to, f"rules.{at}", rule.because(seen))
        if seen.task in self.routes:
            yield self._along(seen.task, seen)
        yield self._otherwise(seen)
        for model in self.targets:
            yield Chosen(model, "what is left")

    def _otherwise(self, seen: Seen) -> Chosen:
        named = next((name for name in (OTHERWISE, _FALLBACK_TASK) if name in self.routes), None)
        return self._along(named or next(iter(self.routes)), seen)

    def _along(self, task: str, seen: Seen) -> Chosen:
        route = self.routes[task]
        if isinstance(route, str):
            return Chosen(route, f"routes.{task}")
        level = nearest_level(seen.complexity or "medium", route.keys())
        return Chosen(route[level], f"routes.{task}.{level}")


def nearest_level(wanted: str, named: Collection[str]) -> str:
    """Return the level itself where it is ``named``, else the next above it, else the next below."""
    at = LEVELS.index(wanted)
    return next(level for level in (*LEVELS[at:], *reversed(LEVELS[:at])) if level in named)
