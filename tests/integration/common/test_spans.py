"""Steps become spans that arrive at a real collector over OTLP."""

import socket
import time

import pytest

from penstock_common.telemetry.spans import NoSpans, open_spans
from penstock_common.telemetry.steps import Step
from penstock_common.telemetry.trace_context import TraceContext
from penstock_common.testing.otlp_collector import OtlpCollector

TRACE = TraceContext(trace_id=0xABC, span_id=0xDEF, parent_span_id=0, sampled=True)


@pytest.fixture
async def collector():
    async with OtlpCollector() as collector:
        yield collector


def step(name, start, end, *children, error="", **attributes):
    return Step(name=name, start_ns=start, end_ns=end, error=error, attributes=attributes, children=list(children))


async def test_a_tree_of_steps_arrives_as_a_tree_of_spans(collector):
    root = step(
        "chat",
        1_000,
        9_000,
        step("route", 2_000, 3_000, candidates=2),
        step("generate", 4_000, 8_000, step("attempt", 5_000, 7_000, upstream="openai", retried=True)),
    )
    with open_spans(collector.endpoint, "gateway", "1.2.3") as emitter:
        assert emitter.is_on
        emitter.emit(TRACE, root, {"gen_ai.request.model": "fast", "finish": ["stop"], "cost": 7, "ratio": 0.5})
    spans = await collector.trace(TRACE.trace_id_hex, at_least=4)
    assert [(span.name, span.start_ns, span.end_ns) for span in spans] == [
        ("chat", 1_000, 9_000),
        ("route", 2_000, 3_000),
        ("generate", 4_000, 8_000),
        ("attempt", 5_000, 7_000),
    ]
    chat, route, generate, attempt = spans
    assert (chat.span_id, chat.parent_span_id, chat.kind) == (f"{TRACE.span_id:016x}", "", "SERVER")
    assert [route.parent_span_id, generate.parent_span_id] == [chat.span_id] * 2
    assert attempt.parent_span_id == generate.span_id
    assert len({span.span_id for span in spans}) == 4
    assert [span.kind for span in spans[1:]] == ["INTERNAL", "INTERNAL", "CLIENT"]
    assert chat.attributes == {"gen_ai.request.model": "fast", "finish": ("stop",), "cost": 7, "ratio": 0.5}
    assert attempt.attributes == {"upstream": "openai", "retried": True}
    for span in spans:
        assert (span.resource["service.name"], span.resource["service.version"]) == ("gateway", "1.2.3")
        assert span.error == ""


async def test_a_trace_from_outside_hangs_under_its_parent(collector):
    trace = TraceContext(trace_id=1, span_id=2, parent_span_id=3, sampled=True)
    with open_spans(collector.endpoint, "gateway", "1") as emitter:
        emitter.emit(trace, step("chat", 1, 2), {})
    (span,) = await collector.trace(f"{1:032x}")
    assert (span.span_id, span.parent_span_id) == (f"{2:016x}", f"{3:016x}")


async def test_a_failed_step_is_a_failed_span_with_its_kind_of_error(collector):
    root = step(
        "chat", 1, 9, step("attempt", 2, 3, error="UPSTREAM_TIMEOUT", upstream="openai"), error="UPSTREAM_FAILED"
    )
    with open_spans(collector.endpoint, "gateway", "1") as emitter:
        emitter.emit(TRACE, root, {"a": 1})
    chat, attempt = await collector.trace(TRACE.trace_id_hex, at_least=2)
    assert (chat.error, chat.attributes) == ("UPSTREAM_FAILED", {"a": 1, "error.type": "UPSTREAM_FAILED"})
    assert attempt.attributes == {"upstream": "openai", "error.type": "UPSTREAM_TIMEOUT"}
    assert root.children[0].attributes == {"upstream": "openai"}


async def test_a_step_that_never_ended_is_a_span_without_length(collector):
    with open_spans(collector.endpoint, "gateway", "1") as emitter:
        emitter.emit(TRACE, step("chat", 5, 0), {})
    (span,) = await collector.trace(TRACE.trace_id_hex)
    assert (span.start_ns, span.end_ns) == (5, 5)


async def test_leaving_sends_what_was_emitted_last(collector):
    with open_spans(collector.endpoint, "gateway", "1") as emitter:
        for number in range(1, 1001):
            emitter.emit(TraceContext(number, number, 0, sampled=True), step("chat", 1, 2), {})
    assert len(collector.spans) == 1000


async def test_without_an_address_nothing_is_on_and_nothing_is_sent():
    with open_spans("", "gateway", "1") as emitter:
        assert not emitter.is_on
        emitter.emit(TRACE, step("chat", 1, 2), {})
    assert not NoSpans().is_on


async def test_a_collector_that_is_away_delays_the_end_by_seconds_only():
    async with OtlpCollector() as gone:
        endpoint = gone.endpoint
    start = time.monotonic()
    with open_spans(endpoint, "gateway", "1") as emitter:
        emitter.emit(TRACE, step("chat", 1, 2), {})
    assert time.monotonic() - start < 60


async def test_the_collector_says_what_came_where_more_was_expected(collector):
    with open_spans(collector.endpoint, "gateway", "1") as emitter:
        emitter.emit(TRACE, step("chat", 1, 2), {})
    with pytest.raises(TimeoutError, match=r"2 spans of trace .*abc expected, got \['chat'\]"):
        await collector.trace(TRACE.trace_id_hex, at_least=2, timeout_seconds=0.05)


@pytest.mark.parametrize("listens", [True, False], ids=["hangs", "is not there"])
@pytest.mark.timeout(30)  # unbounded, leaving would take 10 s for each of four batches
def test_leaving_does_not_wait_for_a_collector_that(listens):
    with socket.socket() as place:
        place.bind(("127.0.0.1", 0))
        if listens:
            place.listen()
        with open_spans(f"http://127.0.0.1:{place.getsockname()[1]}", "gateway", "1") as emitter:
            for number in range(2048):
                emitter.emit(TRACE, step("chat", number, number + 1), {})
