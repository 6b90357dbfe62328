"""Every fault an upstream can have, what the caller sees, and what the upstreams see.

The numbers are the rows of the attempt engine's design.
"""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

from penstock_common import errors
from penstock_common.testing.openai_upstream import Answer, Behaviour, Body, End, Failure, NoResponse

ELSEWHERE = "Hello, world."
OURS = "It works."
GOOD = Answer(tokens=["It ", "works."])
PARTIAL = "Hello, "


@dataclass(frozen=True, kw_only=True)
class Row:
    """One fault; ``text`` is the answer, or what came before ``error``."""

    name: str
    first: Sequence[Behaviour]
    second: Sequence[Behaviour] = ()
    plan: Sequence[str] = ("first/m", "second/m")
    text: str = ""
    error: type[errors.PenstockError] | None = None
    says: str = ""
    outcomes: Sequence[str]
    pauses: Sequence[float] = ()
    estimated: bool = False
    held: int = 0

    def __str__(self) -> str:
        return self.name


def failure(status: int, code: str = "", message: str = "", kind: str = "", **headers: str) -> Failure:
    """Return an OpenAI error response."""
    error = {"message": message, "code": code or None, "type": kind or None}
    return Failure(status, error, {name.replace("_", "-"): value for name, value in headers.items()})


def in_band(text: str) -> bytes:
    """Return an event with this data."""
    return f"data: {text}\n\n".encode()


def tomorrow() -> str:
    """Return an HTTP date."""
    return format_datetime(datetime.now(UTC) + timedelta(days=1), usegmt=True)


ALONE = ("first/m",)
TOO_LONG = failure(
    400,
    code="context_length_exceeded",
    message="This model's maximum context length is 4096 tokens. However, your messages resulted in 5000 tokens.",
)
CHUNK = '{"choices":[{"index":0,"delta":{"content":"Hello, "},"finish_reason":null}]}'

FAIL_OVER = [
    Row(name="10 malformed event that was no part of the answer", first=[Answer(insert={3: in_band("{nonsense")})],
        text=ELSEWHERE, outcomes=["first answered"]),
    Row(name="10 malformed event, and nobody counts the tokens", first=[Answer(insert={3: in_band("{nonsense")}, usage=None)],
        text=ELSEWHERE, outcomes=["first answered"], estimated=True),
    Row(name="1 429 with seconds, another candidate", first=[failure(429, retry_after="3")], text=ELSEWHERE,
        outcomes=["first rate_limited", "second answered"]),
    Row(name="4 503 always, another candidate", first=[failure(503), failure(503)], text=ELSEWHERE,
        outcomes=["first server_error", "first server_error", "second answered"], pauses=[0.125]),
    Row(name="4 529 always, another candidate", first=[failure(529), failure(529)], text=ELSEWHERE,
        outcomes=["first server_error", "first server_error", "second answered"], pauses=[0.125]),
    Row(name="503 that says when, another candidate", first=[failure(503, retry_after="3")], text=ELSEWHERE,
        outcomes=["first server_error", "second answered"]),
    Row(name="12 too long, a larger window", first=[TOO_LONG], text=ELSEWHERE,
        outcomes=["first context_length", "second answered"]),
    Row(name="16 error object in 200", text=ELSEWHERE, outcomes=["first rate_limited", "second answered"],
        first=[Body(frames=[b'{"error":{"type":"rate_limit_error"}}'], content_type="application/json")]),
    Row(name="16 error event in 200", text=ELSEWHERE, outcomes=["first rate_limited", "second answered"],
        first=[Body(frames=[in_band('{"error":{"message":"slow down","code":429}}')])]),
    Row(name="16 event named error", text=ELSEWHERE, outcomes=["first rate_limited", "second answered"],
        first=[Body(frames=[b'event: error\ndata: {"error":{"type":"rate_limit_exceeded"}}\n\n'])]),
    Row(name="17 HTML", first=[Body(frames=[b"<html>sorry"], content_type="text/html")], text=ELSEWHERE,
        outcomes=["first malformed", "second answered"]),
    Row(name="17 empty body", first=[Body(), Body()], text=ELSEWHERE, pauses=[0.125],
        outcomes=["first cut", "first cut", "second answered"]),
    Row(name="17 a cut stream under another type", text=ELSEWHERE, pauses=[0.125],
        first=[Body(frames=[in_band('{"choices":[{"delta":{}}]}')], content_type="application/json")] * 2,
        outcomes=["first cut", "first cut", "second answered"]),
    Row(name="17 null content", first=[Answer(tokens=[])], text=ELSEWHERE,
        outcomes=["first empty", "second answered"]),
    Row(name="17 malformed before content", first=[Body(frames=[in_band("{nonsense")])], text=ELSEWHERE,
        outcomes=["first malformed", "second answered"]),
    Row(name="18 redirect", first=[Failure(302, None, {"location": "http://169.254.169.254/"})], text=ELSEWHERE,
        outcomes=["first misconfigured", "second answered"]),
    Row(name="18 endless line", first=[Body(frames=[b"data: " + b"x" * 65536], end=End.REPEAT)], text=ELSEWHERE,
        outcomes=["first oversize", "second answered"]),
    Row(name="18 gzip bomb", text=ELSEWHERE, outcomes=["first malformed", "second answered"],
        first=[Body(frames=[gzip.compress(b"\n" * 10_000_000)], headers={"content-encoding": "gzip"})]),
    Row(name="18 endless header", first=[Body(headers={"x": "y" * 70_000})], text=ELSEWHERE,
        outcomes=["first malformed", "second answered"]),
    Row(name="20 our key rejected", first=[failure(401, code="invalid_api_key")], text=ELSEWHERE,
        outcomes=["first credentials", "second answered"]),
    Row(name="20 our key forbidden", first=[failure(403)], text=ELSEWHERE,
        outcomes=["first credentials", "second answered"]),
    Row(name="our account's quota spent", first=[failure(429, code="insufficient_quota")], text=ELSEWHERE,
        outcomes=["first quota", "second answered"]),
    Row(name="model unknown there", first=[failure(404, code="model_not_found")], text=ELSEWHERE,
        outcomes=["first misconfigured", "second answered"]),
    Row(name="bad request there", first=[failure(400, message="seed is not supported")], text=ELSEWHERE,
        outcomes=["first bad_request", "second answered"]),
]  # fmt: skip

