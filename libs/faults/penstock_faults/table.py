"""The table of recovery: what an upstream does, what its caller must see then, and what the upstreams must see.

One row per rule. ``first`` is whoever is asked first, ``others`` are all the other
candidates of the model. The numbers are those of the rules; the scripts have names
of their own, so that each row can be played by hand.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from penstock_faults.named import SCRIPTS
from penstock_faults.script import Script


class Sees(StrEnum):
    """What a caller sees in the end."""

    ANSWER = "the whole answer"
    OTHER_ANSWER = "the whole answer of another candidate"
    ERROR = "an error, and nothing of an answer"
    BROKEN = "the beginning of the answer, then an error"


class Mode(StrEnum):
    """How a caller asks."""

    STREAMED = "streamed"
    WHOLE = "whole"


class Timer(StrEnum):
    """Which timer a row waits for: the one to shorten where nobody wants to wait."""

    FIRST_TOKEN = "first_token"  # noqa: S105 - a timer
    IDLE = "idle"


UPSTREAM_FAILED = "upstream_failed"
UPSTREAM_TIMEOUT = "upstream_timeout"
RATE_LIMITED = "rate_limit_exceeded"
CONTEXT_LENGTH = "context_length_exceeded"
CONTENT_REFUSED = "content_policy_violation"


@dataclass(frozen=True, kw_only=True)
class Promise:
    """What a caller must see. ``codes`` are OpenAI's codes of the error, any of them; empty: whichever it is."""

    streamed: Sees
    whole: Sees
    codes: tuple[str, ...] = ()
    as_streamed: bool = False
    """Whether a caller of the whole may see what one of a stream does: its answer may be put together of one."""

    def sees(self, mode: Mode) -> Sees:
        """Return what a caller of this kind must see."""
        return self.streamed if mode is Mode.STREAMED else self.whole

    def allows(self, mode: Mode, sees: Sees | None) -> bool:
        """Return whether that is what a caller of this kind may have seen."""
        return sees is self.sees(mode) or (self.as_streamed and sees is self.streamed)


ANSWERED = Promise(streamed=Sees.ANSWER, whole=Sees.ANSWER)
REFUSED = Promise(streamed=Sees.ERROR, whole=Sees.ERROR, codes=(UPSTREAM_FAILED,))
CUT_OFF = Promise(streamed=Sees.BROKEN, whole=Sees.ERROR, codes=(UPSTREAM_FAILED,))


@dataclass(frozen=True, kw_only=True)
class Row:
    """One rule. ``elsewhere`` is what must be seen where another candidate can answer, ``alone`` where none can."""

    number: int
    name: str
    first: Script
    others: Script = SCRIPTS["good"]
    elsewhere: Promise = ANSWERED
    alone: Promise = REFUSED
    attempts: tuple[int, int] = (1, 2)
    """How often the first upstream may be asked by one request: at least and at most."""
    attempts_alone: tuple[int, int] | None = None
    """The same where there is no other candidate; as ``attempts`` where it is not said."""
    others_asked: bool | None = None
    """Whether others must be asked, or must not; None: either."""
    not_again_within_seconds: float = 0.0
    """The first upstream is not asked again sooner."""
    retry_after_seconds: float = 0.0
    """An error says to come again after about so long; 0: it may say what it likes."""
    larger_window: bool = False
    """Only a candidate whose window is larger counts as another."""
    cancelled: bool = False
    """The first upstream's connection is closed while it would still send."""
    timer: Timer | None = None
    output_tokens: int | None = None
    """At least so many are counted; None: some."""

    @property
    def id(self) -> str:
        """What it is called: its number and its name."""
        return f"{self.number}-{self.name}"

    def promise(self, *, alone: bool) -> Promise:
        """Return what must be seen."""
        return self.alone if alone else self.elsewhere

    def allowed_attempts(self, *, alone: bool) -> tuple[int, int]:
        """Return how often the first upstream may be asked."""
        return self.attempts_alone or self.attempts if alone else self.attempts


ONE = (1, 1)
TIMED_OUT = Promise(streamed=Sees.ERROR, whole=Sees.ERROR, codes=(UPSTREAM_TIMEOUT,))
STALLED = Promise(streamed=Sees.BROKEN, whole=Sees.ERROR, codes=(UPSTREAM_TIMEOUT,))
LIMITED = Promise(streamed=Sees.ERROR, whole=Sees.ERROR, codes=(RATE_LIMITED,))
TOO_LONG = Promise(streamed=Sees.ERROR, whole=Sees.ERROR, codes=(CONTEXT_LENGTH,))
FILTERED = Promise(streamed=Sees.ERROR, whole=Sees.ERROR, codes=(CONTENT_REFUSED,))
OTHERWISE = Promise(streamed=Sees.BROKEN, whole=Sees.OTHER_ANSWER, codes=(UPSTREAM_FAILED,))


def _limits() -> Iterable[Row]:
    for name, seconds in (("429-one-second", 1.0), ("429-milliseconds", 1.5)):
        yield Row(
            number=1,
            name=name,
            first=SCRIPTS[name],
            alone=ANSWERED,
            attempts_alone=(2, 2),
            not_again_within_seconds=seconds,
        )
    for name, told in (("429-a-minute", 55.0), ("429-date", 60.0)):
        yield Row(
            number=1,
            name=name,
            first=SCRIPTS[name],
            alone=LIMITED,
            attempts=ONE,
            retry_after_seconds=told,
            others_asked=True,
        )
    for name in ("429", "429-garbage", "429-negative"):
        yield Row(number=2, name=name, first=SCRIPTS[name], alone=LIMITED, retry_after_seconds=1.0, others_asked=True)


