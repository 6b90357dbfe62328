"""A search that finds nothing proves nothing, unless it finds what is there."""

from __future__ import annotations

import base64
import gzip
import json
import zlib
from urllib.parse import quote, quote_plus

import pytest

from penstock_common.testing.canaries import Canaries

TEXT = "canary <q7_Zk> é"
CANARIES = Canaries([TEXT])
KEEPERS = {
    "utf-8": lambda text: text.encode(),
    "utf-16": lambda text: text.encode("utf-16"),
    "utf-16-be": lambda text: text.encode("utf-16-be"),
    "utf-32": lambda text: text.encode("utf-32"),
    "hex": lambda text: text.encode().hex().encode(),
    "upper hex": lambda text: text.encode().hex().upper().encode(),
    "url": lambda text: quote(text).encode(),
    "form": lambda text: quote_plus(text).encode(),
    "json": lambda text: json.dumps(text).encode(),
    "reversed": lambda text: text[::-1].encode(),
    "reversed bytes": lambda text: text.encode()[::-1],
    "zlib": lambda text: zlib.compress(text.encode()),
    "fast zlib": lambda text: zlib.compress(text.encode(), 1),
    "gzip": lambda text: gzip.compress(text.encode()),
    "gzip in zlib": lambda text: zlib.compress(gzip.compress(text.encode())),
    "gzip of base64": lambda text: gzip.compress(base64.b64encode(text.encode())),
    "cut gzip": lambda text: gzip.compress(text.encode() + bytes(range(256)) * 9)[:-20],
    **{f"base64 at {n}": (lambda text, n=n: base64.b64encode(b"x" * n + text.encode() + b"rest")) for n in range(6)},
    "base64url": lambda text: base64.urlsafe_b64encode(text.encode()),
}


@pytest.mark.parametrize("form", KEEPERS)
def test_whatever_form_it_is_kept_in_is_found(form):
    kept = KEEPERS[form](TEXT)
    assert CANARIES.found_in(b"\x00before\x78\x9c" + kept + b"after")
    assert not CANARIES.found_in(b"\x00before\x78\x9c" + KEEPERS[form](TEXT.replace("q", "Q")) + b"after")


def test_files_and_their_names_are_searched(tmp_path):
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "dump").write_bytes(b"..." + TEXT.encode())
    (tmp_path / TEXT.encode().hex()).touch()
    assert {said.partition(": ")[0] for said in CANARIES.found_below(tmp_path)} == {
        f"{TEXT} as UTF-8",
        f"{TEXT} as hex",
    }


def test_drawn_ones_are_all_different_and_found():
    canaries = Canaries.drawn(20)
    assert len(set(canaries.texts)) == 20
    for text in canaries.texts:
        assert canaries.found_in(text.encode()) == {f"{text} as UTF-8"}
