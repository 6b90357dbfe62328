"""From a step and a request to a response, piece by piece: each piece is one write, and one event of a stream."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http import HTTPStatus

from penstock_faults.openai.documents import (
    completion_of,
    embeddings_of,
    encoded,
    error_document,
    event,
    events_of,
)
from penstock_faults.record import Seen
from penstock_faults.reply import PREFILL_REFUSED, prefix_of, tokens_of
from penstock_faults.script import Body, Break, Error, Insert, Script, Step

EVENT_STREAM = "text/event-stream; charset=utf-8"
_JSON = "application/json"
_PIECE_BYTES = 64 * 1024
_GZIP_WINDOW = 31
_NOTHING = Error(message="What was asked for holds no messages.", type="invalid_request_error")


@dataclass(frozen=True)
class Response:
    """A response. ``first_content`` is the piece that waits for the first token's time, and for that of ``tokens_before``."""

    pieces: Iterator[bytes]
    content_type: str = _JSON
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict[str, str])
    break_after_pieces: int | None = None
    is_stream: bool = False
    first_content: int = 0
    tokens_before: int = 0


def response_to(seen: Seen, step: Step, script: Script) -> Response:
    """Return what the step does with a request."""
    if step.status >= HTTPStatus.MULTIPLE_CHOICES or step.error is not None or step.body is not None:
        return _without_answer(step)
    if seen.path.endswith("/embeddings"):
        return _whole(encoded(embeddings_of(_texts(seen.body.get("input")), seen.model)), step.broken)
    body = seen.body
    asked = body.get("continue_final_message") is True
    tokens = tokens_of(step.answer.tokens, prefix_of(body.get("messages")), script.prefill, asked_to_continue=asked)
    if tokens is None:
        return Response(iter([encoded(error_document(PREFILL_REFUSED))]), status=400)
    if not body.get("messages"):
        return Response(iter([encoded(error_document(_NOTHING))]), status=400)
    streams = seen.streams if script.streams == "as_asked" else script.streams == "always"
    return _streamed(step, tokens, seen.model) if streams else _in_one_piece(step, tokens, seen.model)


def _without_answer(step: Step) -> Response:
    headers = {**step.headers, **_retry_after(step.retry_after)}
    if step.body is None:
        document = encoded(error_document(step.error or Error(message=f"This is status {step.status}.")))
        return Response(iter([document]), _JSON, step.status, headers)
    if step.body.gzip:
        headers["content-encoding"] = "gzip"
    return Response(_pieces_of(step.body), step.body.content_type, step.status, headers)


def _streamed(step: Step, tokens: Sequence[str], model: str) -> Response:
    events = list(events_of(step.answer, tokens, model))
    inserted = {insert.event: _inserted(insert) for insert in step.insert}
    pieces = [inserted.get(number, b"") + piece for number, piece in enumerate(events)]
    pieces.append(inserted.get(len(events), b""))
    last = _last_of(step.insert)
    if last is not None:
        # An error within a stream is its end.
        pieces = [*pieces[:last], inserted[last]]
    after = step.broken.events if step.broken is not None else None
    return Response(iter(pieces), EVENT_STREAM, step.status, dict(step.headers), after, is_stream=True, first_content=1)


def _in_one_piece(step: Step, tokens: Sequence[str], model: str) -> Response:
    body = encoded(completion_of(step.answer, tokens, model))
    for insert in step.insert:
        if insert.error is not None:
            body = encoded(error_document(insert.error))
        elif insert.data:
            # Not within a text, where it would be one.
            body = body[:1] + insert.data.encode() + body[1:]
    return _whole(body, step.broken, len(tokens))


def _whole(body: bytes, broken: Break | None, tokens: int = 0) -> Response:
    if broken is None or broken.events is None:
        return Response(iter([body]), tokens_before=tokens)
    half = len(body) // 2
    return Response(iter([body[:half], body[half:]]), break_after_pieces=1, tokens_before=tokens)


def _inserted(insert: Insert) -> bytes:
    if insert.error is not None:
        return event(json.dumps(error_document(insert.error)))
    return event(insert.data) if insert.data else insert.raw.encode()


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


def _texts(asked: object) -> list[str]:
    if isinstance(asked, str):
        return [asked]
    return [str(text) for text in asked] if isinstance(asked, list) else []
