"""Judging compression by questions with their contexts: whether what answers stays, and how much goes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any

import msgspec

from penstock_suite.domain.failure import Misconfigured
from penstock_suite.domain.interval import Share, share


class Question(msgspec.Struct, frozen=True):
    """``answer_sentence`` is a verbatim part of ``context``, from the document ``doc``, which ``near_duplicates`` resemble."""

    id: str
    question: str
    context: str
    answer_sentence: str
    answer: str = ""
    doc: str = ""
    near_duplicates: int = 0


class Made(msgspec.Struct, frozen=True):
    """What a context has become; ``heading`` is what introduces the answer's document, ``''`` where nothing does."""

    text: str
    tokens_before: int
    tokens: int
    reason: str
    heading: str
    milliseconds: float


Compress = Callable[[Question], Awaitable[Made]]


class Judged(msgspec.Struct, frozen=True):
    """A question and what its context has become."""

    question: Question
    made: Made

    @property
    def survived(self) -> bool:
        """The answer's sentence is still there, verbatim."""
        return self.question.answer_sentence in self.made.text

    @property
    def has_heading(self) -> bool:
        """So is what introduces its document."""
        return self.made.heading in self.made.text


class Group(msgspec.Struct, frozen=True):
    """Questions whose document has as many that resemble it."""

    questions: int
    survived: int
    with_heading: int
    tokens_saved_ratio: float | None


class CompressionEvaluation(msgspec.Struct, frozen=True, kw_only=True):
    """What was found. Ratios are None where nothing was counted; intervals are Wilson's, 95 %."""

    questions: int
    survived: int
    answer_survived_ratio: float | None
    heading_survived_ratio: float | None
    """Of the questions whose document is introduced."""
    near_duplicates_heading_survived_ratio: float | None
    """The same, where others resemble the document."""
    tokens_saved_ratio: float | None
    """Of all tokens of all contexts."""
    tokens_before: int
    tokens_saved: int
    intervals: dict[str, Share]
    by_near_duplicates: dict[str, Group]
    lost: tuple[str, ...]
    """Ids of the questions whose answer is gone."""
    unchanged: dict[str, int]
    """Contexts that stayed as they were, by the reason."""
    p50_ms: float | None
    p99_ms: float | None
    ms_per_10k_tokens: float | None
    setting: dict[str, Any]


def read_questions(content: bytes) -> list[Question]:
    """Return the questions of a file of JSON lines.

    Raises:
        Misconfigured: for the first line that is none, or if there is none.
    """
    found: list[Question] = []
    lines: dict[str, int] = {}
    for line, text in enumerate(content.removeprefix(b"\xef\xbb\xbf").split(b"\n"), 1):
        if not text.strip():
            continue
        question = _question(line, text)
        if question.id in lines:
            raise Misconfigured(f"line {line}: the id '{question.id}' is that of line {lines[question.id]}")
        lines[question.id] = line
        found.append(question)
    if not found:
        raise Misconfigured("the dataset has no questions")
    return found


def _question(line: int, text: bytes) -> Question:
    try:
        question = msgspec.json.decode(text, type=Question)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise Misconfigured(f"line {line} is no question with its context: {error}") from None
    if not question.question.strip() or not question.answer_sentence.strip():
        raise Misconfigured(f"line {line} is no question with its context: question or answer_sentence is empty")
    if question.answer_sentence not in question.context:
        raise Misconfigured(f"line {line}: the answer_sentence is not in the context")
    return question


async def judge(compress: Compress, questions: Sequence[Question]) -> list[Judged]:
    """Return what becomes of each context."""
    return [Judged(question, await compress(question)) for question in questions]


def evaluation(judged: Sequence[Judged], setting: Mapping[str, Any]) -> CompressionEvaluation:
    """Return what was found."""
    introduced = [one for one in judged if one.made.heading]
    resembled = [one for one in introduced if one.question.near_duplicates]
    survived = share(sum(one.survived for one in judged), len(judged))
    heading = share(sum(one.has_heading for one in introduced), len(introduced))
    near = share(sum(one.has_heading for one in resembled), len(resembled))
    before, saved = _tokens(judged)
    times = sorted(one.made.milliseconds for one in judged)
    reasons = [one.made.reason for one in judged if one.made.reason]
    return CompressionEvaluation(
        questions=len(judged),
        survived=survived.hits,
        answer_survived_ratio=survived.ratio,
        heading_survived_ratio=heading.ratio,
        near_duplicates_heading_survived_ratio=near.ratio,
        tokens_saved_ratio=_ratio(saved, before),
        tokens_before=before,
        tokens_saved=saved,
        intervals={"answer_survived_ratio": survived, "heading_survived_ratio": heading},
        by_near_duplicates={
            str(count): _group([one for one in judged if one.question.near_duplicates == count])
            for count in sorted({one.question.near_duplicates for one in judged})
        },
        lost=tuple([one.question.id for one in judged if not one.survived]),
        unchanged={reason: reasons.count(reason) for reason in sorted(set(reasons))},
        p50_ms=_quantile(times, 0.5),
        p99_ms=_quantile(times, 0.99),
        ms_per_10k_tokens=round(sum(times) / before * 10_000, 3) if before else None,
        setting=dict(setting),
    )


def _group(judged: Sequence[Judged]) -> Group:
    before, saved = _tokens(judged)
    return Group(
        questions=len(judged),
        survived=sum(one.survived for one in judged),
        with_heading=sum(one.has_heading for one in judged),
        tokens_saved_ratio=_ratio(saved, before),
    )


def _tokens(judged: Iterable[Judged]) -> tuple[int, int]:
    made = [one.made for one in judged]
    before = sum(one.tokens_before for one in made)
    return before, before - sum(one.tokens for one in made)


def _ratio(part: int, whole: int) -> float | None:
    return round(part / whole, 6) if whole else None


def _quantile(ordered: Sequence[float], share_below: float) -> float | None:
    return round(ordered[min(len(ordered) - 1, int(len(ordered) * share_below))], 3) if ordered else None