RETRIED = [
    Row(name="1 429 alone, seconds", first=[failure(429, retry_after="3"), GOOD], plan=ALONE, text=OURS,
        outcomes=["first rate_limited", "first answered"], pauses=[3.25]),
    Row(name="1 429 alone, milliseconds", first=[failure(429, retry_after_ms="1500", retry_after="60"), GOOD],
        plan=ALONE, text=OURS, outcomes=["first rate_limited", "first answered"], pauses=[1.75]),
    Row(name="2 429 alone, no header", first=[failure(429), GOOD], plan=ALONE, text=OURS,
        outcomes=["first rate_limited", "first answered"], pauses=[1.25]),
    Row(name="2 429 alone, header is nonsense", first=[failure(429, retry_after="abc"), GOOD], plan=ALONE, text=OURS,
        outcomes=["first rate_limited", "first answered"], pauses=[1.25]),
    Row(name="2 429 alone, header is negative", first=[failure(429, retry_after="-1"), GOOD], plan=ALONE, text=OURS,
        outcomes=["first rate_limited", "first answered"], pauses=[1.25]),
    Row(name="3 500 once", first=[failure(500), GOOD], text=OURS,
        outcomes=["first server_error", "first answered"], pauses=[0.125]),
    Row(name="5 reset before headers", first=[NoResponse(End.RESET), GOOD], text=OURS,
        outcomes=["first connect", "first answered"], pauses=[0.125]),
    Row(name="5 closed before headers", first=[NoResponse(End.FIN), GOOD], text=OURS,
        outcomes=["first connect", "first answered"], pauses=[0.125]),
    Row(name="reset between headers and content", first=[Answer(stop_after=1, end=End.RESET), GOOD], text=OURS,
        outcomes=["first cut", "first answered"], pauses=[0.125]),
    Row(name="11 no [DONE], clean end", first=[Answer(done=False)], text=ELSEWHERE, outcomes=["first answered"]),
    Row(name="11 no [DONE], closed by the server", first=[Answer(done=False, delimited=False)], text=ELSEWHERE,
        outcomes=["first answered"]),
    Row(name="19 no usage", first=[Answer(usage=None)], text=ELSEWHERE, outcomes=["first answered"], estimated=True),
    Row(name="19 usage zero", first=[Answer(usage={"prompt_tokens": 0, "completion_tokens": 0})], text=ELSEWHERE,
        outcomes=["first answered"], estimated=True),
    Row(name="19 usage negative", first=[Answer(usage={"prompt_tokens": 7, "completion_tokens": -4})],
        text=ELSEWHERE, outcomes=["first answered"], estimated=True),
    Row(name="19 usage huge", first=[Answer(usage={"prompt_tokens": 7, "completion_tokens": 10**15})],
        text=ELSEWHERE, outcomes=["first answered"], estimated=True),
    Row(name="[DONE] twice and data after it", text=ELSEWHERE, outcomes=["first answered"],
        first=[Answer(insert={7: b"data: [DONE]\n\n" + in_band(CHUNK)})]),
    Row(name="comments and pings", text=ELSEWHERE, outcomes=["first answered"],
        first=[Answer(insert=dict.fromkeys(range(8), b": keep-alive\n\nevent: ping\n\n"))]),
]  # fmt: skip

