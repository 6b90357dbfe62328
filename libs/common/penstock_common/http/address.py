"""Where a request goes: an origin, and a target on it, from a URL.

Everything here ends up in the head of requests: what could end a line early
does not get past construction.
"""

from __future__ import annotations

import base64
import ipaddress
import re
from urllib.parse import quote, unquote, urlsplit

import msgspec

_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_PORTS = {"http": 80, "https": 443}
_NAME = re.compile(r"[A-Za-z0-9._-]{1,253}")
# RFC 3986 path characters besides letters and digits, and "%" of what is escaped already.
_PATH_CHARACTERS = "/%:@!$&'()*+,;=-._~"
_QUERY_CHARACTERS = _PATH_CHARACTERS + "?"


class Origin(msgspec.Struct, frozen=True):
    """A server: ``host`` is a name in ASCII or an IP address without brackets."""

    host: str
    port: int
    tls: bool = False

    @property
    def authority(self) -> str:
        """The value of ``Host``: the port only where it is not the scheme's own."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS["https" if self.tls else "http"] else f"{host}:{self.port}"

    @property
    def certificate_host(self) -> str:
        """The name or IP address that the certificate must be for, and the handshake names."""
        return self.host.rstrip(".")


class Address(msgspec.Struct, frozen=True):
    """An origin and what is asked of it; ``authorization`` is Basic where the URL names a user, else empty."""

    origin: Origin
    target: str
    authorization: str = ""


def parse_address(url: str) -> Address:
    """Return the address of an ``http://`` or ``https://`` URL.

    Raises:
        ValueError: if it is none.
    """
    parts = urlsplit(url)
    if parts.scheme not in _PORTS or not parts.hostname:
        raise ValueError("a URL must begin with http:// or https:// and name a host")
    port = _PORTS[parts.scheme] if parts.port is None else parts.port
    origin = Origin(_host(parts.hostname), port, parts.scheme == "https")
    target = quote(parts.path or "/", safe=_PATH_CHARACTERS)
    if parts.query:
        target += "?" + quote(parts.query, safe=_QUERY_CHARACTERS)
    return Address(origin, target, _authorization(parts.username, parts.password))


def is_safe(url: str) -> bool:
    """Return whether nobody on the way can read along, or answer in its place: over TLS, or on this machine."""
    try:
        origin = parse_address(url).origin
    except ValueError:
        return False
    return origin.tls or origin.host in _LOOPBACK


def _host(host: str) -> str:
    if ":" in host:
        return str(ipaddress.IPv6Address(host))
    try:
        name = host.encode("ascii" if host.isascii() else "idna").decode()
    except UnicodeError:
        raise ValueError("the URL's host is not a name") from None
    if _NAME.fullmatch(name) is None:
        raise ValueError("the URL's host is not a name")
    return name


def _authorization(user: str | None, password: str | None) -> str:
    if user is None:
        return ""
    pair = f"{unquote(user)}:{unquote(password or '')}"
    return f"Basic {base64.b64encode(pair.encode()).decode()}"
