"""Reads requests off a connection's bytes: llhttp in its strict mode, and what it leaves to its user.

llhttp refuses by itself: a length beside chunks, a second or malformed length,
folded lines, bare CR, LF and NUL, a space before a colon, bytes behind a
``connection: close``. What it tolerates is refused here.
"""

from __future__ import annotations

from urllib.parse import unquote

import httptools

from penstock_gateway.surfaces.http1.failures import Refused
from penstock_gateway.surfaces.http1.limits import HttpLimits
from penstock_gateway.surfaces.http1.messages import HttpRequest, Sender

_FORWARDED = b"x-forwarded-for"
_METHODS = {name.encode(): name for name in ("GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH")}


class RequestReader:
    """Reads one connection's requests: ``feed`` it, and take them from ``arrived``, the first first."""

    __slots__ = (
        "_closed",
        "_is_full",
        "_limits",
        "_parser",
        "_raw",
        "_sender",
        "_target",
        "_unread_bytes",
        "arrived",
        "incoming",
        "on_header",
        "on_url",
    )

    def __init__(self, sender: Sender, limits: HttpLimits) -> None:
        self.arrived: list[HttpRequest] = []
        """Requests whose head is complete, in order."""
        self.incoming: HttpRequest | None = None
        """The one whose body is still coming."""
        self._sender = sender
        self._limits = limits
        self._is_full = False
        self._closed: Refused | None = None
        # Bytes out of which nothing has come yet: a head, or the framing of a body, without an end.
        self._unread_bytes = 0
        self._raw: dict[bytes, bytes] = {}
        self._target: list[bytes] = []
        # The parser calls these for every header and every piece of the target; so it fills the containers itself.
        self.on_header = self._raw.setdefault if not limits.joins_forwarded else self._keep
        self.on_url = self._target.append
        self._parser = httptools.HttpRequestParser(self)

    def _keep(self, name: bytes, value: bytes) -> None:
        """Keep a header: the first of its name, but of the chain of proxies every part, as each may be a field's."""
        if name.lower() != _FORWARDED:
            self._raw.setdefault(name, value)
        elif _FORWARDED in self._raw:
            self._raw[_FORWARDED] += b"," + value
        else:
            self._raw[_FORWARDED] = value

    @property
    def is_inside_head(self) -> bool:
        """Whether a head has begun and not ended."""
        return self.incoming is None and (self._unread_bytes > 0 or bool(self._target))

    def feed(self, data: bytes) -> None:
        """Take in the next bytes.

        Raises:
            Refused: if they are no request, or one beyond a limit. Nothing can be read after that.
        """
        self._unread_bytes += len(data)
        if self._closed is not None:
            raise self._closed
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            # Answered as if it had not asked; what it would send in the new protocol is not read.
            self._is_full = True
        except httptools.HttpParserError as error:
            raise _refusal_of(error) from None
        if self._unread_bytes > self._limits.max_head_bytes:
            raise self._endless()

    def close(self, refused: Refused) -> None:
        """Refuse whatever comes, and read none of it."""
        self._closed = refused

    def let_go(self) -> None:
        """Read nothing more. Parser, reader and connection refer to each other: what they hold would be the collector's."""
        del self._parser, self._sender, self.on_header, self.on_url
        self.arrived.clear()
        self.incoming = None

    def on_headers_complete(self) -> None:
        """Make the request out of what was collected."""
        raw, target, limits = self._raw, self._target, self._limits
        self._unread_bytes = 0
        if self._is_full:
            raw.clear()
            target.clear()
            return
        # Decoded at once, not each by itself; no name or value has the end of a line in it.
        names = b"\n".join(raw).decode("latin-1").lower()
        values = b"\n".join(raw.values()).decode("latin-1")
        url = target[0] if len(target) == 1 else b"".join(target)
        if len(names) + len(values) + len(url) > limits.max_head_bytes or len(raw) > limits.max_headers:
            raise _target_too_long(limits) if len(url) > limits.max_target_bytes else _head_too_large(limits)
        headers = _paired(names.split("\n"), values.split("\n")) if raw else {}
        raw.clear()
        target.clear()
        request = HttpRequest(self._method(), self._path_in(url), headers, self._sender, limits.max_body_bytes)
        request.target = url
        self._check(request)
        self.incoming = request
        self.arrived.append(request)
        if len(self.arrived) == limits.max_waiting_requests:
            self._is_full = True
            request.keeps_alive = False

    def on_body(self, piece: bytes) -> None:
        """Give the request the next piece of its body."""
        self._unread_bytes = 0
        if self.incoming is not None:
            self.incoming.take(piece)

    def on_message_complete(self) -> None:
        """Note that the request has ended."""
        self._unread_bytes = 0
        self._raw.clear()
        request, self.incoming = self.incoming, None
        if request is not None:
            request.complete()

    def _method(self) -> str:
        method = self._parser.get_method()
        return _METHODS[method] if method in _METHODS else method.decode()

    def _path_in(self, target: bytes) -> str:
        """Return the decoded path of a target in origin or absolute form."""
        if len(target) > self._limits.max_target_bytes:
            raise _target_too_long(self._limits)
        path = (target if target[:1] == b"/" else _path_of_url(target)).decode("ascii", "replace")
        for end in ("?", "#"):
            if end in path:
                path = path.partition(end)[0]
        return unquote(path) if "%" in path else path

    def _check(self, request: HttpRequest) -> None:
        """Refuse what llhttp lets pass, and read what the head says of the connection and the body."""
        headers, parser = request.headers, self._parser
        version = parser.get_http_version()
        if version != "1.1":
            _check_old(version, request)
        elif "connection" in headers and not parser.should_keep_alive():
            request.keeps_alive = False
        if "content-length" in headers:
            request.announced_bytes = int(headers["content-length"])
        elif "transfer-encoding" in headers and headers["transfer-encoding"].lower() != "chunked":
            raise Refused(400, "The header 'transfer-encoding' must be 'chunked'.")
        if "expect" in headers:
            _check_expectation(request, headers["expect"])
        if request.method == "CONNECT":
            # The parser takes whatever follows for a tunnel's, and reads no other request.
            request.keeps_alive = False
        if "upgrade" in headers and parser.should_upgrade():
            _check_upgrade(request)

    def _endless(self) -> Refused:
        if self.incoming is not None:
            return Refused(400, "The body's chunks have too much around them.")
        target_bytes = sum(map(len, self._target))
        is_target = target_bytes > self._limits.max_target_bytes
        return _target_too_long(self._limits) if is_target else _head_too_large(self._limits)


