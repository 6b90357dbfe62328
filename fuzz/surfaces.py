"""The surfaces, and for each a strategy of what is sent there."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from types import MappingProxyType
from typing import Any
from urllib.parse import quote, urlencode

import openai_formats as openai
from cases import Bytes, Call, Cases, Door, Request, Stream
from documents import VALUES, documents, encoded, spoilt, texts, written
from google.protobuf.message import Message
from hypothesis import strategies as st
from messages import Method, as_json, messages, methods, wire_messages
from values import DATA, FIELD_NAMES, FIELD_VALUES, FIELDS, TEXTS

APP_KEY = "fuzz-app-key-fuzz-app-key"
NARROW_KEY = "fuzz-narrow-key-fuzz-narrow"
OPERATOR_KEY = "fuzz-operator-key-fuzz-operator"
# A key of ours in form, checksum included, that nobody has.
_UNKNOWN_KEY = "psk_" + "a" * 12 + "_" + "b" * 43
_USUAL = (APP_KEY,) * 14
_KEYS = (*_USUAL, NARROW_KEY, OPERATOR_KEY, _UNKNOWN_KEY, "")
_ADMIN_KEYS = (*(OPERATOR_KEY,) * 14, APP_KEY, NARROW_KEY, _UNKNOWN_KEY, "")
_JSON = (b"content-type", b"application/json")


def _credentials(draw: st.DrawFn, keys: tuple[str, ...]) -> list[tuple[bytes, bytes]]:
    key = draw(st.sampled_from(keys)).encode()
    if not key:
        return []
    name = draw(st.sampled_from((b"authorization",) * 8 + (b"api-key", b"x-api-key")))
    return [(name, b"Bearer " + key if name == b"authorization" else key)]


def _fields(draw: st.DrawFn, keys: tuple[str, ...]) -> list[tuple[bytes, bytes]]:
    fields = [*_credentials(draw, keys), _JSON]
    if draw(st.sampled_from((False, False, True))):
        fields += [pair for pair in draw(FIELDS) if pair[0] not in (b"host", b"connection", b"expect")]
    return fields


def _wire_request(draw: st.DrawFn) -> Request:
    """Return a request of OpenAI's formats."""
    door: Door = "edge"
    method = draw(st.sampled_from(openai.METHODS))
    fields = _fields(draw, _KEYS)
    if draw(st.sampled_from((False,) * 9 + (True,))):
        return Request(door, b"GET", draw(st.sampled_from(openai.GETS)).encode(), tuple(fields))
    route = draw(st.sampled_from(tuple(openai.BODIES)))
    target = draw(st.sampled_from(openai.ROOTS)) + route + draw(st.sampled_from(openai.ENDS))
    body = draw(texts(documents(st.sampled_from(openai.BODIES[route]))))
    encoding, body = encoded(draw, body)
    if encoding:
        fields.append((b"content-encoding", encoding))
    chunks = draw(st.sampled_from((0,) * 8 + (1000, 7)))
    return Request(door, method, target.encode(), tuple(fields), body, chunks)


def _typed_request(draw: st.DrawFn, method: Method, made: Message) -> Request:
    """Return a request of the typed API: a method's path, its message as JSON, what its GET takes as a query."""
    door: Door = "edge"
    message = as_json(made, method.example)
    target = _rest_path(draw, method)
    fields = _fields(draw, _ADMIN_KEYS if method.is_of_admins else _KEYS)
    verb = draw(st.sampled_from((method.verb,) * 15 + ("PUT", "OPTIONS")))
    if method.verb == "GET":
        return Request(door, verb.encode(), target + _query(draw, message), tuple(fields))
    body = draw(texts(st.one_of(documents(st.just(message)), st.just(message), VALUES)))
    encoding, body = encoded(draw, body)
    if encoding:
        fields.append((b"content-encoding", encoding))
    return Request(door, verb.encode(), target, tuple(fields), body, draw(st.sampled_from((0,) * 8 + (50,))))


_PATH_VALUES = ("fast", "app", "made-by-fuzzing", "a:b", "..", "%2e%2e", "%00", "%ff", "a/b", "", "x" * 400)


def _rest_path(draw: st.DrawFn, method: Method) -> bytes:
    path = method.rest
    while "{" in path:
        before, _, rest = path.partition("{")
        after = rest.partition("}")[2]
        odd = draw(st.sampled_from((True, False)))
        value = draw(st.sampled_from(_PATH_VALUES)) if odd else quote(draw(TEXTS).encode(errors="replace"), safe="")
        path = before + value[:600] + after
    return (path + draw(st.sampled_from(("",) * 20 + ("/", ":", "//", "?", "/x")))).encode()


