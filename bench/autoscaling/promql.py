"""As much of Prometheus as the chart's queries ask: scraped series, and an evaluator of its language.

https://prometheus.io/docs/prometheus/latest/querying/: a sample is good for five minutes, unless its target has gone; ``rate``
extrapolates as promql/functions.go does. What is not understood is a ``ValueError``; no answer is None, never 0.
"""

from __future__ import annotations

import bisect
import itertools
import math
import operator
import re
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from typing import Any

LOOKBACK_SECONDS = 300.0
Labels = tuple[tuple[str, str], ...]
Vector = dict[Labels, float]
Samples = list[tuple[float, float]]
Node = tuple[Any, ...]
_TOKEN = re.compile(r'\s*([a-zA-Z_][\w:]*|\d+[smh]|\d+(?:\.\d+)?|"[^"]*"|=~|==|[-+*/><(){}\[\],=:])')
_UNITS = {"s": 1, "m": 60, "h": 3600}
_OPERATORS: Mapping[str, Callable[[float, float], float]] = {
    "+": operator.add, "-": operator.sub, "*": operator.mul, "/": lambda a, b: a / b if b else math.nan,
}  # fmt: skip
_FILTERS = {"==": operator.eq, ">": operator.gt, "<": operator.lt}
_AGGREGATES: Mapping[str, Callable[[list[float]], float]] = {"sum": sum, "max": max, "count": len}


class Prometheus:
    """Samples by name and labels, in order of time."""

    def __init__(self) -> None:
        self._series: dict[str, dict[Labels, Samples]] = {}
        self._last: set[tuple[str, Labels]] = set()
        self.away = False

    def scrape(self, now: float, samples: Iterable[tuple[str, Mapping[str, str], float]]) -> None:
        """Take in what all targets show; a series that is not there any more gets a stale marker."""
        seen: set[tuple[str, Labels]] = set()
        for name, labels, value in samples:
            key = tuple(sorted(labels.items()))
            seen.add((name, key))
            self._series.setdefault(name, {}).setdefault(key, []).append((now, value))
        for name, key in self._last - seen:
            self._series[name][key].append((now, math.nan))
        self._last = seen

    def ask(self, query: str, now: float) -> float | None:
        """Return the one number that a query yields, or None where it yields none or Prometheus is away."""
        if self.away:
            return None
        found = self._value(_parsed(query), now)
        if isinstance(found, dict):
            found = next(iter(found.values())) if len(found) == 1 else None
        return None if found is None or math.isnan(found) else found

    def _value(self, node: Node, now: float) -> Any:
        match node:
            case ("number", number):
                return number
            case ("vector", inner):
                return {(): self._value(inner, now)}
            case ("select", name, matchers):
                return {labels: found[-1][1] for labels, found in self._instant(name, matchers, now)}
            case ("binary", sign, left, right):
                return _joined(sign, self._value(left, now), self._value(right, now))
            case ("aggregate", how, by, inner):
                return _aggregate(how, by, self._value(inner, now))
            case (function, inner):
                return self._over_time(function, inner, now)
            case _:
                raise ValueError(f"not understood: {node}")

    def _over_time(self, function: str, inner: Node, now: float) -> Vector:
        seconds, ranges = self._range(inner, now)
        found = {labels: _over(function, samples, now, seconds) for labels, samples in ranges.items()}
        return {labels: value for labels, value in found.items() if value is not None}

    def _range(self, node: Node, now: float) -> tuple[float, dict[Labels, Samples]]:
        kind, inner, seconds, step = node
        if kind != "range":
            raise ValueError(f"not a range: {node}")
        found: dict[Labels, Samples] = {}
        if step is None:
            _, name, matchers = inner
            for labels, samples in self._matching(name, matchers):
                inside = [each for each in _between(samples, now - seconds, now) if not math.isnan(each[1])]
                if inside:
                    found[labels] = inside
            return seconds, found
        # Subqueries look at multiples of their step.
        at = (math.floor((now - seconds) / step) + 1) * step
        while at <= now:
            for labels, value in self._value(inner, at).items():
                found.setdefault(labels, []).append((at, value))
            at += step
        return seconds, found

    def _matching(self, name: str, matchers: Node) -> Iterable[tuple[Labels, Samples]]:
        for labels, samples in self._series.get(name, {}).items():
            have = dict(labels)
            if all(_matches(sign, have.get(label, ""), wanted) for label, sign, wanted in matchers):
                yield labels, samples

    def _instant(self, name: str, matchers: Node, now: float) -> Iterable[tuple[Labels, Samples]]:
        for labels, samples in self._matching(name, matchers):
            inside = _between(samples, now - LOOKBACK_SECONDS, now)
            if inside and not math.isnan(inside[-1][1]):
                yield labels, inside


def _matches(sign: str, have: str, wanted: str) -> bool:
    return have == wanted if sign == "=" else re.fullmatch(wanted, have) is not None


