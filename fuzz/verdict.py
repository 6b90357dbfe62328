"""What is wrong with an answer: server errors that nobody meant, errors without our shape, and words that give us away."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

from cases import Bytes, Call, Case, Reply, Request, Stream
from google.rpc import error_details_pb2, status_pb2

_SERVER_ERROR = 500
_ERROR = 400
_DOMAIN = "penstock.dev"
_TYPED = b"/api/v1/"
_WIRE = b"/v1/"

MEANT = {
    ("503", "overloaded"): "more large bodies, or requests, than the process or one key may hold",
    (
        "503",
        "service_unavailable: This server holds as many large requests",
    ): "more bodies at the edge than it may hold for one address",
    ("503", "OVERLOADED"): "the same, on the typed API",
    ("504", "deadline_exceeded"): "the time that the caller itself granted is over",
    ("504", "DEADLINE_EXCEEDED"): "the same, on the typed API",
    ("DEADLINE_EXCEEDED", ""): "the same, by gRPC's own clock",
    ("DEADLINE_EXCEEDED", "DEADLINE_EXCEEDED"): "the same, over gRPC",
    ("UNAVAILABLE", "OVERLOADED"): "more large messages than the process or one key may hold",
    (
        "501",
        "text",
    ): "a Transfer-Encoding that is not known, which RFC 9112, 6.1 has answered so; no handler has seen it",
    ("501", "UNIMPLEMENTED"): "a path of the typed API that is not there",
    ("505", "invalid_request_error"): "the same, at the gateway's own port",
    ("501", "invalid_request_error"): "a Transfer-Encoding that is not known, at the gateway's own port",
    ("505", "text"): "a version of HTTP that is not known (RFC 9110, 15.6.6)",
}
"""Server errors that are meant, by status and code or reason, and why."""

MEANT_BY_GRPC = (
    "Failed parsing HTTP/2", "Error parsing '", "Duplicate '", "Compression bit set but no encoding configured",
    "Metadata keys cannot be zero length", "Illegal header key", "Unexpected <class 'UnicodeDecodeError'>", "Missing :",
)  # fmt: skip
"""How gRPC's core begins what it says of frames and fields that break HTTP/2's or gRPC's own rules; it names no other code
for them (its compression.md asks for INTERNAL), and no code of ours has seen the call."""

_OF_THE_SERVER = frozenset({"UNKNOWN", "INTERNAL", "DATA_LOSS", "UNAVAILABLE", "DEADLINE_EXCEEDED"})
# Written by gRPC's or Go's own server before a handler has seen the call.
_OF_THE_LIBRARY = frozenset({"UNIMPLEMENTED", "CANCELLED", "RESOURCE_EXHAUSTED"})

_GIVEN_AWAY = re.compile(
    rb"""Traceback|File\ "|\.py\b|\.go:\d|goroutine|<class\ '|\ object\ at\ 0x|0x[0-9a-f]{8}|panic:|runtime\ error
    |\b[A-Z][A-Za-z]{2,40}(?:Error|Exception)\b|penstock_[a-z]|msgspec|pydantic|grpcio|asyncio|sqlalchemy|sqlite|redis
    |/root/|/work/|/tmp/|/home/|/usr/|/var/|\.sock\b|127\.0\.0\.1:\d|localhost:\d|sk-upstream|SELECT\ |INSERT\ INTO""",
    re.VERBOSE,
)
_LOOKED_AT_BYTES = 20_000


GONE = "nobody listens any more"


@dataclass(frozen=True)
class Fault:
    """What is wrong. Faults of one ``kind`` have one cause, as far as can be told from outside."""

    kind: str
    told: str


def judge(case: Case, reply: Reply) -> Fault | None:
    """Return what is wrong with the answer to a case, or None."""
    if reply.end == "silent":
        return Fault("no answer in time", "")
    if reply.end == "nobody":
        return Fault(GONE, "")
    if reply.end == "closed":
        return None if isinstance(case, Bytes | Stream | Call) else Fault("closed without an answer", "")
    if isinstance(case, Stream) and reply.code and reply.body.decode(errors="replace").startswith(MEANT_BY_GRPC):
        return None
    fault = _of_rpc(reply) if reply.code else _of_http(case, reply)
    return fault or _giving_away(case, reply)


def _of_rpc(reply: Reply) -> Fault | None:
    if reply.code == "OK":
        return None
    reason = _reason(reply.details)
    cause = reason or reply.body[:80].decode(errors="replace").rstrip(".")
    if reply.code in _OF_THE_SERVER and (reply.code, cause) not in MEANT and (reply.code, reason) not in MEANT:
        return Fault(f"{reply.code} {cause}", _shown(reply))
    if reply.details and not reason:
        return Fault(f"{reply.code} without a reason", _shown(reply))
    return None


def _reason(details: bytes) -> str:
    info = error_details_pb2.ErrorInfo()
    for detail in status_pb2.Status.FromString(details).details:
        if detail.Unpack(info) and info.domain == _DOMAIN:
            return info.reason
    return ""


def _of_http(case: Case, reply: Reply) -> Fault | None:
    if reply.status < _ERROR:
        return _of_success(case, reply)
    code = _code(case, reply)
    if reply.status >= _SERVER_ERROR and (str(reply.status), code) not in MEANT:
        return Fault(f"{reply.status} {code}", _shown(reply))
    if code in ("text", "other") and not _is_before_us(case, reply):
        return Fault(f"{reply.status} in no form of ours", _shown(reply))
    # Bytes that were refused as no request may lie unread, and reset what was said of them.
    is_cut = reply.end == "cut" and not isinstance(case, Bytes) and not getattr(case, "broken", b"")
    return Fault("cut error", _shown(reply)) if is_cut else None


def _is_before_us(case: Case, reply: Reply) -> bool:
    """Return whether a server's library may have refused bytes that were no request; or there was no body to give."""
    if isinstance(case, Request) and case.method in (b"HEAD", b"head"):
        return True
    return isinstance(case, Bytes | Stream) and not reply.body.lstrip().startswith(b"{")


