"""One request is one trace, and the numbers are there."""

from __future__ import annotations

import asyncio
import json
import re
import uuid

import pytest

from penstock_common.testing.openai_upstream import Answer, Failure

# The edge and the gateway export in batches, every five seconds by OpenTelemetry's default.
EXPORTED_WITHIN_SECONDS = 90.0
STEPS = [
    "authenticate",
    "validate",
    "admit",
    "route",
    "cache.lookup",
    "generate",
    "guard.output",
    "settle",
]


def service_of(span) -> str:
    return span.resource["service.name"]


def trace_with(collector, request_id: str) -> list:
    """Return the spans of the trace that the request is in, as far as they have come, oldest first."""
    ids = {span.trace_id for span in collector.spans if span.attributes.get("penstock.request_id") == request_id}
    return sorted((span for span in collector.spans if span.trace_id in ids), key=lambda span: span.start_ns)


async def trace_of(collector, wait, request_id: str, ends: str = "settle"):
    """Return the request's spans once edge and gateway have exported theirs."""

    def complete():
        spans = trace_with(collector, request_id)
        services = {service_of(span) for span in spans}
        return spans if len(services) > 1 and any(span.name == ends for span in spans) else None

    spans = await wait(complete, EXPORTED_WITHIN_SECONDS)
    assert spans, trace_with(collector, request_id)
    return spans


async def answers_on_every_surface(stack) -> list:
    answers = [await stack.ask(f"trace {uuid.uuid4()}", stream=stream) for stream in (False, True)]
    for path in ("/api/v1/chat", "/api/v1/chat:stream"):
        turn = {"role": "ROLE_USER", "parts": [{"text": f"trace {uuid.uuid4()}"}]}
        answers.append(await stack.request("POST", path, json={"input": {"model": "fast", "messages": [turn]}}))
    return answers


async def test_one_request_is_one_trace_on_every_surface(stack, first, collector, wait):
    for answer in await answers_on_every_surface(stack):
        assert answer.status == 200
        request_id = answer.header["x-request-id"]
        spans = await trace_of(collector, wait, request_id)
        assert len({span.trace_id for span in spans}) == 1
        assert answer.header["traceparent"].split("-")[1] == spans[0].trace_id
        (edge,) = [span for span in spans if service_of(span) == "penstock-edge"]
        (root,) = [span for span in spans if span.name == "chat fast"]
        assert not edge.parent_span_id
        assert root.parent_span_id == edge.span_id
        check_steps(spans, edge, root)
        assert root.attributes["penstock.request_id"] == edge.attributes["penstock.request_id"] == request_id
        assert root.attributes["penstock.tenant"] == "app"
        assert root.attributes["gen_ai.usage.output_tokens"] == 4
        assert root.attributes["gen_ai.response.model"] == "first-1"
        row = await stack.ledger_row(request_id=request_id)
        assert row["generation_id"] == root.attributes["gen_ai.response.id"]


def check_steps(spans, edge, root) -> None:
    by_id = {span.span_id: span for span in spans}
    assert [span.name for span in spans if span.parent_span_id == root.span_id] == STEPS
    (attempt,) = [span for span in spans if span.name.startswith("attempt")]
    assert by_id[attempt.parent_span_id].name == "generate"
    for span in spans:
        if span is not edge:
            parent = by_id[span.parent_span_id]
            assert parent.start_ns <= span.start_ns <= span.end_ns, (span, parent)
            # Only within a process is there an order of ends.
            assert parent is not root or span.end_ns <= root.end_ns, (span, root)


async def test_a_trace_from_outside_is_continued(stack, first, collector, wait):
    trace_id, parent_id = uuid.uuid4().hex, uuid.uuid4().hex[:16]
    request_id = f"outside-{uuid.uuid4()}"
    headers = {"traceparent": f"00-{trace_id}-{parent_id}-01", "x-request-id": request_id}
    answer = await stack.ask(f"trace {uuid.uuid4()}", headers=headers)
    assert answer.header["x-request-id"] == request_id
    spans = await trace_of(collector, wait, request_id)
    assert {span.trace_id for span in spans} == {trace_id}
    (edge,) = [span for span in spans if service_of(span) == "penstock-edge"]
    assert edge.parent_span_id == parent_id
    assert (await stack.ledger_row(request_id=request_id))["tenant"] == "app"


async def test_a_trace_from_outside_is_continued_over_grpc(stack, caller, first, collector, wait):
    trace_id, parent_id = uuid.uuid4().hex, uuid.uuid4().hex[:16]
    request_id = f"outside-{uuid.uuid4()}"
    metadata = [("traceparent", f"00-{trace_id}-{parent_id}-01"), ("x-request-id", request_id)]
    call = caller.stream(f"trace {uuid.uuid4()}", metadata=metadata)
    assert [response async for response in call]
    assert dict(await call.initial_metadata())["x-request-id"] == request_id
    found = await wait(
        lambda: [s for s in trace_with(collector, request_id) if s.name == "chat fast"], EXPORTED_WITHIN_SECONDS
    )
    assert [(span.trace_id, span.parent_span_id) for span in found] == [(trace_id, parent_id)]


