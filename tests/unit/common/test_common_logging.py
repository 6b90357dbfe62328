"""Log lines: one JSON object each, with the ids of the request, whatever is in them."""

import datetime as dt
import io
import json
import logging
import sys

import pytest
import structlog
from grpc._cython import cygrpc

from penstock_common.logging import configure_logging
from penstock_common.rpc.scope import CURRENT_SCOPE, RequestScope

TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"


@pytest.fixture
def configured():
    """Configure logging for one test, and give back the way to read its lines."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    # basicConfig(force=True) closes what it replaces, which here would be pytest's own.
    root.handlers = []

    def configure(level="info"):
        stream = io.StringIO()
        configure_logging(level, stream)
        return lambda: [json.loads(line) for line in stream.getvalue().split("\n")[:-1]]

    yield configure
    structlog.reset_defaults()
    root.handlers, root.level = handlers, level


@pytest.fixture
def log():
    return structlog.get_logger("test")


@pytest.fixture
def request_scope():
    token = CURRENT_SCOPE.set(RequestScope(request_id="r-1", tenant="acme", traceparent=f"00-{TRACE_ID}-{'b' * 16}-01"))
    yield
    CURRENT_SCOPE.reset(token)


def test_a_line_is_one_json_object_with_level_and_time(configured, log):
    lines = configured()
    log.info("something_happened", number=1, text="line\nbreak")
    (line,) = lines()
    at = dt.datetime.fromisoformat(line.pop("timestamp"))
    assert abs((dt.datetime.now(dt.UTC) - at).total_seconds()) < 60
    assert line == {"event": "something_happened", "level": "info", "number": 1, "text": "line\nbreak"}


def test_a_line_within_a_request_has_its_ids(configured, log, request_scope):
    lines = configured()
    log.warning("structured")
    logging.getLogger("some.library").warning("plain")
    assert [(line["request_id"], line["trace_id"]) for line in lines()] == [("r-1", TRACE_ID)] * 2


def test_a_line_outside_of_a_request_has_no_ids(configured, log):
    lines = configured()
    log.info("happened")
    assert not {"request_id", "trace_id"} & set(lines()[0])


@pytest.mark.parametrize(("level", "seen"), [("debug", 4), ("info", 3), ("warning", 2), ("error", 1)])
def test_lines_below_the_level_are_left_out(configured, log, level, seen):
    lines = configured(level)
    for method in (log.debug, log.info, log.warning, log.error):
        method("happened")
    assert len(lines()) == seen


def test_an_exception_is_rendered_in_its_line_without_the_values_of_variables(configured, log):
    lines = configured()

    def fail(prompt):
        raise ZeroDivisionError("on purpose")

    prompt = "written by the user".title()
    for report in (
        lambda error: log.error("failed", exc_info=error),
        lambda error: logging.getLogger("library").error("failed", exc_info=error),
    ):
        try:
            fail(prompt)
        except ZeroDivisionError as error:
            report(error)
    for line in lines():
        assert "ZeroDivisionError: on purpose" in line["exception"]
        assert "in fail" in line["exception"]
        assert prompt not in json.dumps(line)
    assert len(lines()) == 2


def test_a_librarys_line_has_the_same_keys(configured):
    lines = configured()
    logging.getLogger("some.library").error("it %s", "broke")
    (line,) = lines()
    assert dt.datetime.fromisoformat(line.pop("timestamp")).tzinfo is not None
    assert line == {"event": "it broke", "level": "error", "logger": "some.library"}


def test_a_librarys_lines_below_warning_are_left_out(configured):
    lines = configured("debug")
    logging.getLogger("some.library").info("chatter")
    assert lines() == []


class Odd:
    def __str__(self):
        return "odd one"


@pytest.mark.parametrize(
    ("value", "rendered"),
    [
        (Odd(), "odd one"),
        (ValueError("why"), "why"),
        (b"\x00\xff", "AP8="),
        ({"a": Odd()}, {"a": "odd one"}),
        (float("nan"), None),
        ("日本\u2028", "日本\u2028"),
        (dt.timedelta(seconds=1), "PT1S"),
    ],
)
def test_values_of_every_kind_are_rendered(configured, log, value, rendered):
    lines = configured()
    log.info("happened", value=value)
    assert lines()[0]["value"] == rendered


@pytest.mark.parametrize("text", ["\ud83d", "a\udcffb"])
def test_text_that_is_no_unicode_does_not_fail_who_logs_it(configured, log, text):
    lines = configured()
    log.info("happened", model=text)
    logging.getLogger("library").warning("model %s", text)
    structured, plain = lines()
    assert structured["model"] == text
    assert plain["event"] == f"model {text}"


def test_lines_go_to_standard_error_unless_told_otherwise(configured, log, capsys):
    configured()
    configure_logging("info")
    log.info("happened")
    sys.stderr.flush()
    captured = capsys.readouterr()
    assert captured.out == ""
    assert json.loads(captured.err)["event"] == "happened"


def test_a_callers_bytes_are_not_written_because_grpc_cannot_read_them(configured):
    lines = configured()
    grpc_log = logging.getLogger("grpc._cython.cygrpc")
    try:
        b"secret\xff".decode()
    except UnicodeDecodeError:
        grpc_log.exception("Invalid encoding on %s", b"secret\xff")
    try:
        raise cygrpc.ExecuteBatchError("Failed", (), "")
    except cygrpc.ExecuteBatchError:
        grpc_log.exception("Failed sending error status from server")
    grpc_log.warning("something else")
    assert [line["event"] for line in lines()] == ["something else"]
