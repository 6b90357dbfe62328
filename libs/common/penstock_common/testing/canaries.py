"""Texts that must not lie anywhere in clear, and a search for them in every form that somebody might keep them in."""

from __future__ import annotations

import base64
import json
import re
import secrets
import zlib
from collections.abc import Generator, Iterable
from pathlib import Path
from urllib.parse import quote

_MOST_INFLATED_BYTES = 16 * 1024 * 1024
_DEEPEST = 2
# Of zlib's four levels, and of gzip.
_COMPRESSED = re.compile(rb"\x78[\x01\x5e\x9c\xda]|\x1f\x8b\x08")
_ANY_HEADER = zlib.MAX_WBITS | 32
_WIDE = ("utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be")


class Canaries:
    """Searches bytes and files for texts: as UTF-8, -16 and -32, reversed, in hex, base64, and escapes of URLs and JSON.

    What zlib and gzip have compressed is looked into, too. Other compressions
    are not: turn them off (Redis: ``rdbcompression no``).
    """

    def __init__(self, texts: Iterable[str]) -> None:
        self.texts = tuple(texts)
        self._needles = [(needle, f"{text} as {form}") for text in self.texts for form, needle in forms(text).items()]

    @classmethod
    def drawn(cls, count: int) -> Canaries:
        """Return so many random texts, which stand nowhere else."""
        return cls(f"canary <{secrets.token_urlsafe(9)}> é" for _ in range(count))

    def found_in(self, content: bytes) -> set[str]:
        """Return what was found, as "TEXT as FORM"."""
        return {
            said if depth == 0 else f"{said}, compressed"
            for depth, piece in _with_inflated(content, 0)
            for needle, said in self._needles
            if needle in piece
        }

    def found_below(self, folder: Path) -> set[str]:
        """Return what was found in the files below a folder and in their names, with the path of each."""
        found: set[str] = set()
        for path in sorted(folder.rglob("*")):
            content = path.read_bytes() if path.is_file() else b""
            found |= {f"{said}: {path}" for said in self.found_in(str(path).encode() + b"\0" + content)}
        return found


def forms(text: str) -> dict[str, bytes]:
    """Return the bytes to look for, by the name of the form."""
    plain = text.encode()
    found = {
        "UTF-8": plain,
        **{form.upper(): text.encode(form) for form in _WIDE},
        "UTF-8, reversed": plain[::-1],
        "text, reversed": text[::-1].encode(),
        "hex": plain.hex().encode(),
        "HEX": plain.hex().upper().encode(),
        "URL": quote(text, safe="").encode(),
        "URL, each byte": "".join(f"%{byte:02X}" for byte in plain).encode(),
        "URL of a form": quote(text, safe=" ").replace(" ", "+").encode(),
        "JSON": json.dumps(text)[1:-1].encode(),
        "HTML": text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").encode(),
    }
    for offset in range(3):
        for name, altchars in (("base64", b"+/"), ("base64url", b"-_")):
            found[f"{name} at {offset}"] = _base64_within(plain, offset, altchars)
    return found


def _base64_within(plain: bytes, offset: int, altchars: bytes) -> bytes:
    """Return the base64 digits that depend on the text alone, where it begins at ``offset`` within three bytes."""
    encoded = base64.b64encode(bytes(offset) + plain, altchars)
    shared_before = -(-offset * 8 // 6)
    whole = (offset + len(plain)) * 8 // 6
    return encoded[shared_before:whole]


def _with_inflated(content: bytes, depth: int) -> Generator[tuple[int, bytes], None, None]:
    yield depth, content
    if depth == _DEEPEST:
        return
    for header in _COMPRESSED.finditer(content):
        inflater = zlib.decompressobj(_ANY_HEADER)
        try:
            inflated = inflater.decompress(content[header.start() :], _MOST_INFLATED_BYTES)
        except zlib.error:
            continue
        if inflated:
            yield from _with_inflated(inflated, depth + 1)
