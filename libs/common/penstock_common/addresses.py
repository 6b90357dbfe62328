"""How addresses are written in the configuration. Nobody is asked here whether one answers."""

from __future__ import annotations

import re
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator

from penstock_common.faults import refuse_key
from penstock_common.http.address import parse_address
from penstock_common.sql.address import DatabaseAddress

MAX_PORT = 65535
# sun_path holds 108 bytes with its closing zero (unix(7)).
MAX_SOCKET_PATH_BYTES = 107

_UNIX = "unix:"
_HOST = re.compile(r"\[[0-9A-Fa-f:.%A-Za-z0-9]+\]|[A-Za-z0-9._-]*")
_REDIS = ("redis", "rediss", "unix")
_COMPLETIONS = ("/chat/completions", "/completions", "/embeddings")


def host_and_port(text: str) -> tuple[str, int]:
    """Return what ``host:port`` says; an address of version 6 stands in brackets, and every host may be left out.

    Raises:
        ValueError: if it is written in another way; the message says which.
    """
    host, separator, port = text.rpartition(":")
    if not separator or not port.isascii() or not port.isdecimal() or _HOST.fullmatch(host) is None:
        raise ValueError("host:port is expected, such as 127.0.0.1:8080")
    if int(port) > MAX_PORT:
        raise ValueError(f"host:port is expected, and a port is at most {MAX_PORT}")
    return host.strip("[]"), int(port)


def _checked_listen(text: str) -> str:
    if text:
        try:
            host_and_port(text)
        except ValueError as error:
            refuse_key(f"{error}, not {text!r}")
    return text


def _checked_inner_listen(text: str) -> str:
    if not text.startswith(_UNIX):
        return _checked_listen(text)
    path = text.removeprefix(_UNIX).removeprefix("//")
    if not path.startswith("/") or len(path.encode()) > MAX_SOCKET_PATH_BYTES:
        refuse_key(f"a socket is written unix:/path, of at most {MAX_SOCKET_PATH_BYTES} bytes")
    return text


def _checked_target(text: str) -> str:
    if not text or text.startswith(_UNIX):
        return _checked_inner_listen(text)
    scheme, separator, rest = text.partition(":")
    hosts = text if scheme not in ("dns", "ipv4", "ipv6") else rest.rpartition("/")[2]
    if separator and scheme.startswith("http"):
        refuse_key(f"it is a target of gRPC, without http://: host:port or dns:///name:port, not {text!r}")
    for host in hosts.split(","):
        try:
            _, port = host_and_port(host)
        except ValueError as error:
            refuse_key(f"{error}, or dns:///name:port, not {text!r}")
        if port == 0:
            refuse_key(f"a port that can be called is expected, not {text!r}")
    return text


def _checked_http_url(text: str) -> str:
    if not text:
        return text
    _check_url(text, "such as http://127.0.0.1:4317")
    return text


def _check_url(text: str, example: str) -> None:
    try:
        known_port = urlsplit(text).port != 0
    except ValueError:
        known_port = False
    if not known_port:
        refuse_key(f"the URL's port is none: 1 to {MAX_PORT}, {example}")
    try:
        parse_address(text)
    except ValueError as error:
        refuse_key(f"{error}, {example}")


def _checked_base_url(text: str) -> str:
    if not text:
        return text
    example = "such as https://api.openai.com/v1"
    _check_url(text, example)
    parts = urlsplit(text)
    if parts.query or parts.fragment:
        refuse_key(f"it may have no ? and no #: requests go to paths below it, {example}")
    ending = next((ending for ending in _COMPLETIONS if parts.path.rstrip("/").endswith(ending)), "")
    if ending:
        refuse_key(f"leave out {ending}, which is added to it, {example}")
    return text


def _checked_redis(text: str) -> str:
    if not text:
        return text
    try:
        parts = urlsplit(text)
        named = bool(parts.path.strip("/")) if parts.scheme == "unix" else bool(parts.hostname) and parts.port != 0
    except ValueError:
        parts, named = urlsplit(""), False
    if parts.scheme not in _REDIS or not named:
        # Not quoted: it may hold a password.
        refuse_key("it must be redis://host:port/db, rediss://host:port/db or unix:///path")
    return text


Listen = Annotated[str, AfterValidator(_checked_listen)]
"""``host:port`` to listen on; port 0 takes a free one."""
InnerListen = Annotated[str, AfterValidator(_checked_inner_listen)]
"""``host:port`` or ``unix:/path`` to listen on."""
Target = Annotated[str, AfterValidator(_checked_target)]
"""Whom to call over gRPC."""
HttpUrl = Annotated[str, AfterValidator(_checked_http_url)]
BaseUrl = Annotated[str, AfterValidator(_checked_base_url)]
RedisUrl = Annotated[str, AfterValidator(_checked_redis)]


def _names_a_database(url: str) -> str:
    if url:
        # Absent where a stack fills it in; what is wrong with it is said without quoting it.
        DatabaseAddress.parse(url)
    return url


DatabaseUrl = Annotated[str, AfterValidator(_names_a_database)]
"""``sqlite:///path``, or ``postgresql://user@host/name``."""
