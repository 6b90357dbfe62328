"""What feedback says of candidates: lately given counts more, and no tenant speaks for all others."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta

from penstock_common.llm.types import Candidate
from penstock_common.upstreams.quality import Qualities, Quality
from penstock_gateway.domain.feedback.ports import Tally

_HALF_LIVES = 8
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class QualityRule:
    """How judgements become a candidate's quality."""

    half_life: timedelta = timedelta(days=30)
    """After so long a judgement counts half."""
    tenant_weight: float = 200.0
    """So many judgements of today are the most that a tenant weighs, of a candidate and a task."""

    def horizon(self, today: date) -> date:
        """Return the first day that counts at all."""
        return today - _HALF_LIVES * self.half_life


def qualities(tallies: Iterable[Tally], rule: QualityRule, today: date) -> Qualities:
    """Return what is known of each candidate and task of which anything was said."""
    by_tenant: dict[tuple[Candidate, str, str], tuple[float, float]] = defaultdict(lambda: (0.0, 0.0))
    for tally in tallies:
        age = max(0.0, (today - tally.day) / rule.half_life)
        fresh = 0.5**age
        group = (tally.candidate, tally.task, tally.tenant)
        weight, total = by_tenant[group]
        by_tenant[group] = weight + fresh * tally.count, total + fresh * tally.total
    summed: dict[tuple[Candidate, str], tuple[float, float]] = defaultdict(lambda: (0.0, 0.0))
    for (candidate, task, _), (weight, total) in by_tenant.items():
        part = min(1.0, rule.tenant_weight / weight) if weight else 0.0
        before, sum_before = summed[candidate, task]
        summed[candidate, task] = before + part * weight, sum_before + part * total
    return {group: Quality(total / weight, weight) for group, (weight, total) in summed.items() if weight}
