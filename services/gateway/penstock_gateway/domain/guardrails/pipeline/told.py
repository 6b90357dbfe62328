"""What the rules have said of a request: names and numbers, never a word of its texts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import msgspec

from penstock_common.telemetry.steps import AttributeValue
from penstock_gateway.domain.guardrails.pipeline.rule import Found, Rule, Surface

FAILED = "failed"
"""The action of a rule that could not look."""
HEADER = "x-penstock-guardrails"
NOTHING: Mapping[str, AttributeValue] = MappingProxyType({})
_MOST_IN_A_HEADER = 1000


class Told(msgspec.Struct, kw_only=True):
    """What one rule has said on one surface: how often, of what kinds, and in how many seconds of looking.

    Without ``count`` it has found nothing. ``action`` is the rule's, or ``failed``.
    """

    rule: str
    version: str
    surface: str
    action: str
    shadow: bool
    count: int = 0
    looks: int = 0
    seconds: float = 0.0
    kinds: dict[str, int] = {}


class Tally:
    """All that was said of one request."""

    def __init__(self) -> None:
        self._told: dict[tuple[str, str, str], Told] = {}

    def note(self, rule: Rule, surface: Surface, found: Sequence[Found], seconds: float = 0.0) -> None:
        """Count a look and what it found."""
        told = self._of(rule, surface, rule.action.value)
        told.looks += 1
        told.seconds += seconds
        told.count += len(found)
        for one in found:
            told.kinds[one.kind] = told.kinds.get(one.kind, 0) + 1

    def note_failure(self, rule: Rule, surface: Surface, why: str, seconds: float) -> None:
        """Count a look that came to nothing; ``why`` is the error's class."""
        told = self._of(rule, surface, FAILED)
        told.looks += 1
        told.count += 1
        told.seconds += seconds
        told.kinds[why] = told.kinds.get(why, 0) + 1

    def _of(self, rule: Rule, surface: Surface, action: str) -> Told:
        key = (rule.name, surface.value, action)
        told = self._told.get(key)
        if told is None:
            told = self._told[key] = Told(
                rule=rule.name, version=rule.version, surface=surface.value, action=action, shadow=rule.shadow
            )
        return told

    def all(self) -> tuple[Told, ...]:
        """Return what was said, rules that found nothing included."""
        return tuple(self._told.values())

    def attributes(self, before: Mapping[str, AttributeValue] = NOTHING) -> dict[str, AttributeValue]:
        """Return what a trace says of it, but for what was said as much ``before``."""
        said = {
            f"{one.rule}@{one.version}.{one.surface}": f"{one.action}{'(shadow)' if one.shadow else ''}:{one.count}"
            for one in self._told.values()
        }
        return {name: value for name, value in said.items() if before.get(name) != value}

    def line(self) -> str:
        """Return it as a header says it, such as ``pii=redact:3, injection=report(shadow):1``; empty for nothing."""
        by_rule: dict[str, int] = {}
        for told in self._told.values():
            if told.count:
                name = f"{told.rule}={told.action}{'(shadow)' if told.shadow else ''}"
                by_rule[name] = by_rule.get(name, 0) + told.count
        parts = [f"{name}:{count}" for name, count in by_rule.items()]
        line = ", ".join(parts)
        while len(line) > _MOST_IN_A_HEADER:
            parts.pop()
            line = f"{', '.join(parts)}, +{len(by_rule) - len(parts)}"
        return line

    def json(self) -> str:
        """Return what was found or failed as the ledger keeps it; empty for nothing."""
        said = [
            {
                "rule": told.rule,
                "version": told.version,
                "surface": told.surface,
                "action": told.action,
                **({"shadow": True} if told.shadow else {}),
                "count": told.count,
                "kinds": told.kinds,
            }
            for told in self._told.values()
            if told.count
        ]
        return msgspec.json.encode(said).decode() if said else ""