def _between(samples: Samples, after: float, until: float) -> Samples:
    return samples[bisect.bisect_right(samples, (after, math.inf)) : bisect.bisect_right(samples, (until, math.inf))]


def _over(function: str, samples: Samples, now: float, seconds: float) -> float | None:
    if function == "avg_over_time":
        return sum(value for _, value in samples) / len(samples)
    if function == "max_over_time":
        return max(value for _, value in samples)
    if function != "rate":
        raise ValueError(f"not understood: {function}")
    return _rate(samples, now, seconds)


def _rate(samples: Samples, now: float, seconds: float) -> float | None:
    if len(samples) < 2:
        return None
    (first_at, first), (last_at, last) = samples[0], samples[-1]
    resets = sum(a for (_, a), (_, b) in itertools.pairwise(samples) if b < a)
    increase, sampled = last - first + resets, last_at - first_at
    spacing = sampled / (len(samples) - 1)
    before, after = first_at - (now - seconds), now - last_at
    before = before if before < spacing * 1.1 else spacing / 2
    after = after if after < spacing * 1.1 else spacing / 2
    if increase > 0 and first >= 0:
        # No counter was ever below 0.
        before = min(before, sampled * first / increase)
    return increase * (sampled + before + after) / sampled / seconds


def _joined(sign: str, left: Any, right: Any) -> Any:
    if sign == "or":
        return {**right, **left}
    if sign in _FILTERS:
        return {labels: value for labels, value in left.items() if _FILTERS[sign](value, right)}
    apply = _OPERATORS[sign]
    match left, right:
        case dict(), dict():
            return {labels: apply(value, right[labels]) for labels, value in left.items() if labels in right}
        case _, dict():
            return {labels: apply(left, value) for labels, value in right.items()}
        case dict(), _:
            return {labels: apply(value, right) for labels, value in left.items()}
        case _:
            return apply(left, right)


def _aggregate(how: str, by: tuple[str, ...], found: Vector) -> Vector:
    groups: dict[Labels, list[float]] = {}
    for labels, value in found.items():
        groups.setdefault(tuple(each for each in labels if each[0] in by), []).append(value)
    return {labels: float(_AGGREGATES[how](each)) for labels, each in groups.items()}


@cache
def _parsed(query: str) -> Node:
    reader = _Reader(query)
    node = reader.either()
    if reader.words:
        raise ValueError(f"not understood: {reader.words} of {query}")
    return node


class _Reader:
    """A reader by descent, weakest operators first."""

    def __init__(self, query: str) -> None:
        self.words = _TOKEN.findall(query)
        if "".join(self.words) != re.sub(r"\s", "", query):
            raise ValueError(f"not understood: {query}")

    def _next(self, *wanted: str) -> bool:
        if self.words and self.words[0] in wanted:
            self._taken = self.words.pop(0)
            return True
        return False

    def _must(self, wanted: str) -> None:
        if not self._next(wanted):
            raise ValueError(f"{wanted} is missing before {self.words}")

    def _chain(self, inner: Callable[[], Node], *signs: str) -> Node:
        node = inner()
        while self._next(*signs):
            node = ("binary", self._taken, node, inner())
        return node

    def either(self) -> Node:
        return self._chain(self._compared, "or")

    def _compared(self) -> Node:
        return self._chain(self._sum, "==", ">", "<")

    def _sum(self) -> Node:
        return self._chain(self._product, "+", "-")

    def _product(self) -> Node:
        return self._chain(self._ranged, "*", "/")

    def _ranged(self) -> Node:
        node = self._one()
        if not self._next("["):
            return node
        seconds = self._seconds()
        step = self._seconds() if self._next(":") else None
        self._must("]")
        return ("range", node, seconds, step)

    def _seconds(self) -> int:
        word = self.words.pop(0)
        return int(word[:-1]) * _UNITS[word[-1]]

    def _one(self) -> Node:
        if self._next("("):
            node = self.either()
            self._must(")")
            return node
        word = self.words.pop(0)
        if word[0].isdigit():
            return ("number", float(word))
        if word in _AGGREGATES:
            by = self._names() if self._next("by") else ()
            return ("aggregate", word, by, self._one())
        if self.words and self.words[0] == "(":
            return (word, self._one())
        return ("select", word, self._matchers())

    def _names(self) -> tuple[str, ...]:
        self._must("(")
        found: list[str] = []
        while not self._next(")"):
            found.append(self.words.pop(0))
            self._next(",")
        return tuple(found)

    def _matchers(self) -> Node:
        found: list[tuple[str, str, str]] = []
        if self._next("{"):
            while not self._next("}"):
                label, sign, wanted = self.words.pop(0), self.words.pop(0), self.words.pop(0)
                found.append((label, sign, wanted[1:-1]))
                self._next(",")
        return tuple(found)
