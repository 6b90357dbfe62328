"""What a model's answers to a set of cases are worth, and how that compares with an earlier run."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import msgspec

from penstock_suite.domain.failure import Misconfigured
from penstock_suite.domain.interval import Share, share

_Z = 1.959963984540054
UNCLEAR = "unclear"


class CaseResult(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a case. It has passed where nothing is wrong, and the judge, if one was asked, has said so.

    ``judged`` is pass, fail, unclear (its word was no verdict), or empty.
    """

    id: str
    digest: str
    passed: bool
    faults: tuple[str, ...] = ()
    judged: str = ""
    reason: str = ""
    answered_by: str = ""
    tokens: int = 0
    cost_nano_usd: int | None = 0
    """With the judge's; None where nobody knows."""
    seconds: float = 0.0

    @property
    def is_disputed(self) -> bool:
        """Whether the judge says another thing than what was counted: rules, schema and elements."""
        return self.judged in ("pass", "fail") and (self.judged == "pass") is bool(self.faults)


class Compared(msgspec.Struct, frozen=True, kw_only=True):
    """A run against an earlier one, over the cases that both have unchanged; ``change`` is that of the pass rate.

    Its 95 % interval is that of A. Agresti and Y. Min for matched pairs (Statistics in Medicine 24, 2005); ``p_value`` is
    the exact McNemar test's, two-sided.
    """

    model: str
    pairs: int
    fixed: tuple[str, ...]
    broken: tuple[str, ...]
    change: float | None
    low: float | None
    high: float | None
    p_value: float
    left_out: int

    @property
    def is_worse(self) -> bool:
        """Whether fewer pass, beyond chance."""
        return self.high is not None and self.high < 0


class AnswersEvaluation(msgspec.Struct, frozen=True, kw_only=True):
    """One run. The pass rate has Wilson's 95 % interval."""

    model: str
    judge: str
    passed: Share
    disputed: tuple[str, ...]
    """Where the judge and what was counted differ."""
    unclear: int
    failed: int
    """Cases that got no answer; they have not passed."""
    cost_nano_usd: int | None
    p50_seconds: float
    p95_seconds: float
    results: tuple[CaseResult, ...]
    setting: dict[str, Any]
    compared: Compared | None = None


def evaluation(
    results: Sequence[CaseResult], model: str, judge: str, earlier: AnswersEvaluation | None, setting: dict[str, Any]
) -> AnswersEvaluation:
    """Return what the results come to."""
    costs = [one.cost_nano_usd for one in results]
    seconds = sorted(one.seconds for one in results)
    return AnswersEvaluation(
        model=model,
        judge=judge,
        passed=share(sum(one.passed for one in results), len(results)),
        disputed=tuple(one.id for one in results if one.is_disputed),
        unclear=sum(one.judged == UNCLEAR for one in results),
        failed=sum(not one.answered_by for one in results),
        cost_nano_usd=None if None in costs else sum(one for one in costs if one is not None),
        p50_seconds=_quantile(seconds, 0.5),
        p95_seconds=_quantile(seconds, 0.95),
        results=tuple(results),
        setting=setting,
        compared=None if earlier is None else compared(results, earlier),
    )


def compared(results: Sequence[CaseResult], earlier: AnswersEvaluation) -> Compared:
    """Return how the results differ from an earlier run's, case by case."""
    before = {(one.id, one.digest): one.passed for one in earlier.results}
    pairs = [(one, before[one.id, one.digest]) for one in results if (one.id, one.digest) in before]
    fixed = tuple(one.id for one, was in pairs if one.passed and not was)
    broken = tuple(one.id for one, was in pairs if was and not one.passed)
    n = len(pairs)
    change, low, high = _change(len(fixed), len(broken), n)
    return Compared(
        model=earlier.model,
        pairs=n,
        fixed=fixed,
        broken=broken,
        change=change,
        low=low,
        high=high,
        p_value=_mcnemar(len(fixed), len(broken)),
        left_out=len(results) + len(before) - 2 * n,
    )


def read_evaluation(content: bytes) -> AnswersEvaluation:
    """Return an earlier run, as `--json` wrote it.

    Raises:
        Misconfigured: if it is none.
    """
    try:
        return msgspec.json.decode(content, type=AnswersEvaluation)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise Misconfigured(f"--against names no result of 'penstock eval answers --json': {error}") from None


def _change(fixed: int, broken: int, n: int) -> tuple[float | None, float | None, float | None]:
    if not n:
        return None, None, None
    # Half a pair more in each of the four cells.
    b, c, m = fixed + 0.5, broken + 0.5, n + 2
    middle = (b - c) / m
    half = _Z * math.sqrt(b + c - (b - c) ** 2 / m) / m
    return round((fixed - broken) / n, 6), round(max(-1.0, middle - half), 6), round(min(1.0, middle + half), 6)


def _mcnemar(fixed: int, broken: int) -> float:
    n = fixed + broken
    tail = sum(math.comb(n, one) for one in range(min(fixed, broken) + 1)) / 2**n
    return round(min(1.0, 2 * tail), 6)


def _quantile(ordered: Sequence[float], at: float) -> float:
    return round(ordered[min(len(ordered) - 1, int(at * len(ordered)))], 3) if ordered else 0.0