def _of_success(case: Case, reply: Reply) -> Fault | None:
    kind = reply.fields.get("content-type", "")
    if isinstance(case, Bytes) or b"HEAD" in getattr(case, "method", b""):
        return None
    if reply.end == "cut":
        # Frames that are none may end their stream, whatever has come of it.
        return None if isinstance(case, Stream) and case.broken else Fault("cut answer", _shown(reply))
    if kind.startswith("application/json") and reply.body and _decoded(reply.body) is None:
        return Fault("JSON that is none", _shown(reply))
    if (
        kind.startswith("text/event-stream")
        and _target(case).startswith(b"/v1/")
        and b"data: [DONE]\n\n" not in reply.body
    ):
        return None if b'"error"' in reply.body else Fault("stream without an end", _shown(reply))
    return None


def _code(case: Case, reply: Reply) -> str:
    """Return the code of an error of OpenAI's form, the reason of one of ours; ``text`` or ``other`` for anything else."""
    document = _decoded(reply.body)
    if document is None:
        return "text"
    error = document.get("error")
    if isinstance(error, dict) and (isinstance(case, Bytes) or not _is_typed(case)):
        whole = {"message", "type", "param", "code"} <= set(error) and isinstance(error["message"], str)
        return _named(error) if whole and error["message"] else "other"
    if not isinstance(case, Bytes) and (case.door == "gateway" or _target(case).startswith(_WIRE)):
        return "other"
    reasons = [str(each["reason"]) for each in document.get("details", ()) if each.get("domain") == _DOMAIN]
    if not isinstance(document.get("code"), int) or not document.get("message"):
        return "other"
    return reasons[0] if reasons else "UNIMPLEMENTED" if document["code"] == _UNIMPLEMENTED else "other"


_UNIMPLEMENTED = 12


def _named(error: dict[str, Any]) -> str:
    """Return an error's code, or its type; where the edge has one code for two causes, its first words as well."""
    code = str(error["code"] or error["type"])
    return f"{code}: {error['message'][:40]}" if code == "service_unavailable" else code


def _decoded(body: bytes) -> dict[str, Any] | None:
    try:
        found = json.loads(body)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _target(case: Case) -> bytes:
    if isinstance(case, Request):
        return case.target
    if isinstance(case, Stream):
        return next((value for name, value in case.fields if name == b":path"), b"")
    return case.sent.partition(b" ")[2].partition(b" ")[0]


def _is_typed(case: Case) -> bool:
    return case.door != "gateway" and _target(case).startswith(_TYPED)


def _giving_away(case: Case, reply: Reply) -> Fault | None:
    """Return the fault of an answer that names what is inside, unless the caller has named it first."""
    if reply.told in ("200", "OK"):
        return None
    text = reply.body[:_LOOKED_AT_BYTES] + reply.details + repr(dict(reply.fields)).encode()
    for match in _GIVEN_AWAY.finditer(text):
        word = match[0]
        if word not in case.sent:
            return Fault(f"gives away '{word.decode(errors='replace')}'", _shown(reply))
    return None


def _shown(reply: Reply) -> str:
    return f"{reply.told}: {reply.body[:400].decode(errors='replace')}"
