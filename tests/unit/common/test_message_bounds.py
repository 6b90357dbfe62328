"""How much a message holds is found without decoding it, and never wrongly found too much."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.gateway.v1 import chat_service_pb2, embedding_service_pb2
from penstock.llm.v1 import message_pb2
from penstock_common.errors import InvalidRequest
from penstock_common.rpc.message_bounds import MessageBounds, TooMuchError, check_bounds, count_elements

CHAT = chat_service_pb2.ChatRequest
EMBED = embedding_service_pb2.EmbedRequest
BOUNDS = MessageBounds()


def chat(turns: int, text: str = "Hi") -> bytes:
    request = CHAT()
    request.input.model = "fast"
    for _ in range(turns):
        request.input.messages.add(role=message_pb2.ROLE_USER).parts.add(text=text)
    return request.SerializeToString()


def count(message: bytes, most: int = 1_000_000) -> int:
    return count_elements(message, CHAT.DESCRIPTOR, MessageBounds(max_elements=most))


def test_every_field_counts_wherever_it_lies():
    # input, model; then for each turn: the message, its role, its part, the part's text.
    assert count(chat(0)) == 2
    assert count(chat(3)) == 2 + 3 * 4


def test_a_large_text_or_image_is_one_element():
    assert count(chat(1, text="\x0a\x0a\x0a" * 1_000_000)) == 6


def test_empty_messages_cost_two_bytes_each_and_are_refused():
    turns = b"\x12\x00" * 1_000_000
    request = b"\x0a" + _varint(len(turns)) + turns
    with pytest.raises(InvalidRequest, match="more than 250000 elements"):
        check_bounds(request, CHAT.DESCRIPTOR, BOUNDS)


def test_numbers_of_a_packed_list_count():
    embedding = embedding_service_pb2.Embedding(values=[1.0] * 1000)
    assert count_elements(embedding.SerializeToString(), embedding.DESCRIPTOR, MessageBounds(1001)) == 1001
    with pytest.raises(TooMuchError):
        count_elements(embedding.SerializeToString(), embedding.DESCRIPTOR, MessageBounds(1000))


def test_unknown_fields_count():
    with pytest.raises(TooMuchError):
        count(b"\xf8\x3f\x01" * 1001, most=1000)
    with pytest.raises(TooMuchError):
        count(b"\xfa\x3f\x00" * 1001, most=1000)


def test_groups_that_nobody_knows_are_bounded_in_depth():
    with pytest.raises(InvalidRequest, match="deeper than 64"):
        check_bounds(b"\xfb\x3f" * 65, CHAT.DESCRIPTOR, BOUNDS)


def test_the_bound_itself_is_permitted():
    assert count(chat(2), most=10) == 10
    with pytest.raises(TooMuchError):
        count(chat(2), most=9)


@given(st.lists(st.text(max_size=30), max_size=20), st.integers(0, 200))
def test_what_is_written_is_counted_whole(texts: list[str], cut: int):
    request = EMBED()
    request.model = "m"
    request.inputs.extend(texts)
    message = request.SerializeToString()
    assert count_elements(message, EMBED.DESCRIPTOR, BOUNDS) == 1 + len(texts)
    # Cut off anywhere it is no message, and that is the decoder's to say.
    assert count_elements(message[:cut], EMBED.DESCRIPTOR, BOUNDS) <= 1 + len(texts)


@given(st.binary(max_size=200))
def test_any_bytes_are_counted_or_left_to_the_decoder(message: bytes):
    assert count_elements(message, CHAT.DESCRIPTOR, BOUNDS) <= len(message)


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)
