"""Judging the cache by pairs of questions: what it served of those with the same answer, and what of the others."""

from __future__ import annotations

import gzip
import zlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol, cast

import msgspec

from penstock_suite.domain.failure import Misconfigured
from penstock_suite.domain.interval import Share, share

_GZIP = b"\x1f\x8b"
# Thresholds of the curves: finer where they differ.
_SCORES = tuple(round(0.5 + step / 200, 3) for step in range(1, 100))
_COSINES = tuple(round(0.4 + step / 100, 2) for step in range(60))


class Pair(msgspec.Struct, frozen=True):
    """``a`` was answered, ``b`` is asked; ``same_answer``: the first one's answer would be fully right."""

    id: str
    a: str
    b: str
    same_answer: bool
    kind: str = ""


class Seen(msgspec.Struct, frozen=True):
    """What a question was given: the answer of a pair's ``a`` (its id), or nothing and why."""

    served: str
    reason: str
    milliseconds: float


class Opinion(msgspec.Struct, frozen=True):
    """What the cache says of two texts without being asked for an answer: cosine, the guard's score, and its verdict."""

    similarity: float
    score: float
    served: bool
    reason: str


class CacheUnderTest(Protocol):
    """A cache that holds nothing but what it is given here."""

    async def store(self, pair: Pair) -> bool:
        """Have ``a`` answered; return whether it is kept, once it is."""
        ...

    async def look_up(self, pair: Pair) -> Seen:
        """Ask ``b``."""
        ...

    async def teach(self, pair: Pair) -> None:
        """Have ``b`` answered by whoever knows, as after a miss, once the cache has learned from it."""
        ...

    async def explain(self, pair: Pair) -> Opinion:
        """Say what it thinks of the pair."""
        ...


class Judged(msgspec.Struct, frozen=True):
    """What became of a pair. ``false``: it was given an answer that is not fully right."""

    pair: Pair
    seen: Seen
    opinion: Opinion
    kept: bool

    @property
    def hit(self) -> bool:
        """It was given an answer."""
        return bool(self.seen.served)

    @property
    def true(self) -> bool:
        """It was given its own pair's answer, and that is right."""
        return self.seen.served == self.pair.id and self.pair.same_answer

    @property
    def false(self) -> bool:
        """It was given one that is not right; another pair's is taken for wrong."""
        return self.hit and not self.true


class Point(msgspec.Struct, frozen=True):
    """A threshold, and what it serves."""

    threshold: float
    served_true_ratio: float
    false_of_hits_ratio: float | None


class Kind(msgspec.Struct, frozen=True):
    """Pairs of one kind, and how many of them were served."""

    pairs: int
    same_answer: int
    served_true: int
    served_false: int
    served: Share


class Evaluation(msgspec.Struct, frozen=True, kw_only=True):
    """What was found. Ratios are None where nothing was counted; intervals are Wilson's, 95 %."""

    pairs: int
    true_pairs: int
    false_pairs: int
    hits: int
    served_true_ratio: float | None
    false_of_hits_ratio: float | None
    precision: float | None
    intervals: dict[str, Share]
    by_kind: dict[str, Kind]
    reasons: dict[str, int]
    """Why pairs with the same answer were not served."""
    p50_ms: float | None
    p95_ms: float | None
    not_kept: int
    """Pairs whose ``a`` the cache did not take."""
    unlike_explain: int
    """Pairs of which ``penstock cache explain`` says something else."""
    curve: tuple[Point, ...]
    baseline: tuple[Point, ...]
    """A threshold on the cosine alone."""
    setting: dict[str, Any]


def read_pairs(content: bytes) -> list[Pair]:
    """Return the pairs of a file of JSON lines, which may be packed by gzip.

    Raises:
        Misconfigured: for the first line that is no pair, or if there is none.
    """
    if content.startswith(_GZIP):
        try:
            content = gzip.decompress(content)
        except (OSError, EOFError, zlib.error) as error:
            raise Misconfigured(f"the dataset cannot be unpacked: {error}") from None
    pairs: list[Pair] = []
    lines: dict[str, int] = {}
    for line, text in enumerate(content.removeprefix(b"\xef\xbb\xbf").split(b"\n"), 1):
        if not text.strip():
            continue
        pair = _pair(line, text)
        if pair.id in lines:
            raise Misconfigured(f"line {line}: the id '{pair.id}' is that of line {lines[pair.id]}")
        lines[pair.id] = line
        pairs.append(pair)
    if not pairs:
        raise Misconfigured("the dataset has no pairs")
    return pairs