def _query(draw: st.DrawFn, message: dict[str, Any]) -> bytes:
    flat = [(name, value if isinstance(value, str) else written(value)) for name, value in message.items()]
    more = draw(st.lists(st.tuples(TEXTS, TEXTS), max_size=1))
    pairs = [(name[:200], value[:400]) for name, value in (*flat, *more)]
    return b"?" + urlencode(pairs, errors="replace").encode() if pairs else b""


_LINES = (
    b"\r\n", b"\n", b"\r", b"\r\n\r\n", b":", b" ", b"\t", b"\x00", b"\x80", b"content-length: 5\r\n", b"content-length: -1\r\n",
    b"content-length: 99999999999999999999\r\n", b"content-length: 0\r\ncontent-length: 7\r\n", b"transfer-encoding: chunked\r\n",
    b"transfer-encoding: gzip, chunked\r\n", b"transfer-encoding: x\r\n", b"expect: 100-continue\r\n", b"connection: upgrade\r\n",
    b"upgrade: h2c\r\n", b"host: \r\n", b"host: a b\r\n", b"HTTP/1.0", b"HTTP/2.0", b"HTTP/9", b"GET / HTTP/1.1\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"0\r\n\r\n", b"ffffffffffffffff\r\n", b"5;x=y\r\nhello\r\n", b"x: " + b"y" * 40_000 + b"\r\n",
    b"a: b\r\n" * 300, b" folded\r\n", b"/" + b"p" * 9000, b"http://other/v1/models", b"PROXY TCP4 1.1.1.1 2.2.2.2 1 2\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00",
)  # fmt: skip


@st.composite
def _openai(draw: st.DrawFn) -> Cases:
    """Return a request of OpenAI's formats, to each who takes it."""
    request = _wire_request(draw)
    return [("openai", request), ("gateway HTTP", replace(request, door="gateway")), ("HTTP/2", _stream(draw, request))]


@st.composite
def _typed(draw: st.DrawFn, *, admin: bool) -> Cases:
    """Return a message of the contract, as REST and as a call."""
    method = draw(st.sampled_from([each for each in methods() if each.is_of_admins == admin]))
    made = draw(messages(method))
    request = _typed_request(draw, method, made)
    call = _call(draw, method, made.SerializeToString())
    if admin:
        return [("admin REST", request), ("admin gRPC", call)]
    return [("typed REST", request), ("gRPC", call), ("HTTP/2", _stream(draw, request))]


@st.composite
def _bytes(draw: st.DrawFn) -> Cases:
    """Return bytes that were a request of HTTP/1.1, or none; nearly all end as a head does, so that an answer is due."""
    if draw(st.sampled_from((True, True, False))):
        whole = _wire_request(draw).sent
    else:
        method = draw(st.sampled_from(methods()))
        whole = _typed_request(draw, method, draw(messages(method))).sent
    head, end, body = whole.partition(b"\r\n\r\n")
    made = [spoilt(draw, head, _LINES) + end + body for _ in range(3)]
    if draw(st.sampled_from((False,) * 5 + (True,))):
        made[0] = spoilt(draw, whole, _LINES)
    if draw(st.sampled_from((False,) * 9 + (True,))):
        made[1] = draw(st.binary(max_size=100)) + b"\r\n\r\n"
    one, two, three = made
    return [
        ("HTTP/1.1 bytes", Bytes("hasty", one)), ("gateway bytes", Bytes("gateway", three)),
        ("HTTP/1.1 bytes", Bytes("hasty", two)),
    ]  # fmt: skip


def _stream(draw: st.DrawFn, request: Request) -> Stream:
    """Return a stream of HTTP/2 to the edge, some with fields that HTTP/2 forbids, or bytes that are no frames."""
    pseudo = [
        (b":method", request.method),
        (b":scheme", b"https"),
        (b":authority", b"penstock.test"),
        (b":path", request.target),
    ]
    fields = (*pseudo, *request.fields)
    if draw(st.sampled_from((False,) * 7 + (True,))):
        fields = tuple(_odd_fields(draw, list(fields)))
    broken = _frames(draw) if draw(st.sampled_from((False,) * 15 + (True,))) else b""
    return Stream("http2", fields, request.body, broken)


