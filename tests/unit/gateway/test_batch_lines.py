"""The lines of a batch's file: found wherever the pieces are cut, and each looked at."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock_gateway.domain.batches.lines import (
    BEGINNING,
    Inspection,
    Line,
    LineTooLong,
    Place,
    lines_in,
    model_in,
)

URL = "/v1/chat/completions"
GOOD = {"custom_id": "a", "method": "POST", "url": URL, "body": {"model": "m"}}


async def cut(content: bytes, size: int) -> AsyncIterator[bytes]:
    for start in range(0, len(content), size):
        yield content[start : start + size]


async def read(content: bytes, size: int = 7, start: Place = BEGINNING, most: int = 1000) -> list[Line]:
    return [line async for line in lines_in(cut(content[start.bytes :], size), most, start)]


@given(
    st.lists(st.sampled_from([b"", b"  ", b"a", b"bcd", b"e" * 20]), max_size=8),
    st.sampled_from([b"\n", b"\r\n"]),
    st.integers(1, 30),
)
async def test_lines_are_found_wherever_the_pieces_are_cut_and_again_from_each_end(given_lines, end, size):
    content = end.join(given_lines)
    expected = [(number, one.strip()) for number, one in enumerate(given_lines, 1) if one.strip()]
    found = await read(content, size)
    assert [(line.number, line.content) for line in found] == expected
    for at, line in enumerate(found):
        assert await read(content, size, Place(line.number, line.end)) == found[at + 1 :]


async def test_a_byte_order_mark_is_no_part_of_the_first_line_alone():
    mark = b"\xef\xbb\xbf"
    assert [line.content for line in await read(mark + b"a\n" + mark + b"b")] == [b"a", mark + b"b"]


@pytest.mark.parametrize("content", [b"a\n" + b"b" * 11 + b"\nc", b"a\n" + b"b" * 500])
async def test_a_line_that_is_too_long_is_told_by_its_number(content):
    with pytest.raises(LineTooLong) as told:
        await read(content, most=10)
    assert told.value.number == 2
    assert len(await read(b"a\n" + b"b" * 10, most=10)) == 2


def looked_at(*contents: bytes, most: int = 10) -> Inspection:
    inspection = Inspection(URL, most)
    for number, content in enumerate(contents, 1):
        inspection.look_at(Line(number, content, 0))
    return inspection


def changed(**members: object) -> bytes:
    return json.dumps({name: value for name, value in {**GOOD, **members}.items() if value is not None}).encode()


@pytest.mark.parametrize(
    ("content", "code", "param"),
    [
        (b"{", "invalid_json_line", None),
        (b"[]", "invalid_json_line", None),
        (b"1", "invalid_json_line", None),
        (b'{"custom_id": "\xff"}', "invalid_json_line", None),
        (b"[" * 100_000, "invalid_json_line", None),
        (changed(custom_id=None), "missing_required_parameter", "custom_id"),
        (changed(custom_id=7), "invalid_value", "custom_id"),
        (changed(custom_id=""), "invalid_value", "custom_id"),
        (changed(custom_id="x" * 513), "invalid_value", "custom_id"),
        (changed(method="GET"), "invalid_method", "method"),
        (changed(method=None), "invalid_method", "method"),
        (changed(url="/v1/embeddings"), "mismatched_url", "url"),
        (changed(body=None), "missing_required_parameter", "body"),
        (changed(body="text"), "missing_required_parameter", "body"),
    ],
)
def test_a_line_that_is_none_is_told_with_its_number(content, code, param):
    (fault,) = looked_at(changed(custom_id="first"), content).faults
    assert (fault.code, fault.param, fault.line) == (code, param, 2)


def test_each_custom_id_is_one_lines_own():
    (fault,) = looked_at(changed(), changed(custom_id="b"), changed()).faults
    assert (fault.code, fault.line) == ("duplicate_custom_id", 3)


def test_there_are_lines_and_not_too_many():
    assert [fault.code for fault in looked_at().faults] == ["empty_file"]
    most = [changed(custom_id=str(number)) for number in range(11)]
    assert looked_at(*most[:10]).faults == ()
    assert [fault.code for fault in looked_at(*most).faults] == ["too_many_tasks"]


def test_a_hundred_faults_are_told_and_the_others_counted():
    faults = looked_at(*[b"{"] * 103, most=1000).faults
    assert len(faults) == 101
    assert faults[-1].message == "3 further lines have errors."


def test_the_model_is_the_one_that_all_name():
    assert looked_at(changed(), changed(custom_id="b")).model == "m"
    assert looked_at(changed(), changed(custom_id="b", body={"model": "n"})).model == ""
    assert (model_in(b'{"model": 7}'), model_in(b"{"), model_in(b"{}")) == ("", "", "")
