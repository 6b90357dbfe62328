"""The scripts that have names: every fault that the table of recovery speaks of, and a few that stand for outages."""

from __future__ import annotations

from collections.abc import Iterable

from penstock_faults.script import (
    BREAK_AFTER_EVENTS,
    OTHER_TOKENS,
    TOKENS,
    Answer,
    Body,
    Break,
    Ending,
    Error,
    Insert,
    Pace,
    Prefill,
    Script,
    Step,
    lasting,
    once,
)

SEEN = "seen"
"""The gate that scripts wait at before they break an answer: open once the caller has seen its beginning."""
_TEN_MEGABYTES = 10 * 1000 * 1000
_GIGABYTE = 1000 * 1000 * 1000
_TERABYTE = 1000 * _GIGABYTE
_HTML = "<!doctype html><title>502 Bad Gateway</title><h1>502 Bad Gateway</h1>"


def failing(
    status: int, message: str = "", *, code: str | None = None, kind: str | None = None, retry_after: str = ""
) -> Step:
    """Return the step of an error response."""
    error = Error(message=message or f"This is status {status}.", type=kind, code=code)
    return Step(status=status, error=error, retry_after=retry_after)


def limited(retry_after: str = "") -> Step:
    """Return the step of a 429."""
    return failing(429, "Rate limit reached.", kind="requests", code="rate_limit_exceeded", retry_after=retry_after)


def broken(by: Ending, answer: Answer | None = None) -> Step:
    """Return the step of an answer that breaks off in its midst, once the caller has seen some of it."""
    return Step(
        answer=answer or Answer(), broken=Break(by=by, events=BREAK_AFTER_EVENTS), hold={BREAK_AFTER_EVENTS: SEEN}
    )


def interrupted(insert: Insert) -> Step:
    """Return the step of an answer with something in its midst that does not belong there."""
    return Step(insert=(insert,), hold={insert.event: SEEN})


def playing(name: str, about: str, *steps: Step, prefill: Prefill = "continues") -> Script:
    """Return a script."""
    return Script(name=name, about=about, steps=steps, prefill=prefill)


_MIDST = BREAK_AFTER_EVENTS
_OVERLOADED = Error(message="The engine is currently overloaded.", type="server_error", code="overloaded")
_TOO_LONG = (
    "This model's maximum context length is 16 tokens. However, your messages resulted in 4100 tokens. "
    "Please reduce the length of the messages."
)
_FILTERED = "The prompt was filtered due to triggering the content management policy."


def _well() -> Iterable[Script]:
    yield playing("good", "answers at once")
    yield playing("other-answer", "answers otherwise than the rest", Step(answer=Answer(tokens=OTHER_TOKENS)))
    yield playing("refuses-prefill", "answers, and refuses to go on from a beginning", prefill="refuses")
    yield playing("ignores-prefill", "answers from the start, whatever beginning it is given", prefill="ignores")
    yield playing(
        "continues-when-asked", "goes on from a beginning only where the request says so, as vLLM", prefill="when_asked"
    )
    yield playing(
        "other-answer-refuses-prefill", "answers otherwise than the rest, and refuses to go on from a beginning",
        Step(answer=Answer(tokens=OTHER_TOKENS)), prefill="refuses",
    )  # fmt: skip
    yield playing("paced", "a token every 50 ms", Step(pace=Pace(first_token_seconds=0.3, token_seconds=0.05)))
    yield playing(
        "bimodal", "every twentieth first token comes after 6 s instead of 0.3 s",
        Step(pace=Pace(first_token_seconds=0.3, slow_every=20, slow_first_token_seconds=6.0)),
    )  # fmt: skip
    yield playing(
        "slow",
        "a first token after 3 s, and one a second from then on",
        Step(pace=Pace(first_token_seconds=3, token_seconds=1)),
    )
    yield Script(name="streams-only", about="streams, whatever is asked", streams="always")
    yield Script(name="whole-only", about="answers whole, whatever is asked", streams="never")


def _limiting() -> Iterable[Script]:
    for name, form, says in (
        ("429-one-second", "1", "429 once, with Retry-After: 1, then an answer"),
        ("429-milliseconds", "1500ms", "429 once, with retry-after-ms: 1500, then an answer"),
        ("429-two-seconds", "2", "429 once, with Retry-After: 2, then an answer"),
    ):
        yield playing(name, says, once(limited(form)))
    for name, form, says in (
        ("429-a-minute", "60", "429, with Retry-After: 60"),
        ("429-an-hour", "3600", "429, with Retry-After: 3600"),
        ("429-date", "date+90", "429, with an HTTP date a minute and a half ahead"),
        ("429", "", "429, without a word of when"),
        ("429-garbage", "soon", "429, with Retry-After: soon"),
        ("429-negative", "-1", "429, with Retry-After: -1"),
    ):
        yield playing(name, says, limited(form))