def _odd_fields(draw: st.DrawFn, fields: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    at = draw(st.integers(0, len(fields) - 1))
    how = draw(st.sampled_from(("drop", "again", "put", "other")))
    if how == "drop":
        return fields[:at] + fields[at + 1 :]
    if how == "again":
        return [*fields[:at], fields[at], *fields[at:]]
    odd = (
        b"connection",
        b"transfer-encoding",
        b"te",
        b"content-length",
        b"Upper",
        b":path",
        b":status",
        b"host",
        b"x y",
        b"",
    )
    name = draw(st.one_of(st.sampled_from(odd), FIELD_NAMES)) if how == "put" else fields[at][0]
    value = draw(FIELD_VALUES)
    return [*fields[:at], (name, value), *(fields[at:] if how == "put" else fields[at + 1 :])]


def _frames(draw: st.DrawFn) -> bytes:
    """Return a few frames of any type, some of which lie about their length (RFC 9113, 4.1)."""
    frames = b""
    for _ in range(draw(st.integers(1, 4))):
        payload = draw(st.one_of(DATA, st.sampled_from((bytes(4), bytes(5), bytes(8), b"\x82\x84\x87", b"\xff" * 20))))
        length = draw(st.sampled_from((len(payload),) * 4 + (0, 16_384, 16_385, 2**24 - 1)))
        kind, flags = draw(st.integers(0, 11)), draw(st.sampled_from((0, 1, 4, 5, 8, 32, 255)))
        stream = draw(st.sampled_from((0, 1, 1, 2, 3, 2**31 - 1)))
        frames += length.to_bytes(3, "big") + bytes((kind, flags)) + stream.to_bytes(4, "big") + payload
    return frames


_METADATA_NAMES = ("x-request-id", "x-penstock-timeout", "x-penstock-cache", "traceparent", "x-api-key", "odd-bin", "te-x",
    "x-penstock-client-address", "x-penstock-edge-token", "user-agent", "grpc-accept-encoding", "x-penstock-priority")  # fmt: skip


def _call(draw: st.DrawFn, method: Method, message: bytes) -> Call:
    """Return a call, with metadata that gRPC takes; one in fifteen of a method that is not there, or is not ours."""
    key = draw(st.sampled_from(_ADMIN_KEYS if method.is_of_admins else _KEYS))
    metadata: list[tuple[str, str | bytes]] = [("authorization", f"Bearer {key}")] if key else []
    for name in draw(st.lists(st.sampled_from(_METADATA_NAMES), max_size=2)):
        value = draw(DATA) if name.endswith("-bin") else _printable(draw(FIELD_VALUES))
        metadata.append((name, value))
    timeout = draw(st.sampled_from((60.0,) * 15 + (0.001, 0.02)))
    path = draw(st.sampled_from((method.path,) * 14 + (_OTHER,)))
    return Call(draw(st.sampled_from(_OTHER_PATHS)) if path == _OTHER else path, message, tuple(metadata), timeout)


@st.composite
def _calls(draw: st.DrawFn) -> Cases:
    """Return a message that may be spoilt, as a call and as bytes of HTTP/2."""
    method = draw(st.sampled_from(methods()))
    message = draw(wire_messages(method))
    surface = "admin gRPC" if method.is_of_admins else "gRPC"
    return [(surface, _call(draw, method, message)), ("gRPC bytes", _grpc_stream(draw, method, message))]


_OTHER = "another"
_OTHER_PATHS = (
    "/grpc.health.v1.Health/Check", "/grpc.health.v1.Health/List", "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", "/penstock.gateway.v1.ChatService/Nothing",
    "/penstock.inference.v1.InferenceService/Generate", "/penstock.router.v1.RouterService/Route", "/x/y", "//", "/",
)  # fmt: skip


def _printable(value: bytes) -> str:
    return "".join(chr(byte) for byte in value if 32 <= byte < 127).strip()


def _grpc_stream(draw: st.DrawFn, method: Method, message: bytes) -> Stream:
    """Return gRPC as bytes of HTTP/2: fields and length prefixes that no library of gRPC would send."""
    length = draw(st.sampled_from((len(message),) * 6 + (0, len(message) + 1, 2**32 - 1, 40_000_000)))
    flag = draw(st.sampled_from((0,) * 6 + (1, 2, 255)))
    data = bytes((flag,)) + length.to_bytes(4, "big") + message
    data = draw(st.sampled_from((data,) * 8 + (b"", data * 2, data[:3], b"\x00" * 5 + data)))
    fields = [
        (b":method", b"POST"), (b":scheme", b"http"), (b":authority", b"penstock.test"), (b":path", method.path.encode()),
        (b"te", b"trailers"), (b"content-type", b"application/grpc"),
        *_credentials(draw, _ADMIN_KEYS if method.is_of_admins else _KEYS),
    ]  # fmt: skip
    if draw(st.booleans()):
        fields = _odd_fields(draw, fields)
    broken = _frames(draw) if draw(st.sampled_from((False,) * 11 + (True,))) else b""
    return Stream("grpc", tuple(fields), data, broken)


@cache
def sources() -> Mapping[str, tuple[st.SearchStrategy[Cases], int]]:
    """Return strategies of cases that are made together, and each one's share of all requests in percent."""
    os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "false")
    return MappingProxyType(
        {
            "openai": (_openai(), 40),
            "typed": (_typed(admin=False), 20),
            "admin": (_typed(admin=True), 12),
            "bytes": (_bytes(), 16),
            "calls": (_calls(), 12),
        }
    )
