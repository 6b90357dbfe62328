"""From a step and a request to a response, piece by piece: each piece is one write, and one event of a stream."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http import HTTPStatus

from penstock_faults.http.format import JSON, Asked, Failure, Format, Reply, counts_of, pieces_of
from penstock_faults.record import Seen
from penstock_faults.reply import PREFILL_REFUSED, tokens_of
from penstock_faults.script import Answer, Body, Break, Error, Insert, Script, Step

_PIECE_BYTES = 64 * 1024
_GZIP_WINDOW = 31
_NOTHING = Error(message="What was asked for holds no messages.", type="invalid_request_error")


@dataclass(frozen=True)
class Response:
    """A response. ``first_content`` is the piece that waits for the first token's time, and for that of ``tokens_before``."""

    pieces: Iterator[bytes]
    content_type: str = JSON
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict[str, str])
    break_after_pieces: int | None = None
    is_stream: bool = False
    first_content: int = 0
    tokens_before: int = 0


def response_to(seen: Seen, asked: Asked, step: Step, script: Script, form: Format) -> Response:
    """Return what the step does with a request on the wire of this format."""
    if step.body is not None:
        return _body(step, step.body)
    if step.status >= HTTPStatus.MULTIPLE_CHOICES or step.error is not None:
        error = step.error or Error(message=f"This is status {step.status}.")
        failed = form.failure(error, step.status, step.retry_after, asked)
        return _failed(failed, {**step.headers, **_retry_after(step.retry_after)})
    if asked.kind != "answer":
        return _whole(form.other(seen, asked), step.broken)
    tokens = tokens_of(step.answer.tokens, asked.prefix, script.prefill, asked_to_continue=asked.continues)
    if tokens is None:
        return _failed(form.failure(PREFILL_REFUSED, HTTPStatus.BAD_REQUEST, "", asked))
    if not asked.turns:
        return _failed(form.failure(_NOTHING, HTTPStatus.BAD_REQUEST, "", asked))
    streams = asked.streams if script.streams == "as_asked" else script.streams == "always"
    reply = reply_of(step.answer, asked.model, tuple(tokens))
    return _streamed(step, reply, form) if streams else _in_one_piece(step, reply, form)


def reply_of(answer: Answer, model: str, tokens: tuple[str, ...] | None = None) -> Reply:
    """Return what is answered; ``tokens`` are those of the text that are left to say, None for all of them."""
    blocks = answer.said(answer.tokens if tokens is None else tokens)
    return Reply(answer=answer, blocks=blocks, model=model, counts=counts_of(answer, blocks))


def _body(step: Step, body: Body) -> Response:
    headers = {**step.headers, **_retry_after(step.retry_after)}
    if body.gzip:
        headers["content-encoding"] = "gzip"
    return Response(_pieces_of(body), body.content_type, step.status, headers)


def _failed(failure: Failure, headers: Mapping[str, str] | None = None) -> Response:
    return Response(
        iter([failure.document]), failure.content_type, failure.status, {**(headers or {}), **failure.headers}
    )


def _streamed(step: Step, reply: Reply, form: Format) -> Response:
    events = list(form.events(reply))
    inserted = {insert.event: _inserted(insert, form) for insert in step.insert}
    pieces = [inserted.get(number, b"") + piece for number, piece in enumerate(events)]
    pieces.append(inserted.get(len(events), b""))
    last = _last_of(step.insert)
    if last is not None:
        # An error within a stream is its end.
        pieces = [*pieces[:last], inserted[last]]
    after = step.broken.events if step.broken is not None else None
    headers = dict(step.headers)
    return Response(iter(pieces), form.stream_type, step.status, headers, after, is_stream=True, first_content=1)


def _in_one_piece(step: Step, reply: Reply, form: Format) -> Response:
    body = form.whole(reply)
    for insert in step.insert:
        data = form.torn if insert.torn else insert.data
        if insert.error is not None:
            body = form.failure(insert.error, HTTPStatus.OK, "", Asked(model=reply.model)).document
        elif data:
            # Not within a text, where it would be one.
            body = body[:1] + data.encode() + body[1:]
    return _whole(body, step.broken, sum(len(pieces_of(block)) for block in reply.blocks))


def _whole(body: bytes, broken: Break | None, tokens: int = 0) -> Response:
    if broken is None or broken.events is None:
        return Response(iter([body]), tokens_before=tokens)
    half = len(body) // 2
    return Response(iter([body[:half], body[half:]]), break_after_pieces=1, tokens_before=tokens)


def _inserted(insert: Insert, form: Format) -> bytes:
    if insert.error is not None:
        return form.error_event(insert.error)
    if insert.ping:
        return form.ping
    data = form.torn if insert.torn else insert.data
    return form.event(data) if data else insert.raw.encode()


def _last_of(inserts: Sequence[Insert]) -> int | None:
    return min((insert.event for insert in inserts if insert.error is not None), default=None)


def _pieces_of(body: Body) -> Iterator[bytes]:
    text = body.text.encode()
    pieces = _filled(text, body.fill_bytes) if body.fill_bytes and text else iter([text])
    if not body.gzip:
        yield from pieces
        return
    compressor = zlib.compressobj(wbits=_GZIP_WINDOW)
    for piece in pieces:
        if compressed := compressor.compress(piece):
            yield compressed
    yield compressor.flush()


def _filled(text: bytes, size: int) -> Iterator[bytes]:
    """Yield ``text`` and its last byte over and over, ``size`` bytes in all."""
    yield text[:size]
    left = size - len(text)
    block = text[-1:] * _PIECE_BYTES
    while left > 0:
        yield block[:left]
        left -= len(block)


def _retry_after(form: str) -> dict[str, str]:
    if not form:
        return {}
    if form.endswith("ms") and form[:-2].isdecimal():
        return {"retry-after-ms": form[:-2]}
    if form.startswith("date+") and form[5:].isdecimal():
        then = datetime.now(UTC) + timedelta(seconds=int(form[5:]))
        return {"retry-after": format_datetime(then, usegmt=True)}
    return {"retry-after": form}
