"""Inline images come as callers write them; what goes on, and what the cache hashes, is one form."""

from __future__ import annotations

import base64
import json
import struct
import zlib
from urllib.parse import quote

import pytest

from penstock_common.errors import InvalidRequest
from penstock_common.llm.types import Image
from penstock_gateway.domain.life.validation import validate_input
from penstock_gateway.surfaces.wire_formats.openai.chat.parse import parse_chat_request


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


# Its pixel's bytes are chosen so that base64 has both characters that differ in URLs, and padding.
PNG = (
    b"\x89PNG\r\n\x1a\n"
    + _chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0))
    + _chunk(b"tEXt", b"k\x00\xfb\xff\xfe\xfb\xff")
    + _chunk(b"IDAT", zlib.compress(b"\x00\xff\xef\xbe"))
    + _chunk(b"IEND", b"")
)
JPEG = b"\xff\xd8\xff\xe0\x00\x10JFIF\x00"
GIF = b"GIF89a\x01\x00\x01\x00"
WEBP = b"RIFF\x1a\x00\x00\x00WEBPVP8L"
B64 = base64.b64encode(PNG).decode()
assert "+" in B64 and "/" in B64, "the forms below differ"


def image_of(image_url: object) -> Image:
    body = {"model": "m", "messages": [{"role": "user", "content": [{"type": "image_url", "image_url": image_url}]}]}
    request = parse_chat_request(json.dumps(body).encode()).input
    validate_input(request)
    (part,) = request.messages[0].parts
    assert isinstance(part, Image)
    return part


@pytest.mark.parametrize(
    "url",
    [
        f"data:image/png;base64,{B64}",
        f"data:image/jpg;base64,{B64}",
        f"Data:Image/PNG;BASE64,{B64}",
        f"data:image/x-png;base64,{B64}",
        f"data:image/jpeg;base64,{B64}",
        f"data:;base64,{B64}",
        f"data:base64,{B64}",
        f"data:image/png,{B64}",
        f"data:application/octet-stream;base64,{B64}",
        f"data:image/png;charset=utf-8;base64,{B64}",
        f"data:image/png; base64 ,{B64}",
        f"  data:image/png;base64,{B64}\n",
        f"\ufeffdata:image/png;base64,{B64}",
        f"data:image/png;base64, {B64[:20]} {B64[20:]}",
        "data:image/png;base64," + "\r\n".join(B64[at : at + 76] for at in range(0, len(B64), 76)),
        "data:image/png;base64," + B64.rstrip("="),
        "data:image/png;base64," + B64.rstrip("=") + "===",
        "data:image/png;base64," + base64.urlsafe_b64encode(PNG).decode(),
        "data:image/png;base64," + quote(B64, safe=""),
    ],
)
def test_any_spelling_is_the_same_image(url):
    expected = Image(data=PNG, media_type="image/png")
    assert image_of({"url": url}) == image_of(url) == expected
    assert image_of({"url": url, "detail": None}) == image_of({"url": url, "detail": ""}) == expected


LARGE = PNG + bytes(range(256)) * 4000
"""More than is decoded at a time, with padding."""


@pytest.mark.parametrize(
    "spelled",
    [
        pytest.param(lambda text: text, id="as it should be"),
        pytest.param(lambda text: text.rstrip("="), id="unpadded"),
        pytest.param(lambda text: "\n".join(text[at : at + 76] for at in range(0, len(text), 76)), id="wrapped"),
        pytest.param(lambda text: text.replace("+", "-").replace("/", "_"), id="safe in URLs"),
        pytest.param(lambda text: quote(text, safe=""), id="percent-encoded"),
    ],
)
def test_a_large_image_is_the_same_in_any_spelling(spelled):
    assert image_of(f"data:image/png;base64,{spelled(base64.b64encode(LARGE).decode())}").data == LARGE


def test_padding_within_a_large_image_is_refused_wherever_it_stands():
    text = base64.b64encode(LARGE).decode()
    for at in (4, 256 * 1024, 512 * 1024):
        with pytest.raises(InvalidRequest, match="padding|adding"):
            image_of(f"data:image/png;base64,{text[: at - 2]}=={text[at:]}")


@pytest.mark.parametrize(
    ("data", "called", "is_a"),
    [
        (JPEG, "image/jpg", "image/jpeg"),
        (JPEG, "image/pjpeg", "image/jpeg"),
        (JPEG, "image/png", "image/jpeg"),
        (GIF, "image/gif", "image/gif"),
        (WEBP, "image/png", "image/webp"),
        # A kind that its bytes do not tell goes by its name.
        (b"cut", "image/jpg", "image/jpeg"),
    ],
)
def test_bytes_count_more_than_what_they_are_called(data, called, is_a):
    assert image_of(f"data:{called};base64,{base64.b64encode(data).decode()}") == Image(data=data, media_type=is_a)


@pytest.mark.parametrize(
    "url",
    [
        "data:image/png;base64,",
        "data:image/png;base64,====",
        "data:image/png;base64,!!!",
        "data:image/png;base64,AAAAA",
        "data:image/png;base64,AA==AA",
        "data:image/png;base64,\u00e9",
        "data:image/png,hello",
        f"data:image/png;base64;{B64}",
        "data:" + "x" * 10_000 + f";base64,{B64}",
        "ftp://somewhere/a.png",
    ],
)
def test_what_is_no_image_is_refused_by_the_callers_own_path_and_not_repeated(url):
    with pytest.raises(InvalidRequest) as refused:
        image_of({"url": url})
    assert refused.value.field == "messages[0].content[0].image_url.url"
    assert "'messages[0].content[0].image_url.url'" in refused.value.message
    assert len(refused.value.message) < 250


def test_kinds_that_no_model_sees_are_refused():
    svg = base64.b64encode(b"<svg/>").decode()
    with pytest.raises(InvalidRequest, match="image/svg\\+xml"):
        image_of(f"data:image/svg+xml;base64,{svg}")