FAILED = [
    Row(name="1 429 alone, the wait is too long", first=[failure(429, retry_after="60")], plan=ALONE,
        error=errors.RateLimited, outcomes=["first rate_limited"]),
    Row(name="1 429 alone, an HTTP date too far", first=[failure(429, retry_after=tomorrow())], plan=ALONE,
        error=errors.RateLimited, outcomes=["first rate_limited"]),
    Row(name="2 429 everywhere", first=[failure(429)], second=[failure(429), failure(429, retry_after="5")],
        error=errors.RateLimited, outcomes=["first rate_limited", "second rate_limited", "second rate_limited"],
        pauses=[1.25]),
    Row(name="4 503 always, nobody else", first=[failure(503), failure(503)], plan=ALONE, says="503",
        error=errors.UpstreamFailed, outcomes=["first server_error", "first server_error"], pauses=[0.125]),
    Row(name="12 too long everywhere", first=[TOO_LONG], second=[TOO_LONG], error=errors.ContextLengthExceeded,
        outcomes=["first context_length", "second context_length"]),
    Row(name="12 too long, no larger window", first=[], second=[TOO_LONG], plan=("second/m", "first/m"),
        error=errors.ContextLengthExceeded, outcomes=["second context_length"]),
    Row(name="13 content filter", first=[failure(400, code="content_filter", message="It is about violence.")],
        error=errors.ContentRefused, says="It is about violence.", outcomes=["first refused"]),
    Row(name="13 content filter without a word", first=[Answer(tokens=[], finish_reason="content_filter")],
        error=errors.ContentRefused, outcomes=["first refused"]),
    Row(name="20 our key rejected, nobody else", first=[failure(401, message="Incorrect API key: sk-ours")],
        plan=ALONE, error=errors.UpstreamFailed, outcomes=["first credentials"]),
    Row(name="the last informative error", first=[failure(400, message="seed is not supported")],
        second=[failure(401)], error=errors.InvalidRequest, says="seed is not supported",
        outcomes=["first bad_request", "second credentials"]),
    Row(name="a later error that tells as much", first=[failure(503), failure(503)],
        second=[failure(400, message="no such seed")], error=errors.InvalidRequest, says="no such seed",
        outcomes=["first server_error", "first server_error", "second bad_request"], pauses=[0.125]),
]  # fmt: skip

# An answer breaks off. ``held`` is the frame that waits until the caller has what came before; ``outcomes`` is the first's.
BROKEN_OFF = [
    Row(name="8 reset mid-answer", first=[Answer(stop_after=3, end=End.RESET)], held=3, text=PARTIAL,
        error=errors.UpstreamFailed, says="7 characters", outcomes=["first cut"]),
    Row(name="8 closed mid-answer", first=[Answer(stop_after=3, end=End.FIN)], held=3, text=PARTIAL,
        error=errors.UpstreamFailed, says="7 characters", outcomes=["first cut"]),
    Row(name="8 clean end without finish reason", first=[Answer(stop_after=3)], held=3, text=PARTIAL,
        error=errors.UpstreamFailed, says="7 characters", outcomes=["first cut"]),
    Row(name="8 [DONE] without finish reason", first=[Answer(finish_reason=None)], held=5, text=ELSEWHERE,
        error=errors.UpstreamFailed, says="13 characters", outcomes=["first cut"]),
    Row(name="8 a finish reason that is none", first=[Answer(finish_reason="insufficient_system_resource")], held=5,
        text=ELSEWHERE, error=errors.UpstreamFailed, outcomes=["first cut"]),
    Row(name="10 malformed event in place of a token",
        first=[Answer(tokens=["Hello, ", "wor"], insert={2: in_band("{nonsense")}, usage={"completion_tokens": 3})], held=2,
        text=PARTIAL, error=errors.UpstreamFailed, says="malformed", outcomes=["first malformed"]),
    Row(name="10 half a chunk mid-answer", first=[Answer(insert={3: in_band(CHUNK)[:-9] + b"\n\n"})], held=3, text=PARTIAL,
        error=errors.UpstreamFailed, says="malformed", outcomes=["first malformed"]),
    Row(name="10 two malformed events mid-answer", first=[Answer(insert={3: in_band("{nonsense") * 2})], held=3,
        text=PARTIAL, error=errors.UpstreamFailed, says="malformed", outcomes=["first malformed"]),
    Row(name="10 broken UTF-8 mid-answer", first=[Answer(insert={3: in_band(CHUNK).replace(b"Hello", b"\xc3")})], held=3,
        text=PARTIAL, error=errors.UpstreamFailed, outcomes=["first malformed"]),
    Row(name="16 error event mid-answer", held=3, text=PARTIAL, error=errors.UpstreamFailed,
        first=[Answer(insert={3: in_band('{"error":{"message":"slow down","type":"rate_limit_error"}}')})],
        outcomes=["first rate_limited"]),
    Row(name="18 endless line mid-answer", held=1, text=PARTIAL, error=errors.UpstreamFailed,
        first=[Body(frames=[in_band(CHUNK), b"data: " + b"x" * 65536], end=End.REPEAT)], outcomes=["first oversize"]),
]  # fmt: skip