async def test_what_failed_is_in_the_trace(stack, broken, collector, wait):
    for server in broken:
        server.enqueue(*[Failure(500)] * 30)
    prompt = f"trace {uuid.uuid4()}"
    answer = await stack.ask(prompt, model="hopeless")
    assert answer.status == 502
    spans = await trace_of(collector, wait, answer.header["x-request-id"])
    attempts = [span for span in spans if span.name.startswith("attempt")]
    # Earlier failures may have put these upstreams out; the probes that look after them are not attempts.
    asked = [request for server in broken for request in server.requests if prompt.encode() in request.raw_body]
    assert len(attempts) == len(asked) >= 2
    assert all(span.attributes.get("error.type") for span in attempts)
    assert len({span.trace_id for span in spans}) == 1


async def test_one_request_is_found_in_a_metric_the_log_and_a_trace_by_one_id(
    stack, broken, collector, metrics_port, wait
):
    for server in broken:
        server.enqueue(*[Failure(500)] * 30)
    answer = await stack.ask(f"found {uuid.uuid4()}", model="hopeless")
    assert answer.status == 502
    request_id = answer.header["x-request-id"]
    spans = await trace_of(collector, wait, request_id)
    trace_id = spans[0].trace_id
    openmetrics = {"Accept": "application/openmetrics-text; version=1.0.0"}
    async with stack.session.get(f"http://127.0.0.1:{metrics_port}/metrics", headers=openmetrics) as response:
        lines = (await response.text()).splitlines()
    explained = [line for line in lines if f'# {{trace_id="{trace_id}"}}' in line]
    assert {line.partition("{")[0] for line in explained} == {
        "gen_ai_server_request_duration_seconds_bucket",
        "penstock_overhead_seconds_bucket",
    }
    assert any('model="hopeless"' in line and 'outcome="upstream_failed"' in line for line in explained)

    def logged():
        files = [stack.state.parent / "stderr", *stack.state.rglob("*.log")]
        told = [line for file in files for line in file.read_text().splitlines() if request_id in line]
        return [json.loads(line) for line in told if "request_failed" in line]

    (line,) = await wait(logged)
    assert (line["request_id"], line["trace_id"]) == (request_id, trace_id)


async def test_the_metrics_name_requests_tokens_cost_cache_latency_and_overhead(stack, first, metrics_port):
    async def scraped() -> dict[str, float]:
        async with stack.session.get(f"http://127.0.0.1:{metrics_port}/metrics") as response:
            assert response.status == 200
            found: dict[str, float] = {}
            for line in (await response.text()).splitlines():
                if line and not line.startswith("#"):
                    name, _, value = line.rpartition(" ")
                    found[re.sub(r"[,{]le=.*", "", name)] = float(value)
            return found

    before = await scraped()
    await stack.ask(f"metrics {uuid.uuid4()}", stream=True)
    after = await scraped()

    def grown(name: str) -> float:
        names = [full for full in after if full == name or full.startswith(name + "{")]
        return sum(after[full] - before.get(full, 0) for full in names)

    assert grown("penstock_requests_total") == 1
    assert grown("penstock_tokens_total") == 7 + 4
    assert grown("penstock_cost_usd_total") == pytest.approx((7 * 1 + 4 * 2) / 1e6)
    assert grown("penstock_cache_requests_total") == 1
    assert grown("gen_ai_server_request_duration_seconds_count") == 1
    assert grown("gen_ai_server_time_to_first_token_seconds_count") == 1
    assert grown("penstock_overhead_seconds_count") == 1
    in_flight = [value for name, value in after.items() if name.partition("{")[0] == "penstock_requests_in_flight"]
    assert in_flight == [0] * stack.gateways


async def test_a_gap_between_two_tokens_is_found_by_a_query(stack, first, collector, metrics_port, wait):
    goes_on = asyncio.Event()
    first.enqueue(Answer(tokens=["slow", " ", "thought"], hold={2: goes_on}))
    async with stack.open_stream(f"gap {uuid.uuid4()}") as response:
        assert response.status == 200
        request_id = response.headers["x-request-id"]
        text = b""
        while b"slow" not in text:
            text += await response.content.readany()
        # The gateway has it; what comes next comes a second later, or more.
        asyncio.get_running_loop().call_later(1.1, goes_on.set)
        text += await response.read()
    assert b"thought" in text
    spans = await trace_of(collector, wait, request_id)
    (root,) = [span for span in spans if span.name == "chat fast"]
    assert root.attributes["penstock.longest_gap_ms"] >= 1000
    assert root.attributes["penstock.longest_gap_from"] == "upstream"
    async with stack.session.get(f"http://127.0.0.1:{metrics_port}/metrics") as response:
        text = await response.text()
    found = re.findall(r"penstock_longest_gap_seconds_bucket\{([^}]*)\} (\S+)", text)
    of_upstream = {re.search(r'le="([^"]*)"', labels)[1]: float(value) for labels, value in found if 'came_from="upstream"' in labels and 'model="fast"' in labels}  # fmt: skip
    assert of_upstream["+Inf"] > of_upstream["1.0"]