def _pair(line: int, text: bytes) -> Pair:
    try:
        said: Any = msgspec.json.decode(text)
        if not isinstance(said, dict):
            raise msgspec.ValidationError("Expected `object`")
        pair = msgspec.convert({"id": str(line), **cast("dict[str, Any]", said)}, Pair)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise Misconfigured(f"line {line} is no pair: {error}") from None
    if not pair.a.strip() or not pair.b.strip():
        raise Misconfigured(f"line {line} is no pair: a or b is empty")
    return pair


async def judge(
    cache: CacheUnderTest, pairs: Sequence[Pair], *, together: bool = False, warm: bool = False
) -> list[Judged]:
    """Return what becomes of each pair.

    ``together``: every ``a`` is kept before the first ``b`` is asked; else each pair is by itself. ``warm``: what was
    not served is answered, and asked again.
    """
    kept: dict[str, bool] = {}
    if together:
        for pair in pairs:
            kept[pair.id] = await cache.store(pair)
    judged: list[Judged] = []
    for pair in pairs:
        if not together:
            kept[pair.id] = await cache.store(pair)
        seen = await cache.look_up(pair)
        if warm and not seen.served:
            await cache.teach(pair)
            seen = await cache.look_up(pair)
        judged.append(Judged(pair, seen, await cache.explain(pair), kept[pair.id]))
    return judged


def evaluation(judged: Sequence[Judged], setting: Mapping[str, Any]) -> Evaluation:
    """Return what was found."""
    true_pairs = [one for one in judged if one.pair.same_answer]
    served = share(sum(one.true for one in true_pairs), len(true_pairs))
    hits = sum(one.hit for one in judged)
    false = share(sum(one.false for one in judged), hits)
    reasons: dict[str, int] = defaultdict(int)
    for one in true_pairs:
        if not one.hit:
            reasons[one.seen.reason or "nothing near"] += 1
    times = sorted(one.seen.milliseconds for one in judged)
    return Evaluation(
        pairs=len(judged),
        true_pairs=len(true_pairs),
        false_pairs=len(judged) - len(true_pairs),
        hits=hits,
        served_true_ratio=served.ratio,
        false_of_hits_ratio=false.ratio,
        precision=None if false.ratio is None else round(1 - false.ratio, 6),
        intervals={"served_true_ratio": served, "false_of_hits_ratio": false},
        by_kind=_by_kind(judged),
        reasons=dict(sorted(reasons.items(), key=lambda item: -item[1])),
        p50_ms=_quantile(times, 0.5),
        p95_ms=_quantile(times, 0.95),
        not_kept=sum(not one.kept for one in judged),
        unlike_explain=sum(one.opinion.served != one.hit for one in judged),
        curve=tuple([_point(judged, score, [one.opinion.score for one in judged]) for score in _SCORES]),
        baseline=tuple([_point(judged, cosine, [one.opinion.similarity for one in judged]) for cosine in _COSINES]),
        setting=dict(setting),
    )


def _by_kind(judged: Iterable[Judged]) -> dict[str, Kind]:
    kinds: dict[str, list[Judged]] = defaultdict(list)
    for one in judged:
        kinds[one.pair.kind].append(one)
    return {
        kind: Kind(
            pairs=len(found),
            same_answer=sum(one.pair.same_answer for one in found),
            served_true=sum(one.true for one in found),
            served_false=sum(one.false for one in found),
            served=share(sum(one.hit for one in found), len(found)),
        )
        for kind, found in sorted(kinds.items())
    }


def _point(judged: Sequence[Judged], threshold: float, values: Sequence[float]) -> Point:
    above = [one.pair.same_answer for one, value in zip(judged, values, strict=True) if value >= threshold]
    true_pairs = sum(one.pair.same_answer for one in judged)
    right = sum(above)
    return Point(
        threshold,
        round(right / true_pairs, 6) if true_pairs else 0.0,
        round(1 - right / len(above), 6) if above else None,
    )


def _quantile(ordered: Sequence[float], share_below: float) -> float | None:
    return round(ordered[min(len(ordered) - 1, int(len(ordered) * share_below))], 3) if ordered else None
