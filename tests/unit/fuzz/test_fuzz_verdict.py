"""What fuzz/ takes for wrong, and what it lets pass."""

import importlib
import json
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from google.protobuf import any_pb2
from google.rpc import error_details_pb2, status_pb2

FUZZ = str(Path(__file__).parents[3] / "fuzz")


@pytest.fixture(scope="module")
def fuzz():
    sys.path.insert(0, FUZZ)
    try:
        yield SimpleNamespace(**{name: importlib.import_module(name) for name in ("cases", "verdict")})
    finally:
        sys.path.remove(FUZZ)


@pytest.fixture
def kind_of(fuzz):
    """A function that gives the kind of fault of an HTTP answer; None where nothing is wrong."""

    def kind(status, body, target=b"/v1/chat/completions", end="whole", **fields):
        case = fuzz.cases.Request("edge", b"POST", target)
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        fault = fuzz.verdict.judge(case, fuzz.cases.Reply(end, status, fields=fields, body=data))
        return fault and fault.kind

    return kind


def openai_error(code="x", message="m", **more):
    return {"error": {"message": message, "type": "t", "param": None, "code": code, **more}}


def typed_error(reason="INVALID_REQUEST", code=3, message="m"):
    return {"code": code, "message": message, "details": [{"reason": reason, "domain": "penstock.dev"}]}


def test_errors_in_the_callers_form_pass(kind_of):
    assert kind_of(400, openai_error()) is None
    assert kind_of(400, typed_error(), b"/api/v1/chat") is None
    assert kind_of(503, openai_error("overloaded")) is None


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (500, openai_error("internal_error"), "500 internal_error"),
        (502, openai_error("upstream_failed"), "502 upstream_failed"),
        (503, openai_error("service_unavailable", "The gateway did not answer; try again."), "503 service_unavailable: The gateway"),
        (400, b"400 Bad Request", "400 in no form of ours"),
        (400, typed_error(), "400 in no form of ours"),
        (400, {"error": {"message": "m"}}, "400 in no form of ours"),
        (400, openai_error(message=""), "400 in no form of ours"),
        (400, openai_error(message="KeyError: 'x'"), "gives away 'KeyError'"),
        (400, openai_error(message="see /work/x"), "gives away '/work/'"),
        (400, openai_error(message="Traceback (most recent call last)"), "gives away 'Traceback'"),
        (400, openai_error(message="key sk-upstream"), "gives away 'sk-upstream'"),
    ],
    ids=["500", "502", "503", "text", "typed", "part", "empty", "class", "path", "trace", "secret"],
)  # fmt: skip
def test_other_errors_are_faults(kind_of, status, body, kind):
    assert (kind_of(status, body) or "").startswith(kind)


def test_what_the_caller_has_written_gives_nothing_away(fuzz):
    case = fuzz.cases.Request("edge", b"POST", b"/v1/x", body=b"KeyError")
    reply = fuzz.cases.Reply("whole", 400, body=json.dumps(openai_error(message="KeyError")).encode())
    assert fuzz.verdict.judge(case, reply) is None


def test_answers_that_are_not_whole_are_faults(kind_of):
    assert kind_of(200, b"{}", end="cut") == "cut answer"
    assert kind_of(200, b"{", **{"content-type": "application/json"}) == "JSON that is none"
    assert kind_of(200, b"data: {}\n\n", **{"content-type": "text/event-stream"}) == "stream without an end"
    assert kind_of(200, b"data: [DONE]\n\n", **{"content-type": "text/event-stream"}) is None
    assert kind_of(0, b"", end="closed") == "closed without an answer"
    assert kind_of(0, b"", end="silent") == "no answer in time"


def details(reason):
    packed = any_pb2.Any()
    packed.Pack(error_details_pb2.ErrorInfo(reason=reason, domain="penstock.dev"))
    return status_pb2.Status(details=[packed]).SerializeToString()


@pytest.mark.parametrize(
    ("code", "reason", "is_fault"),
    [
        ("OK", "", False),
        ("INVALID_ARGUMENT", "INVALID_REQUEST", False),
        ("DEADLINE_EXCEEDED", "", False),
        ("INTERNAL", "INTERNAL", True),
        ("UNKNOWN", "", True),
        ("UNAVAILABLE", "UPSTREAM_FAILED", True),
        ("UNAVAILABLE", "OVERLOADED", False),
    ],
    ids=lambda value: str(value) or "none",
)
def test_a_calls_end(fuzz, code, reason, is_fault):
    reply = fuzz.cases.Reply("whole", code=code, body=b"what", details=details(reason) if reason else b"")
    assert (fuzz.verdict.judge(fuzz.cases.Call("/a/b", b""), reply) is not None) is is_fault
