"""A compressed body is what it was before, and never more than a body may be."""

from __future__ import annotations

import gzip
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock_common.errors import InvalidRequest
from penstock_gateway.surfaces.http1.failures import BodyTooLarge, UnsupportedEncoding
from penstock_gateway.surfaces.http1.inflating import inflated

MEBIBYTE = 1024 * 1024


def _raw_deflate(body: bytes) -> bytes:
    deflating = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return deflating.compress(body) + deflating.flush()


@given(st.binary(max_size=2000))
def test_what_was_compressed_comes_back(body: bytes) -> None:
    for encoding in ("gzip", "x-gzip", " GZIP "):
        assert inflated(gzip.compress(body), encoding, 2000) == body
    assert inflated(zlib.compress(body), "deflate", 2000) == body
    assert inflated(_raw_deflate(body), "deflate", 2000) == body
    assert inflated(body, "identity", 2000) == body


@pytest.mark.parametrize("encoding", ["br", "zstd", "gzip, gzip", "compress", "x" * 10_000])
def test_another_compression_is_refused_with_those_that_are_known(encoding: str) -> None:
    with pytest.raises(UnsupportedEncoding, match="gzip and deflate") as refused:
        inflated(b"x", encoding, MEBIBYTE)
    assert len(refused.value.message) < 200


def test_a_bomb_is_let_go_at_the_bound() -> None:
    bomb = gzip.compress(bytes(64 * MEBIBYTE))
    assert len(bomb) < MEBIBYTE
    with pytest.raises(BodyTooLarge):
        inflated(bomb, "gzip", MEBIBYTE)
    # JSON compresses well; a ratio alone is no crime.
    assert len(inflated(gzip.compress(bytes(MEBIBYTE)), "gzip", MEBIBYTE)) == MEBIBYTE


@pytest.mark.parametrize(
    ("body", "encoding"),
    [(b"{}", "gzip"), (b"", "gzip"), (gzip.compress(b"{}")[:-1], "gzip"), (zlib.compress(b"{}")[:4], "deflate")],
    ids=["plain", "empty", "cut gzip", "cut deflate"],
)
def test_what_is_not_compressed_or_cut_is_refused(body: bytes, encoding: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        inflated(body, encoding, MEBIBYTE)
    assert refused.value.field == "content-encoding"
