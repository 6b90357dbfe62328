"""One trace: every step of a request is a span below one root, and that root continues the caller's trace."""

from __future__ import annotations

import asyncio

import grpc
import pytest
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import (
    TraceServiceServicer,
    add_TraceServiceServicer_to_server,
)

from penstock.gateway.v1 import prompt_service_pb2
from penstock.gateway.v1.prompt_service_pb2_grpc import PromptServiceStub
from penstock.llm.v1 import message_pb2
from penstock_common.testing.openai_upstream import Answer, Failure

TRACE_ID, PARENT_ID = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
TRACEPARENT = {"traceparent": f"00-{TRACE_ID}-{PARENT_ID}-01"}
UNSAMPLED = {"traceparent": f"00-{TRACE_ID}-{PARENT_ID}-00"}


class Collector(TraceServiceServicer):
    """An OTLP collector that keeps spans."""

    def __init__(self):
        self.spans = []

    async def Export(self, request, context):
        self.spans += [
            span for resource in request.resource_spans for scope in resource.scope_spans for span in scope.spans
        ]
        return trace_service_pb2.ExportTraceServiceResponse()


@pytest.fixture
async def collector(document):
    collector = Collector()
    server = grpc.aio.server()
    add_TraceServiceServicer_to_server(collector, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    document["telemetry"] = {"otlp": f"http://127.0.0.1:{port}", "sample_ratio": 0, "parent_sampling": "always"}
    yield collector
    await server.stop(None)


@pytest.fixture
def spans_after(serve, collector):
    """A function that asks, closes the suite and returns the spans by name; ids in hex."""

    async def run(**options):
        suite = await serve()
        await suite.ask(**options)
        # Leaving flushes from a thread that waits for the collector in this loop.
        await suite.ledger_after_close()
        return collector.spans

    return run


def attributes(span):
    return {item.key: getattr(item.value, item.value.WhichOneof("value") or "string_value") for item in span.attributes}


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_every_step_is_a_child_of_the_root_that_continues_the_callers_trace(spans_after, stream, upstream):
    spans = await spans_after(headers=TRACEPARENT, stream=stream)
    assert {span.trace_id.hex() for span in spans} == {TRACE_ID}
    (root,) = [span for span in spans if span.parent_span_id.hex() == PARENT_ID]
    assert root.name == "chat fast"
    steps = [span for span in spans if span.parent_span_id == root.span_id]
    assert [span.name for span in sorted(steps, key=lambda span: span.start_time_unix_nano)] == [
        "authenticate", "validate", "admit", "route", "cache.lookup", "generate", "guard.output", "settle",
    ]  # fmt: skip
    (generate,) = [span for span in steps if span.name == "generate"]
    (attempt,) = [span for span in spans if span.name == "attempt"]
    assert attempt.parent_span_id == generate.span_id
    assert len({span.span_id for span in spans}) == len(spans)
    for span in spans:
        parents = [other for other in spans if other.span_id == span.parent_span_id]
        assert span is root or len(parents) == 1
        assert span.start_time_unix_nano <= span.end_time_unix_nano
        assert root.start_time_unix_nano <= span.start_time_unix_nano
        assert span.end_time_unix_nano <= root.end_time_unix_nano
    # The upstream's own spans would hang below ours.
    (asked,) = upstream.requests
    sent = asked.headers.get("traceparent", "")
    assert sent == "" or TRACE_ID in sent


async def test_root_says_what_the_conventions_and_the_ledger_say(spans_after):
    spans = await spans_after(headers={**TRACEPARENT, "x-request-id": "mine"})
    (root,) = [span for span in spans if span.parent_span_id.hex() == PARENT_ID]
    said = attributes(root)
    assert said["gen_ai.operation.name"] == "chat"
    assert (said["gen_ai.request.model"], said["gen_ai.response.model"]) == ("fast", "m1")
    assert (said["gen_ai.usage.input_tokens"], said["gen_ai.usage.output_tokens"]) == (7, 4)
    assert (said["penstock.tenant"], said["penstock.request_id"]) == ("demo", "mine")
    assert (said["penstock.cost_nano_usd"], said["penstock.cache"]) == (15_000, "miss")
    assert root.kind == root.SPAN_KIND_SERVER
    # Prompts are not captured unless somebody asks for it.
    assert "gen_ai.input.messages" not in said


# OpenTelemetry's conventions for generative AI, v1.41.0: what a client's span of inference, of embeddings or of retrieval may say.
OF_THE_CONVENTIONS = {
    "gen_ai.operation.name", "gen_ai.provider.name", "gen_ai.conversation.id", "gen_ai.output.type", "gen_ai.data_source.id",
    *(
        f"gen_ai.request.{name}"
        for name in (
            "model", "choice.count", "seed", "stream", "top_k", "max_tokens", "temperature", "top_p", "frequency_penalty",
            "presence_penalty", "stop_sequences", "encoding_formats",
        )
    ),
    *(f"gen_ai.response.{name}" for name in ("id", "model", "finish_reasons", "time_to_first_chunk")),
    *(
        f"gen_ai.usage.{name}"
        for name in (
            "input_tokens", "output_tokens", "cache_read.input_tokens", "cache_creation.input_tokens",
            "reasoning.output_tokens",
        )
    ),
    "gen_ai.input.messages", "gen_ai.output.messages", "gen_ai.system_instructions", "gen_ai.tool.definitions",
    "gen_ai.embeddings.dimension.count",
}  # fmt: skip
SAMPLING = {
    "max_tokens": 50, "temperature": 0.5, "top_p": 0.25, "seed": 7, "frequency_penalty": 0.125, "presence_penalty": -0.5,
}  # fmt: skip


async def test_names_are_those_of_the_conventions_and_say_what_was_asked_and_answered(spans_after, upstream):
    usage = {
        "prompt_tokens": 70, "completion_tokens": 40, "total_tokens": 110,
        "prompt_tokens_details": {"cached_tokens": 30}, "completion_tokens_details": {"reasoning_tokens": 9},
    }  # fmt: skip
    upstream.enqueue(Answer(tokens=["a", "b"], usage=usage))
    spans = await spans_after(headers=TRACEPARENT, stream=True, stop=["END"], **SAMPLING)
    names = {item.key for span in spans for item in span.attributes if item.key.startswith("gen_ai.")}
    assert names <= OF_THE_CONVENTIONS
    (root,) = [span for span in spans if span.parent_span_id.hex() == PARENT_ID]
    said = attributes(root)
    for name, value in SAMPLING.items():
        assert said[f"gen_ai.request.{name}"] == value
    assert [each.string_value for each in said["gen_ai.request.stop_sequences"].values] == ["END"]
    assert [each.string_value for each in said["gen_ai.response.finish_reasons"].values] == ["stop"]
    assert said["gen_ai.request.stream"] is True
    assert said["gen_ai.usage.cache_read.input_tokens"] == 30
    assert said["gen_ai.usage.reasoning.output_tokens"] == 9
    assert 0 < said["gen_ai.response.time_to_first_chunk"] < 60
    assert "gen_ai.usage.cache_creation.input_tokens" not in said
    (attempt,) = [span for span in spans if span.name == "attempt"]
    assert attempt.kind == attempt.SPAN_KIND_CLIENT
    asked = attributes(attempt)
    assert (asked["gen_ai.operation.name"], asked["gen_ai.request.model"]) == ("chat", "m1")
    assert asked["gen_ai.provider.name"] == said["gen_ai.provider.name"] == "openai_compatible"


async def test_failed_attempts_are_spans_beside_the_one_that_answered(spans_after, upstream):
    upstream.enqueue(*[Failure(503)] * 2)
    spans = await spans_after(headers=TRACEPARENT, model="safe")
    attempts = sorted((span for span in spans if span.name == "attempt"), key=lambda span: span.start_time_unix_nano)
    assert [attributes(span)["upstream"] for span in attempts] == ["first", "first", "second"]
    assert [bool(span.status.code) for span in attempts] == [True, True, False]


async def test_each_step_of_a_ladder_is_a_span_though_nobody_samples_the_request(spans_after, document, upstream):
    upstream.otherwise = lambda _: Failure(500)
    document["models"][0]["degradation"] = [{"stale_if_error": "1h"}, {"template": "Sorry."}]
    spans = await spans_after(headers=UNSAMPLED)
    steps = {span.name: attributes(span) for span in spans if span.name.startswith("degrade.")}
    assert steps == {
        "degrade.stale": {"cause": "UpstreamFailed", "result": "skipped", "reason": "no answer is kept"},
        "degrade.template": {"cause": "UpstreamFailed", "result": "taken", "reason": ""},
    }
    (root,) = [span for span in spans if span.parent_span_id.hex() == PARENT_ID]
    assert attributes(root)["penstock.degraded"] == "template"


async def test_request_that_nobody_samples_leaves_no_span(spans_after):
    assert await spans_after(headers=UNSAMPLED) == []


async def test_request_that_failed_by_our_fault_is_traced_though_nobody_samples_it(spans_after, upstream):
    upstream.enqueue(*[Failure(503)] * 4)
    spans = await spans_after(headers=UNSAMPLED)
    (root,) = [span for span in spans if span.parent_span_id.hex() == PARENT_ID]
    assert root.status.code == root.status.STATUS_CODE_ERROR
    assert attributes(root)["error.type"] == "upstream_failed"


async def test_content_is_captured_when_asked_for(spans_after, document):
    document["telemetry"]["capture_content"] = True
    spans = await spans_after(text="my secret", headers=TRACEPARENT)
    (root,) = [span for span in spans if span.parent_span_id.hex() == PARENT_ID]
    assert "my secret" in attributes(root)["gen_ai.input.messages"]


async def test_answer_is_traced_up_to_the_point_where_its_reader_left(serve, collector, upstream, hold):
    suite = await serve()
    upstream.enqueue(Answer(hold={2: hold}))
    body = {"model": "fast", "messages": [{"role": "user", "content": "Hi"}], "stream": True}
    head = {"x-api-key": suite.KEY, **TRACEPARENT}
    async with suite.http.post("http://penstock/v1/chat/completions", json=body, headers=head) as response:
        await response.content.readuntil(b"\n\n")
        response.close()
        async with asyncio.timeout(60):
            await upstream.requests[0].left.wait()
    await suite.ledger_after_close()
    (generate,) = [span for span in collector.spans if span.name == "generate"]
    assert attributes(generate)["error.type"] == "interrupted"


async def test_prompts_version_and_its_steps_are_in_the_trace(serve, collector):
    suite = await serve()
    stub, metadata = PromptServiceStub(suite.channel), (("authorization", f"Bearer {suite.OPERATOR_KEY}"),)
    template = prompt_service_pb2.PromptTemplate(messages=[{"role": message_pb2.ROLE_SYSTEM, "text": "Be kind."}])
    request = prompt_service_pb2.CreatePromptVersionRequest(
        tenant="demo", name="greet", template=template, labels=["production"]
    )
    await stub.CreatePromptVersion(request, metadata=metadata, timeout=30)
    await suite.ask(headers=TRACEPARENT, prompt={"id": "greet"})
    await suite.ledger_after_close()
    (root,) = [span for span in collector.spans if span.parent_span_id.hex() == PARENT_ID]
    assert attributes(root)["penstock.prompt"] == "greet@1"
    assert {"prompt", "prompt.render"} <= {span.name for span in collector.spans}