def _errors() -> Iterable[Row]:
    yield Row(number=3, name="500-once", first=SCRIPTS["500-once"], alone=ANSWERED, attempts=(2, 2), others_asked=False)
    for name in ("503", "529"):
        yield Row(number=4, name=name, first=SCRIPTS[name], others_asked=True)
    for name in ("reset-once", "closed-once"):
        yield Row(number=5, name=name, first=SCRIPTS[name], alone=ANSWERED, attempts=(2, 2), others_asked=False)
    yield Row(
        number=6,
        name="silence",
        first=SCRIPTS["silence"],
        alone=TIMED_OUT,
        attempts=ONE,
        timer=Timer.FIRST_TOKEN,
        cancelled=True,
        others_asked=True,
    )
    for name in ("headers-then-silence", "first-token-late"):
        yield Row(
            number=7,
            name=name,
            first=SCRIPTS[name],
            alone=TIMED_OUT,
            attempts=ONE,
            timer=Timer.FIRST_TOKEN,
            cancelled=True,
            others_asked=True,
        )


def _breaks() -> Iterable[Row]:
    for name in ("cut-reset", "cut-close", "cut-end", "no-finish-reason"):
        yield Row(number=8, name=name, first=SCRIPTS[name], alone=CUT_OFF, others_asked=True)
    yield Row(
        number=9,
        name="cut-stall",
        first=SCRIPTS["cut-stall"],
        alone=STALLED,
        attempts=ONE,
        timer=Timer.IDLE,
        cancelled=True,
        others_asked=True,
    )
    skipped = Promise(streamed=Sees.ANSWER, whole=Sees.ERROR, codes=(UPSTREAM_FAILED,), as_streamed=True)
    yield Row(number=10, name="malformed-event", first=SCRIPTS["malformed-event"], alone=skipped)
    yield Row(number=10, name="torn-event", first=SCRIPTS["torn-event"], alone=CUT_OFF)
    for name in ("no-done", "no-done-closed"):
        yield Row(number=11, name=name, first=SCRIPTS[name], alone=ANSWERED, attempts=ONE, others_asked=False)


def _of_the_request() -> Iterable[Row]:
    yield Row(
        number=12,
        name="context-length",
        first=SCRIPTS["context-length"],
        alone=TOO_LONG,
        attempts=ONE,
        larger_window=True,
    )
    yield Row(
        number=13,
        name="content-filter",
        first=SCRIPTS["content-filter"],
        elsewhere=FILTERED,
        alone=FILTERED,
        attempts=ONE,
        others_asked=False,
    )


def _without_a_prefix() -> Iterable[Row]:
    for others, promise in (
        ("refuses-prefill", ANSWERED),
        ("ignores-prefill", ANSWERED),
        ("other-answer-refuses-prefill", OTHERWISE),
    ):
        yield Row(
            number=14,
            name=f"cut-{others}",
            first=SCRIPTS["cut-reset"],
            others=SCRIPTS[others],
            elsewhere=promise,
            alone=CUT_OFF,
            others_asked=True,
        )
    yield Row(
        number=14,
        name="cut-null-content",
        first=SCRIPTS["cut-reset"],
        others=SCRIPTS["null-content"],
        elsewhere=CUT_OFF,
        alone=CUT_OFF,
        others_asked=True,
    )


def _odd() -> Iterable[Row]:
    for name in ("error-first", "error-object"):
        yield Row(number=16, name=name, first=SCRIPTS[name], others_asked=True)
    yield Row(number=16, name="error-event", first=SCRIPTS["error-event"], alone=CUT_OFF, others_asked=True)
    for name in ("html", "empty", "wrong-type", "null-content"):
        yield Row(number=17, name=name, first=SCRIPTS[name], others_asked=True)
    for name in ("long-line", "endless", "gzip-bomb"):
        yield Row(number=18, name=name, first=SCRIPTS[name], attempts=ONE, cancelled=True, others_asked=True)
    yield Row(number=18, name="redirect", first=SCRIPTS["redirect"], attempts=ONE, others_asked=True)
    for name in ("usage-missing", "usage-zero"):
        yield Row(
            number=19, name=name, first=SCRIPTS[name], alone=ANSWERED, attempts=ONE, others_asked=False, output_tokens=2
        )
    for name in ("401", "403"):
        yield Row(number=20, name=name, first=SCRIPTS[name], attempts=ONE, others_asked=True)


@dataclass(frozen=True, kw_only=True)
class Outage:
    """The rule of many requests: whoever is down is left alone, and is used again soon after it is well."""

    number: int = 15
    name: str = "outage"
    first: Script = SCRIPTS["outage"]
    down_seconds: float = 6.0
    """As the script has it."""
    between_seconds: float = 0.25
    """From an answer to the next request."""
    asked_while_down: int = 8
    """At most: five failures eject it, the fifth may be a request's first attempt, and a probe may come."""
    back_within_seconds: float = 30.0
    """After it is well, it answers again."""

    @property
    def id(self) -> str:
        """What it is called: its number and its name."""
        return f"{self.number}-{self.name}"


OUTAGE = Outage()
ROWS: tuple[Row, ...] = (
    *_limits(), *_errors(), *_breaks(), *_of_the_request(), *_without_a_prefix(), *_odd(),
)  # fmt: skip
"""The table, but for the outage, which takes more than one request."""
