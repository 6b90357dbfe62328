"""What an address says beside where something lies: words, personal data, or something encoded."""

from __future__ import annotations

import base64
import binascii
import html
import re
from collections.abc import Collection, Iterator
from enum import StrEnum
from urllib.parse import SplitResult, unquote, unquote_plus, urlsplit

from penstock_gateway.domain.guardrails.injection.language import reads_like_language

BARE = "address"
"""The tag of an address that stands for itself."""
# So much of an address is read.
LONGEST_URL = 4000
_PLACE = re.compile(r"\{[^{}\s]{2,60}\}|\[[A-Za-z_ ]{3,40}\]|<[a-z_' ]{3,60}>|\b[A-Z]{3,}(?:_[A-Z]{2,})+\b")
_ENCODED = re.compile(r"[A-Za-z0-9+/_-]{20,}={0,2}")
_OPAQUE = re.compile(r"(?=[A-Za-z0-9_-]*\d)(?=[A-Za-z0-9_-]*[a-z])[A-Za-z0-9_-]{24,}")
_PERSONAL = re.compile(
    r"(?<![\w.+-])[\w.+-]+@[\w-]{1,63}\.[a-z]{2,}|\b[A-Z]{2}\d{2}[A-Z0-9]{11,30}\b|\b(?:\d[ -]?){13,19}\b|\b\d{3}-\d{2}-\d{4}\b"
    r"|\bsk-[\w-]{8,}|\beyJ[\w-]{10,}|\"\w+\":",
)
_TELLING = re.compile(
    r"\b(?:user|passw\w*|pass|pwd|pin|token|secret|session|sid|cookie|ssn|iban|card|cvv|dob|passport|salary|conv\w*|history|chat|"
    r"prompt|context|ctx|key|api_?key|mail|email|diagnos\w*|account|leak|exfil|dump|memo|private|creds?)\b",
    re.IGNORECASE,
)
# What people search or prefill by a link, in the open.
_HARMLESS_KEYS = frozenset(
    {
        "q",
        "query",
        "search",
        "s",
        "subject",
        "body",
        "text",
        "lang",
        "v",
        "version",
        "page",
        "format",
        "region",
        "utm_source",
    }
)
_FETCHED = frozenset({"", "http", "https", "ftp", "ws", "wss"})
# Browsers leave these out of an address, wherever they stand.
_LEFT_OUT = re.compile("[\t\n\r]")
_ESCAPED = re.compile(r"\\([!-/:-@\[-`{-~])")
_BASE32 = re.compile(r"[A-Z2-7]{16,}")
_HEX = re.compile(r"(?:[0-9a-f]{2}){8,}")
# Figures with the words for what they count, such as a salary and its amount.
_NAMED_NUMBERS = re.compile(r"[A-Za-z]{3,30}(?:[:,;]? [\w.]{1,30}){1,40}[,;.]?")
# Characters of what is read as base64, fewer where it has letters of both cases, and words of a sentence in a path.
_LEAST_ENCODED, _LEAST_MIXED, _LEAST_SENTENCE = 20, 8, 6
_LEAST_READ = 9
_LABEL_OF_DATA = re.compile(r"(?=[a-z0-9-]*\d)(?=[a-z0-9-]*[a-z])[a-z0-9-]{32,}|\d{13,}", re.IGNORECASE)


class Way(StrEnum):
    """How an address is fetched."""

    LOADED = "loaded"
    """By whoever shows the answer, at once."""
    CLICKED = "clicked"


def as_fetched(url: str, *, is_markdown: bool = False) -> str:
    r"""Return an address as a browser reads it: entities undone, and in markdown escapes; ``\\`` is ``/``."""
    url = _LEFT_OUT.sub("", html.unescape(url)).strip()
    return (_ESCAPED.sub(r"\1", url) if is_markdown else url).replace("\\", "/")


def is_allowed(url: str, hosts: Collection[str]) -> bool:
    """Return whether an address is of one of these hosts, or of one below them."""
    parts = _split(url)
    if parts is None or parts.scheme not in _FETCHED:
        return False
    host = (parts.hostname or "").lower()
    return any(host == allowed.lower() or host.endswith("." + allowed.lower()) for allowed in hosts)


