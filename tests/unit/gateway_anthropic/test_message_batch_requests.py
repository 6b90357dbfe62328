"""The requests of a message batch: found wherever the pieces are cut, and made lines of a file."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock_common.errors import InvalidRequest, PenstockError, UnsupportedParameter
from penstock_gateway.domain.batches.lines import Line, asked_in
from penstock_gateway.surfaces.http1.failures import BodyTooLarge
from penstock_gateway.surfaces.wire_formats.anthropic.batches.lines import Lines
from penstock_gateway.surfaces.wire_formats.anthropic.batches.requests import RequestSplitter, requests_in
from penstock_gateway.surfaces.wire_formats.anthropic.messages import FORMAT
from penstock_gateway.surfaces.wire_formats.anthropic.messages.parse import parse_messages_request

_JSON = st.recursive(
    st.text('a"\\\\{}[],:\\n\u00e9', max_size=8) | st.integers() | st.none(),
    lambda some: st.lists(some, max_size=3) | st.dictionaries(st.text('{"\\\\}', max_size=3), some, max_size=3),
    max_leaves=8,
)
_OBJECTS = st.lists(st.dictionaries(st.text("ab{", max_size=2), _JSON, max_size=3), max_size=5)


def split(body: bytes, size: int = 1 << 20, most: int = 10_000) -> list[Any]:
    """Return the requests of a body that comes in such pieces."""
    splitter = RequestSplitter(most)
    found = [one for at in range(0, len(body), size) for one in splitter.feed(body[at : at + size])]
    splitter.end()
    return [json.loads(one) for one in found]


@given(_OBJECTS, st.integers(1, 40), st.sampled_from([None, 2]), st.sampled_from(["", " ", "\n\t"]))
def test_requests_are_found_wherever_the_pieces_are_cut(objects, size, indent, space):
    body = f"{space}{json.dumps({'requests': objects}, indent=indent, ensure_ascii=False)}{space}".encode()
    assert split(body, size) == objects


@given(st.text('{}[]":,requests\\\\ x', max_size=60), st.integers(1, 9))
def test_whatever_a_body_is_it_is_read_or_refused(text, size):
    for body in (text, '{"requests":[' + text, '{"requests":[' + text + "]}"):
        try:
            split(body.encode(), size, most=50)
        except (PenstockError, json.JSONDecodeError):
            continue


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b'{"model":"m","requests":[]}', InvalidRequest),
        (b'{"model":[]}', UnsupportedParameter),
        (b'{"requests":[1]}', InvalidRequest),
        (b'{"requests":[{},]}', InvalidRequest),
        (b'{"requests":[{} {}]}', InvalidRequest),
        (b'{"requests":[{}],"requests":[{}]}', InvalidRequest),
        (b'{"requests":[{}]}{}', InvalidRequest),
        (b'{"requests":[{}]', InvalidRequest),
        (b" " * 2000 + b"x", InvalidRequest),
        (b'{"requests":[{"a":"' + b"x" * 10_000 + b'"}]}', BodyTooLarge),
        (b'{"requests":[{"a":"' + b"x" * 20_000, BodyTooLarge),
    ],
)
@pytest.mark.parametrize("size", [3, 1 << 20])
def test_a_body_that_is_none_is_refused(body, kind, size):
    with pytest.raises(kind):
        split(body, size)


class _Body:
    """A body of one piece, which notes what is held of it."""

    content_type = "application/json"

    def __init__(self, content: bytes) -> None:
        self.held = 0
        self._content = content

    async def pieces(self) -> AsyncIterator[bytes]:
        yield self._content

    def hold(self, size_bytes: int) -> None:
        self.held = size_bytes


@pytest.mark.parametrize(("size", "least"), [(1_000, 0), (500_000, 1_000_000)])
async def test_room_is_asked_for_what_is_large(size, least):
    body = _Body(json.dumps({"requests": [{"a": "x" * size}] * 3}).encode())
    found = [one async for some in requests_in(body, 1_000_000) for one in some]
    assert len(found) == 3 and least <= body.held <= 3 * (size + 20_000)


def test_a_line_is_one_and_says_what_the_head_said():
    request = json.dumps({"custom_id": "a", "params": {"model": "m", "max_tokens": 1, "messages": []}}, indent=2)
    line = Lines(1, 10_000, ["one-2025", "two-2025"]).line(request.encode())
    assert line.count(b"\n") == 1
    asked = asked_in(Line(1, line.strip(), len(line)), FORMAT.path)
    assert asked.custom_id == "a"
    extra = json.loads(parse_messages_request(asked.body).input.extra_json)
    assert extra == {"anthropic_beta": ["one-2025", "two-2025"]}


def test_a_request_has_no_more_bytes_and_a_batch_no_more_requests_than_they_may():
    lines = Lines(1, 200, ())
    with pytest.raises(BodyTooLarge, match=r"requests\.0"):
        lines.line(b'{"custom_id":"a","params":{"x":"%b"}}' % (b"x" * 200))
    lines = Lines(1, 200, ())
    lines.line(b'{"custom_id":"a","params":{"x":"%b"}}' % (b"x" * 50))
    with pytest.raises(InvalidRequest, match="more than 1"):
        lines.line(b'{"custom_id":"b","params":{}}')


def test_what_is_no_text_is_refused():
    with pytest.raises(InvalidRequest, match="UTF-8"):
        Lines(9, 200, ()).line(b'{"custom_id":"a","params":{"x":"\xff"}}')
