"""A document as it came, and its bytes as text."""

from __future__ import annotations

import codecs
import re
from functools import cached_property

from penstock_embedding.domain.documents.cleaning import clean
from penstock_embedding.domain.documents.parsed import DocumentRefused

_SAMPLE_BYTES = 65_536
_CHARACTER_BYTES = 4
_MOST_CONTROLS = 0.02
_WIDE_NULS = 0.3
_FEW_NULS = 0.05
_FEWEST_WIDE_BYTES = 8
_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_DECLARED = re.compile(rb"""(?:charset|encoding)\s*=\s*["']?([A-Za-z0-9_.:-]{2,40})""")
_CONTROLS = bytes({*range(32)} - set(b"\t\n\f\r\x1b")) + b"\x7f"
_JAPANESE_ESCAPES = (b"\x1b$B", b"\x1b$@")


class Source:
    """What a reader gets."""

    def __init__(self, content: bytes, filename: str = "", media_type: str = "") -> None:
        self.content = content
        self.extension = filename.rpartition(".")[2].lower() if "." in filename else ""
        self.media_type = media_type.partition(";")[0].strip().lower()

    @cached_property
    def text(self) -> str:
        """The content as cleaned text.

        Raises:
            DocumentRefused: if it is none.
        """
        return clean(decoded(self.content))

    @cached_property
    def not_unicode_at(self) -> int:
        """Where the content is no UTF-8 nor another encoding of Unicode; -1 if it is one."""
        if self.content.startswith(tuple(bom for bom, _ in _BOMS)) or _wide_encoding(self.content):
            return -1
        try:
            self.content.decode()
        except UnicodeDecodeError as error:
            return error.start
        return -1


def decoded(content: bytes) -> str:
    """Return bytes as text: by their mark, as UTF-8, by what they say of themselves, or by how they look.

    Raises:
        DocumentRefused: if they are none.
    """
    for bom, encoding in _BOMS:
        if content.startswith(bom):
            return _strictly(content, encoding)
    if wide := _wide_encoding(content):
        return _strictly(content, wide)
    _refuse_binary(content)
    if any(escape in content for escape in _JAPANESE_ESCAPES):
        return _strictly(content, "iso2022_jp")
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        encoding = _declared(content) or _guessed(content, error.start)
    return content.decode(encoding, errors="replace")


def _strictly(content: bytes, encoding: str) -> str:
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        raise DocumentRefused(
            "broken",
            f"It is not {encoding.removesuffix('-sig').upper()}, as its beginning says. Save it as UTF-8.",
            f"byte {error.start}",
        ) from None


def _wide_encoding(content: bytes) -> str:
    """Return UTF-16's name for a text of it without a mark: most of its characters have one NUL."""
    sample = content[: _SAMPLE_BYTES - _SAMPLE_BYTES % 2]
    if len(sample) < _FEWEST_WIDE_BYTES or len(content) % 2:
        return ""
    half = len(sample) / 2
    first, second = sample[::2].count(0), sample[1::2].count(0)
    if second > _WIDE_NULS * half and first < _FEW_NULS * half:
        return "utf-16-le"
    return "utf-16-be" if first > _WIDE_NULS * half and second < _FEW_NULS * half else ""


def _refuse_binary(content: bytes) -> None:
    sample = content[:_SAMPLE_BYTES]
    controls = len(sample) - len(sample.translate(None, _CONTROLS))
    if controls > _MOST_CONTROLS * len(sample):
        raise DocumentRefused("unsupported", "It is neither a text nor of a known format. Export it as PDF or text.")
    if (nul := content.find(0)) >= 0:
        raise DocumentRefused("broken", "It has NUL bytes: it is damaged, or no text. Save it as UTF-8.", f"byte {nul}")


def _declared(content: bytes) -> str:
    """Return the encoding that HTML or XML names at its beginning, if there is such a one."""
    if (found := _DECLARED.search(content[:2048])) is None:
        return ""
    try:
        codec = codecs.lookup(found[1].decode())
        content[:_SAMPLE_BYTES].decode(codec.name, errors="replace")
    except (LookupError, ValueError):
        return ""
    return "" if codec.name in {"utf-8", "utf-16", "utf-32"} else codec.name


def _guessed(content: bytes, first_fault: int) -> str:
    from charset_normalizer import from_bytes

    start = max(0, first_fault - _SAMPLE_BYTES // 2)
    best = from_bytes(content[start : start + _SAMPLE_BYTES]).best()
    if best is None or best.encoding.startswith("utf_"):
        raise DocumentRefused(
            "unsupported", "The encoding of its text cannot be told. Save it as UTF-8.", f"byte {first_fault}"
        )
    return best.encoding