def _paired(names: list[str], values: list[str]) -> dict[str, str]:
    headers = dict(zip(names, values, strict=True))
    if len(headers) < len(names):
        # The same name in different spelling: the first counts.
        headers = dict(zip(reversed(names), reversed(values), strict=True))
    return headers


def _path_of_url(target: bytes) -> bytes:
    if target.lower().startswith((b"http://", b"https://")):
        try:
            return httptools.parse_url(target).path or b"/"
        except httptools.HttpParserInvalidURLError:
            pass
    raise Refused(400, "The request must name a path, or a URL.")


def _check_old(version: str, request: HttpRequest) -> None:
    if version != "1.0":
        raise Refused(505, f"HTTP/{version} is not spoken here; HTTP/1.1 is.")
    request.takes_chunks = request.keeps_alive = False
    if "transfer-encoding" in request.headers:
        raise Refused(400, "HTTP/1.0 has no 'transfer-encoding'.")


def _check_expectation(request: HttpRequest, expectation: str) -> None:
    if expectation.lower() != "100-continue":
        raise Refused(417, "The header 'expect' may only say '100-continue'.")
    request.expects_continue = request.takes_chunks


def _check_upgrade(request: HttpRequest) -> None:
    request.keeps_alive = False
    if request.announced_bytes or "transfer-encoding" in request.headers:
        # The parser takes the body for the new protocol's.
        raise Refused(400, "The header 'upgrade' is not supported on a request with a body.")


def _refusal_of(error: httptools.HttpParserError) -> Refused:
    cause = error.__context__
    return cause if isinstance(cause, Refused) else Refused(400, f"This is not a valid HTTP request: {error}.")


def _target_too_long(limits: HttpLimits) -> Refused:
    return Refused(414, f"The request's path and query are longer than {limits.max_target_bytes} bytes.")


def _head_too_large(limits: HttpLimits) -> Refused:
    most = f"{limits.max_headers} headers or {limits.max_head_bytes} bytes"
    return Refused(431, f"The request's head has more than {most}.")
