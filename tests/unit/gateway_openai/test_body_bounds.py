"""The look at a body's bytes counts what a decoder would make of them, whatever stands in its texts."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock_common.errors import InvalidRequest
from penstock_gateway.surfaces.wire_formats import body_bounds, json_body
from penstock_gateway.surfaces.wire_formats.body_bounds import BodyBounds

TEXTS = st.text(alphabet='[]{},:"\\ a\n\u00e9\U0001f642', max_size=8)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=25,
)


def children(value):
    return list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else []


def elements_in(value):
    """Commas and opened brackets: for a value that is not empty, no fewer than its values and no more than twice that."""
    is_container = isinstance(value, list | dict)
    return is_container + max(0, len(children(value)) - 1) + sum(map(elements_in, children(value)))


def depth_of(value):
    return isinstance(value, list | dict) + max(map(depth_of, children(value)), default=0)


def refusal(body, **bounds):
    try:
        BodyBounds(**bounds).check(body)
    except InvalidRequest as error:
        return error.message
    return ""


@given(value=VALUES, piece=st.integers(1, 20), ascii_only=st.booleans())
def test_elements_and_depth_are_what_they_are(value, piece, ascii_only):
    body = json.dumps(value, ensure_ascii=ascii_only).encode()
    elements, depth = elements_in(value), depth_of(value)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(body_bounds, "_PIECE_BYTES", piece)
        assert refusal(body, max_elements=elements, max_depth=depth) == ""
        if elements:
            assert "JSON elements" in refusal(body, max_elements=elements - 1, max_depth=depth)
            assert "nested deeper" in refusal(body, max_elements=elements, max_depth=depth - 1)


@given(st.binary(max_size=200) | TEXTS.map(str.encode))
def test_what_is_no_json_is_left_to_the_decoder_or_refused(body):
    assert refusal(body, max_elements=3, max_depth=1)[:9] in ("", "The body ")


@pytest.mark.parametrize("body", [b"]" * 1000, b"}{" * 1000, b"[" * 1000], ids=["closed", "crossed", "opened"])
def test_brackets_without_partners_are_left_to_the_decoder(body):
    assert "deeper" not in refusal(body, max_elements=5000, max_depth=64)


@given(text=st.text(min_size=1), cut=st.integers(0, 40), piece=st.integers(1, 9))
def test_a_large_body_is_found_to_be_no_utf_8_where_a_small_one_is(text, cut, piece):
    body = text.encode(errors="surrogatepass") + b"\xc3\xa9"
    body = body[:cut] + body[cut + 1 :]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_body, "_PIECE_BYTES", piece)
        assert start_of_fault(json_body._check_encoding, body) == start_of_fault(bytes.decode, body)


def start_of_fault(check, body):
    try:
        check(body)
    except UnicodeDecodeError as error:
        return error.start
    return None