def _refusing() -> Iterable[Script]:
    yield playing("500-once", "500 once, then an answer", once(failing(500)))
    yield playing("500", "500", failing(500))
    yield playing("503", "503", failing(503))
    yield playing("529", "529, as Anthropic says that it is overloaded", failing(529))
    for name, seconds in (("outage", 6), ("down-for-a-minute", 60)):
        yield playing(name, f"503 for {seconds} s after the first request, then well", lasting(failing(503), seconds))
    yield playing(
        "context-length",
        "400: the conversation is too long",
        failing(400, _TOO_LONG, code="context_length_exceeded", kind="invalid_request_error"),
    )
    yield playing("content-filter", "400: the content filter refuses", failing(400, _FILTERED, code="content_filter"))
    yield playing(
        "401",
        "401: the key is rejected",
        failing(401, "Incorrect API key provided.", code="invalid_api_key", kind="invalid_request_error"),
    )
    yield playing(
        "403", "403: the key may not", failing(403, "Your key may not use this model.", kind="permission_error")
    )
    yield playing(
        "redirect",
        "302 to an address of the cloud's own",
        Step(status=302, headers={"location": "http://169.254.169.254/latest/meta-data/"}, body=Body()),
    )


def _silent() -> Iterable[Script]:
    yield playing("reset-once", "resets the first connection before any header, then answers", once(Step(drop="reset")))
    yield playing(
        "closed-once", "closes the first connection before any header, then answers", once(Step(drop="close"))
    )
    yield playing("reset", "resets every connection before any header", Step(drop="reset"))
    yield playing("silence", "accepts, and never says a word", Step(drop="stall"))
    yield playing(
        "headers-then-silence", "headers at once, and nothing after them", Step(broken=Break(by="stall", bytes=0))
    )
    yield playing(
        "first-token-late",
        "headers at once, the first token after two minutes",
        Step(pace=Pace(first_token_seconds=120)),
    )


_ENDS: tuple[tuple[Ending, str], ...] = (
    ("reset", "the connection is reset"),
    ("close", "the connection is closed without the body's end"),
    ("end", "the body ends cleanly, without a finish reason"),
    ("stall", "nothing more comes"),
)


def _breaking() -> Iterable[Script]:
    for by, says in _ENDS:
        yield playing(f"cut-{by}", f"some of the answer, then {says}", broken(by))
    # Its end is held, too: an answer that comes all at once has sent nothing when it turns out to be none.
    yield playing(
        "no-finish-reason", "all of the answer and [DONE], but never a finish reason",
        Step(answer=Answer(finish_reason=None, usage="missing"), hold={1 + len(TOKENS): SEEN}),
    )  # fmt: skip
    yield playing(
        "malformed-event",
        "one event of the stream is no JSON, and nothing of the answer; the rest is good",
        interrupted(Insert(event=_MIDST, data="{nonsense")),
    )
    yield playing(
        "torn-event",
        "one event of the stream is half a piece of the answer; the rest is good",
        interrupted(Insert(event=_MIDST, torn=True)),
    )
    yield playing(
        "error-event",
        "some of the answer, then an error within the stream",
        interrupted(Insert(event=_MIDST, error=_OVERLOADED)),
    )
    yield playing(
        "error-first",
        "an error event in the place of the first, under status 200",
        Step(insert=(Insert(event=0, error=_OVERLOADED),)),
    )
    yield playing("error-object", "an error object under status 200", Step(error=_OVERLOADED))


def _odd() -> Iterable[Script]:
    yield playing("no-done", "no [DONE], but a finish reason and a clean end", Step(answer=Answer(done=False)))
    yield playing(
        "no-done-closed",
        "no [DONE], and the connection's end is the body's",
        Step(answer=Answer(done=False), framing="until_close"),
    )
    yield playing(
        "pings",
        "signs of life between the events",
        Step(insert=tuple(Insert(event=number, ping=True) for number in range(12))),
    )


def _no_answers() -> Iterable[Script]:
    yield playing("html", "a page of a proxy, under status 200", Step(body=Body(text=_HTML)))
    yield playing("empty", "nothing, under status 200", Step(body=Body(content_type="application/json")))
    yield playing(
        "wrong-type",
        "plain words, under status 200",
        Step(body=Body(content_type="text/plain", text="The service is starting.")),
    )
    yield playing("null-content", "an answer without content", Step(answer=Answer(tokens=(), usage="missing")))
    yield playing(
        "long-line",
        "a line of 10 MB",
        Step(body=Body(content_type="text/event-stream", text="data: x", fill_bytes=_TEN_MEGABYTES)),
    )
    yield playing(
        "endless",
        "a line that never ends",
        Step(body=Body(content_type="text/event-stream", text="data: x", fill_bytes=_TERABYTE)),
    )
    yield playing(
        "endless-answer",
        "one word, for ever",
        Step(answer=Answer(tokens=("word ",)), broken=Break(by="repeat", events=2)),
    )
    yield playing(
        "gzip-bomb",
        "a gigabyte of nothing, compressed",
        Step(body=Body(content_type="application/json", text=" ", fill_bytes=_GIGABYTE, gzip=True)),
    )
    yield playing("usage-missing", "an answer without usage", Step(answer=Answer(usage="missing")))
    yield playing("usage-zero", "an answer whose usage is zero", Step(answer=Answer(usage="zero")))


_GROUPS = (_well(), _limiting(), _refusing(), _silent(), _breaking(), _odd(), _no_answers())
SCRIPTS = {script.name: script for scripts in _GROUPS for script in scripts}
"""By name."""