def says(url: str, way: Way, tag: str = "") -> str:
    """Return what an address (see ``as_fetched``) says beside where something lies; empty for nothing."""
    parts = _split(url)
    if parts is None:
        return "an address that cannot be read"
    if parts.scheme not in _FETCHED:
        return ""
    values = [(key, unquote_plus(value)) for key, _, value in (item.partition("=") for item in parts.query.split("&"))]
    # Whoever explains how to call something writes such.
    if tag != BARE and _PLACE.search(f"{parts.path}?{parts.query}"):
        return "a place in the address that is to be filled with data"
    if any(_PERSONAL.search(value) for _, value in values):
        return "personal data or a key in the address"
    pieces = [unquote(piece) for piece in f"{parts.path}/{parts.fragment}".split("/")]
    of_values = (_of_value(key, value, way) for key, value in values)
    reason = next(filter(None, [*of_values, *map(_of_piece, pieces)]), "")
    if not reason:
        reason = _of_host(parts.netloc, way) or _in_parts([value for _, value in values], pieces)
    if reason:
        return reason
    if tag in {"iframe", "script", "object", "embed"} and (parts.query or parts.fragment):
        return f"a hidden {tag} with a message in its address"
    if way is Way.LOADED and any(_TELLING.fullmatch(key) for key, value in values if value):
        return "what it loads is told who asked and what"
    return ""


def _split(url: str) -> SplitResult | None:
    try:
        parts = urlsplit(url if "//" in url else f"//{url}")
        # It is read when asked for.
        _ = parts.hostname
    except ValueError:
        return None
    return parts


def _of_host(netloc: str, way: Way) -> str:
    """Return what the name of a host says, and the user before it."""
    user, _, host = netloc.rpartition("@")
    if user and (way is Way.LOADED or _of_value("user", unquote(user), way) or _PERSONAL.search(unquote(user))):
        return "a user or words before the host of the address"
    labels = host.partition(":")[0].replace("\u3002", ".").split(".")[:-2]
    if any(map(_decoded, [*labels, "".join(labels)])):
        return "something encoded in the name of the host"
    if way is Way.LOADED and any(map(_LABEL_OF_DATA.fullmatch, labels)):
        return "something unreadable in the name of the host"
    return ""


def _in_parts(*said: Collection[str]) -> str:
    """Return whether values, or pieces of a path, are something encoded once they are put together."""
    whole = ["".join(values) for values in said if len(values) > 1]
    return "something encoded in the parts of the address" if any(map(_encoded, whole)) else ""


def _of_value(key: str, value: str, way: Way) -> str:
    if _encoded(value):
        return "something encoded in the address"
    words = value.split()
    is_open = key.lower() in _HARMLESS_KEYS
    if len(words) >= 3 and (way is Way.LOADED or not is_open) and reads_like_language(value):
        return "sentences in the address"
    if way is Way.CLICKED and len(words) >= 3 and _TELLING.search(value):
        return "sentences in the address"
    if way is Way.LOADED and len(words) >= 2:
        return "words in the address of what is loaded at once"
    if way is Way.LOADED and key and _OPAQUE.fullmatch(value):
        return "something unreadable in the address of what is loaded at once"
    return ""


def _of_piece(piece: str) -> str:
    """Return what a piece of a path says: files have names of a few words."""
    if _encoded(piece):
        return "something encoded in the address"
    if len(piece.split()) >= _LEAST_SENTENCE and reads_like_language(piece):
        return "sentences in the address"
    return ""


def _encoded(value: str) -> bool:
    return any(_decoded(one[0]) for one in _ENCODED.finditer(value))


def _decoded(piece: str) -> str:
    """Return what a piece says in base64, base32 or as hexadecimal digits; empty for nothing that reads."""
    if len(piece) < _LEAST_MIXED:
        return ""
    return next(filter(None, map(_read, _bytes_of(piece))), "")


def _bytes_of(piece: str) -> Iterator[bytes]:
    plain = piece.rstrip("=").replace("-", "+").replace("_", "/")
    try:
        if len(plain) >= (_LEAST_ENCODED if plain in (plain.lower(), plain.upper()) else _LEAST_MIXED):
            whole = plain[:-1] if len(plain) % 4 == 1 else plain
            yield base64.b64decode(whole + "=" * (-len(whole) % 4))
        if _BASE32.fullmatch(upper := plain.upper()):
            yield base64.b32decode(upper + "=" * (-len(upper) % 8))
        if _HEX.fullmatch(lower := plain.lower()):
            yield bytes.fromhex(lower)
    except (binascii.Error, ValueError):
        return


def _read(data: bytes) -> str:
    """Return what bytes say, or the first half of them: what follows may be there to hide it."""
    try:
        said = data.decode()
    except ValueError:
        half = data[: len(data) // 2]
        return _read(half) if len(half) >= _LEAST_READ else ""
    return said if said.isprintable() and (_is_prose(said) or _NAMED_NUMBERS.fullmatch(said)) else ""


def _is_prose(said: str) -> bool:
    return sum(map(str.isalpha, said)) + said.count(" ") > 0.6 * len(said)
