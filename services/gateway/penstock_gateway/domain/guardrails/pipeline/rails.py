"""Which rules hold for which requests: made ready at start, looked up once for each request."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from penstock_gateway.domain.guardrails.pipeline.rule import INPUT_SURFACES, OUTPUT_SURFACES, Action, Rule, Surface

_MOST_KEPT = 4096
HOLD_FOR = 5.0
"""Seconds."""


class Pipeline(msgspec.Struct, frozen=True, kw_only=True):
    """Rules for tenants, public models and keys, by their names; empty means all."""

    tenants: frozenset[str] = frozenset()
    models: frozenset[str] = frozenset()
    keys: frozenset[str] = frozenset()
    input: tuple[Rule, ...] = ()
    output: tuple[Rule, ...] = ()
    hold_for: float | None = None
    """Seconds that text of an answer waits for its rules; None where another pipeline may say."""

    def holds_for(self, tenant: str, model: str, keys: tuple[str, ...]) -> bool:
        """Return whether it is for a request; ``keys`` are the names that its key has had."""
        return (
            (not self.tenants or tenant in self.tenants)
            and (not self.models or model in self.models)
            and (not self.keys or not self.keys.isdisjoint(keys))
        )


class Held(msgspec.Struct, frozen=True):
    """The rules that hold for a request, in their order, by surface."""

    input: dict[Surface, tuple[Rule, ...]]
    output: dict[Surface, tuple[Rule, ...]]
    hold_for: float = HOLD_FOR
    """Seconds that text of an answer waits for them: what the last of the pipelines says."""

    @property
    def reads_documents(self) -> bool:
        """Whether a rule looks at passages that were found, or at what answers make of them."""
        judged = self.output.get(Surface.OUTPUT, ())
        return Surface.DOCUMENT in self.input or any(rule.kind == "grounding" for rule in judged)

    @property
    def pseudonymises(self) -> bool:
        """Whether what goes in may get other names."""
        return any(
            rule.action is Action.PSEUDONYMISE and not rule.shadow for rules in self.input.values() for rule in rules
        )


class Rails:
    """All pipelines; a reload exchanges them at once. A request keeps the rules that it began with."""

    def __init__(self, pipelines: Sequence[Pipeline] = ()) -> None:
        self.pipelines: tuple[Pipeline, ...] = tuple(pipelines)
        """Empty: no rule holds for anybody, and nothing more is asked."""
        self._kept: dict[tuple[str, str, tuple[str, ...]], Held | None] = {}

    def take_over(self, pipelines: Sequence[Pipeline]) -> None:
        """Let requests that begin from now on have these."""
        self.pipelines, self._kept = tuple(pipelines), {}

    def held(self, tenant: str, model: str, *keys: str) -> Held | None:
        """Return what holds for a request, whose key has had these names; None where nothing does."""
        asked = (tenant, model, keys)
        if asked in self._kept:
            return self._kept[asked]
        held = _joined([one for one in self.pipelines if one.holds_for(*asked)])
        if len(self._kept) >= _MOST_KEPT:
            # Names of models are the callers' to choose.
            self._kept = {}
        self._kept[asked] = held
        return held


def _joined(pipelines: Sequence[Pipeline]) -> Held | None:
    """Return the rules of all pipelines, each once, in the order of the pipelines."""
    entering = dict.fromkeys([rule.name for one in pipelines for rule in one.input])
    leaving = dict.fromkeys([rule.name for one in pipelines for rule in one.output])
    if not entering and not leaving:
        return None
    rules = {rule.name: rule for one in pipelines for rule in (*one.input, *one.output)}
    return Held(
        _by_surface([rules[name] for name in entering], INPUT_SURFACES),
        _by_surface([rules[name] for name in leaving], OUTPUT_SURFACES),
        next((one.hold_for for one in reversed(pipelines) if one.hold_for is not None), HOLD_FOR),
    )


def _by_surface(rules: Sequence[Rule], surfaces: frozenset[Surface]) -> dict[Surface, tuple[Rule, ...]]:
    found = {surface: tuple(rule for rule in rules if surface in rule.surfaces) for surface in surfaces}
    return {surface: those for surface, those in found.items() if those}


NO_RAILS = Rails()
