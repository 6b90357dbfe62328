"""What was found, as data and as a table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from chaos.load import Answer
from chaos.ways import Heard

_MOST_TOLD = 5


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """What a scenario came to: figures by what they are, and what is not as it must be."""

    scenario: str
    requests: int
    figures: dict[str, Any]
    misses: list[str]
    late: list[str] = []
    """Misses of time, which is a machine's as well."""
    load_average: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Scale:
    """How much is done: all of it, or the short form's little. ``requests`` and ``per_second``, if any, go before both."""

    seed: int
    short: bool
    requests: int = 0
    per_second: float = 0.0
    stories: Path | None = None
    """Where it is written what became of each question."""

    def of(self, whole: float, little: float) -> float:
        """Return the one that counts."""
        return little if self.short else whole


def told(faults: Sequence[str]) -> list[str]:
    """Return the first few faults, and how many more there are."""
    more = [f"and {len(faults) - _MOST_TOLD} more"] if len(faults) > _MOST_TOLD else []
    return [*faults[:_MOST_TOLD], *more]


def ended_otherwise(heard: Heard) -> str:
    """Return what is wrong with how an exchange ended; empty where that is a whole answer or one typed error."""
    if heard.cut:
        return f"it ended in {heard.cut}"
    if heard.whole is bool(heard.error):
        return f"whole: {heard.whole}, error: {heard.error or 'none'}"
    return ""


def share_answered(answers: Sequence[Answer]) -> float:
    """Return the share of whole answers."""
    return sum(answer.heard.whole for answer in answers) / max(1, len(answers))


def table(findings: Sequence[Finding]) -> Iterator[str]:
    """Yield the lines of a table in Markdown."""
    yield "| scenario | requests | figures | as it must be |"
    yield "|---|---|---|---|"
    for found in findings:
        figures = "; ".join(f"{name}: {_words(value)}" for name, value in found.figures.items())
        verdict = "; ".join([*found.misses, *found.late]) or "yes"
        yield f"| {found.scenario} | {found.requests} | {figures} | {verdict} |"


def _words(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {_words(each)}" for name, each in value.items())
    return f"{value:g}" if isinstance(value, float) else str(value)
