"""Whether what a caller and the upstreams saw is what a row of the table promises."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from penstock_faults.record import Seen
from penstock_faults.script import OTHER_TEXT, TEXT
from penstock_faults.table import Mode, Outage, Row, Sees

_OUR_FAULTS_ARE_NOT_THEIRS = ("invalid_api_key", "missing_scope")
# Clocks are rounded on the way, and a wait may be counted from before the answer was read.
_CLOCK_SECONDS = 0.02


@dataclass(kw_only=True)
class Sight:
    """What a caller saw. ``complete``: the answer ended as a good one does, with a finish reason and without an error."""

    text: str = ""
    complete: bool = False
    finish_reason: str = ""
    output_tokens: int | None = None
    """What the usage says; None where there is none."""
    error_code: str = ""
    error_message: str = ""
    status: int = 0
    """Of HTTP; 0 over gRPC."""
    retry_after_seconds: float | None = None
    answered_by: str = ""
    """The upstream that the answer names."""
    model: str = ""
    """The model that it names."""
    seconds: float = 0.0

    @property
    def candidate(self) -> str:
        """Who answered."""
        return f"{self.answered_by}/{self.model}"

    @property
    def sees(self) -> Sees | None:
        """Which of the endings it is; None where it is none that anybody may see."""
        if self.error_code:
            if self.complete:
                return None
            return Sees.BROKEN if self.text else Sees.ERROR
        if not self.complete:
            return None
        return {TEXT: Sees.ANSWER, OTHER_TEXT: Sees.OTHER_ANSWER}.get(self.text)

    @property
    def told(self) -> str:
        """What it was, in words."""
        if self.sees is not None and not self.error_code:
            return self.sees.value
        if self.error_code:
            began = f"{len(self.text)} characters, then " if self.text else ""
            return f"{began}{self.error_code}" + (f" ({self.status})" if self.status else "")
        end = "ended well" if self.complete else "ended without an end"
        return f"a wrong answer of {len(self.text)} characters that {end}"


@dataclass(kw_only=True)
class Play:
    """One request and what became of it: requests by upstream, in the order in which upstreams were first asked."""

    row: Row
    mode: Mode
    sight: Sight
    alone: bool
    """Whether no other candidate could answer."""
    asked: Mapping[str, Sequence[Seen]] = field(default_factory=dict[str, Sequence[Seen]])

    @property
    def first(self) -> Sequence[Seen]:
        """The requests at whoever was asked first."""
        return next(iter(self.asked.values()), ())

    @property
    def others(self) -> int:
        """How many requests went to anybody else."""
        return sum(len(requests) for requests in self.asked.values()) - len(self.first)


def faults_in(play: Play) -> list[str]:
    """Return what is not as the row promises, a sentence each; empty where all of it is."""
    return [*_of_the_caller(play), *_of_the_upstreams(play)]


def _of_the_caller(play: Play) -> Iterator[str]:
    sight, promise = play.sight, play.row.promise(alone=play.alone)
    wanted = promise.sees(play.mode)
    if not promise.allows(play.mode, sight.sees):
        yield f"the caller saw {sight.told}, not {wanted.value}"
        return
    if sight.error_code:
        yield from _of_the_error(play, promise.codes)
        return
    least = play.row.output_tokens or 1
    if sight.output_tokens is None or sight.output_tokens < least:
        yield f"the usage has {sight.output_tokens} tokens of output, at least {least} were"


def _of_the_error(play: Play, codes: tuple[str, ...]) -> Iterator[str]:
    sight = play.sight
    if codes and sight.error_code not in codes:
        yield f"the error is {sight.error_code}, not {' or '.join(codes)}"
    if sight.error_code in _OUR_FAULTS_ARE_NOT_THEIRS:
        yield "the rejection of our key was told as if it were the caller's"
    if sight.text and not TEXT.startswith(sight.text):
        yield "what came before the error is no beginning of the answer"
    wanted = play.row.retry_after_seconds
    # In the midst of a stream there is no place for it.
    if wanted and sight.status in (0, 429) and (sight.retry_after_seconds or 0.0) < wanted - _CLOCK_SECONDS:
        yield f"it says to come again after {sight.retry_after_seconds} s, at least {wanted:g} s were due"


def _of_the_upstreams(play: Play) -> Iterator[str]:
    row = play.row
    least, most = row.allowed_attempts(alone=play.alone)
    if not least <= len(play.first) <= most:
        yield f"the first upstream was asked {len(play.first)} times, {_range(least, most)} is right"
    if not play.alone and row.others_asked is not None and row.others_asked != (play.others > 0):
        yield f"others were asked {play.others} times, and {'had to' if row.others_asked else 'must not'} be"
    for earlier, later in zip(play.first, play.first[1:], strict=False):
        waited = later.at - (earlier.ended_at or earlier.at)
        if waited < row.not_again_within_seconds - _CLOCK_SECONDS:
            yield f"the first upstream was asked again after {waited:.2f} s, not before {row.not_again_within_seconds:g} s is right"
    if row.cancelled and any(seen.left_at is None for seen in play.first):
        yield "the first upstream's connection was left open"


def _range(least: int, most: int) -> str:
    return str(least) if least == most else f"{least} to {most}"


@dataclass(kw_only=True)
class Weathered:
    """Requests during and after an outage, each with the time at which it was begun; ``first`` was asked first."""

    outage: Outage
    first: str
    """The candidate that was down: ``upstream/model``."""
    sights: Sequence[tuple[float, Sight]]
    asked: Sequence[Seen]
    """The requests that it saw."""

    @property
    def well_at(self) -> float:
        """When it was well again."""
        return self.asked[0].at + self.outage.down_seconds if self.asked else 0.0

    @property
    def back_at(self) -> float | None:
        """When the first request was begun that it answered again; None where it never did."""
        times = (at for at, sight in self.sights if at >= self.well_at and sight.candidate == self.first)
        return next(times, None)


def faults_in_outage(weathered: Weathered) -> list[str]:
    """Return what is not as the rule promises; empty where all of it is."""
    outage, faults = weathered.outage, []
    wrong = [sight for _, sight in weathered.sights if sight.sees is not Sees.ANSWER]
    if wrong:
        faults.append(f"{len(wrong)} of {len(weathered.sights)} callers saw {wrong[0].told}, not {Sees.ANSWER.value}")
    while_down = sum(seen.at < weathered.well_at for seen in weathered.asked)
    if while_down > outage.asked_while_down:
        faults.append(
            f"the first upstream was asked {while_down} times while it was down, {outage.asked_while_down} at most is right"
        )
    if weathered.back_at is None:
        faults.append(f"the first upstream was not used again within {outage.back_within_seconds:g} s")
    return faults
