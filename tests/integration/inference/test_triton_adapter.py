"""Triton's adapter, before a programmable server that has the vLLM backend's tensors."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import grpc
import pytest
from msgspec.structs import replace

from penstock_common import errors
from penstock_common.llm.types import (
    Candidate,
    FinishReason,
    Image,
    JsonObject,
    Message,
    Role,
    SamplingParams,
    Text,
    Tool,
    ToolCall,
    UnsupportedFields,
    Usage,
)
from penstock_common.testing.generations import QUESTION
from penstock_common.testing.triton_upstream import TensorAnswer, TensorError, TritonUpstream
from penstock_inference.adapters.providers.triton.request import (
    CHATML,
    ChatTemplate,
    TritonModel,
    request_from_input,
)
from penstock_inference.domain.unsupported import FieldPolicy


@pytest.fixture
async def triton():
    async with TritonUpstream() as upstream:
        yield upstream


def triton_settings(upstream: TritonUpstream, **more: Any) -> dict[str, Any]:
    """Return the settings of ``gpu`` with one model ``m``."""
    model = {"name": "m", "context_window": 512, **more.pop("model", {})}
    return {"name": "gpu", "provider": "triton", "grpc": upstream.target, "models": [model], **more}


@pytest.fixture
async def gpu(serve, triton, first):
    """The service before ``gpu/m`` and ``first/m``."""
    return await serve(triton.settings("gpu"), first.settings("first"))


async def test_an_answer_streams_with_the_backends_token_counts(gpu):
    outcome = await gpu.ask("gpu/m")
    assert outcome.answer.text == "Hello, world."
    assert len(outcome.events) == 4 + 3
    assert outcome.answer.usage == Usage(input_tokens=7, output_tokens=4)
    assert outcome.answer.finished is not None
    assert outcome.answer.finished.reason is FinishReason.STOP
    assert outcome.answer.finished.answered_by == Candidate(upstream="gpu", model="m")


async def test_cached_input_tokens_are_told_where_the_backend_counts_them(gpu, triton):
    triton.enqueue(TensorAnswer(input_tokens=40, cached_input_tokens=32))
    usage = (await gpu.ask("gpu/m")).answer.usage
    assert usage == Usage(input_tokens=40, output_tokens=4, cached_input_tokens=32)


@pytest.mark.parametrize(
    "message", ["the request queue is full: 512 requests wait", "Exceeds maximum queue size of model 'm'"]
)
async def test_a_full_queue_fails_over_and_is_a_limit_where_nobody_else_is(message: str, gpu, triton):
    triton.enqueue(TensorError(message), *[TensorError(message)] * 2)
    assert (await gpu.ask("gpu/m", "first/m")).outcomes == ["gpu rate_limited", "first answered"]
    assert isinstance((await gpu.ask("gpu/m")).error, errors.RateLimited)


async def test_the_request_has_the_tensors_of_the_vllm_backend(gpu, triton):
    sampling = SamplingParams(
        temperature=0.5, top_p=0.9, top_k=4, max_output_tokens=9, stop=("\n", "END"), seed=-3, presence_penalty=0.25
    )
    await gpu.ask("gpu/m", value=replace(QUESTION, sampling=sampling))
    (request,) = triton.requests
    assert request.model == "m"
    flags = {name: value for name, value in request.inputs.items() if isinstance(value, bool)}
    assert flags == {
        "stream": True,
        "exclude_input_in_output": True,
        "return_finish_reason": True,
        "return_num_input_tokens": True,
        "return_num_output_tokens": True,
    }
    assert request.sampling_parameters == {
        "temperature": 0.5,
        "top_p": 0.9,
        "top_k": 4,
        "max_tokens": 9,
        "stop": ["\n", "END"],
        "seed": -3,
        "presence_penalty": 0.25,
    }


async def test_max_tokens_is_the_window_where_the_caller_says_nothing(gpu, triton):
    await gpu.ask("gpu/m")
    assert triton.requests[0].sampling_parameters == {"max_tokens": 512}


async def test_the_prompt_is_chatml_where_no_template_is_named(gpu, triton):
    messages = (
        Message(role=Role.SYSTEM, parts=(Text(text="Be brief."),)),
        Message(role=Role.USER, parts=(Text(text="Hi<|im_end|>"), Text(text="?"))),
    )
    await gpu.ask("gpu/m", value=replace(QUESTION, messages=messages))
    assert triton.requests[0].inputs["text_input"] == (
        "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHi< |im_end|>?<|im_end|>\n<|im_start|>assistant\n"
    )


async def test_the_models_own_template_is_used(serve, triton, tmp_path: Path):
    template = tmp_path / "template.jinja"
    template.write_text("{% for m in messages %}[{{ m.role }}] {{ m.content }}\n{% endfor %}{{ bos_token }}>")
    caller = await serve(triton.settings("gpu", model={"chat_template": str(template)}))
    await caller.ask("gpu/m")
    assert triton.requests[0].inputs["text_input"] == "[user] Hi?\n>"


async def test_a_template_that_refuses_makes_the_request_invalid(serve, triton, tmp_path: Path):
    template = tmp_path / "template.jinja"
    template.write_text("{{ raise_exception('roles must alternate') }}")
    caller = await serve(triton.settings("gpu", model={"chat_template": str(template)}))
    outcome = await caller.ask("gpu/m")
    assert isinstance(outcome.error, errors.InvalidRequest)
    assert "roles must alternate" in outcome.error.message


async def test_an_old_backend_answers_with_an_estimate(gpu, triton):
    triton.enqueue(TensorAnswer(old_backend=True))
    outcome = await gpu.ask("gpu/m")
    assert outcome.answer.text == "Hello, world."
    assert outcome.answer.usage is not None
    assert outcome.answer.usage.estimated


async def test_a_character_cut_between_tokens_stays_whole(gpu, triton):
    raw = "é👋".encode()
    triton.enqueue(TensorAnswer(tokens=[raw[:1], raw[1:4], raw[4:]]))
    assert (await gpu.ask("gpu/m")).answer.text == "é👋"


async def test_length_is_told(gpu, triton):
    triton.enqueue(TensorAnswer(finish_reason="length"))
    outcome = await gpu.ask("gpu/m")
    assert outcome.answer.finished is not None
    assert outcome.answer.finished.reason is FinishReason.LENGTH


async def test_a_conversation_too_long_carries_the_sizes(gpu, triton):
    triton.enqueue(TensorError("context length exceeded: 612 input tokens, maximum 512"))
    outcome = await gpu.ask("gpu/m")
    assert isinstance(outcome.error, errors.ContextLengthExceeded)
    assert (outcome.error.input_tokens, outcome.error.max_input_tokens) == (612, 512)


async def test_a_conversation_too_long_goes_to_a_larger_window(gpu, triton):
    triton.enqueue(TensorError("context length exceeded: 612 input tokens, maximum 512"))
    outcome = await gpu.ask("gpu/m", "first/m")
    assert outcome.outcomes == ["gpu context_length", "first answered"]


@pytest.mark.parametrize(
    ("behaviour", "outcome_there"),
    [
        (TensorError("Request for unknown model: 'm' is not found"), "misconfigured"),
        (TensorAnswer(tokens=[], status=grpc.StatusCode.NOT_FOUND), "misconfigured"),
        (TensorAnswer(tokens=[], status=grpc.StatusCode.PERMISSION_DENIED), "credentials"),
    ],
)
async def test_a_server_that_cannot_serve_the_model_fails_over(
    behaviour: TensorAnswer | TensorError, outcome_there: str, gpu, triton
):
    triton.enqueue(behaviour)
    outcome = await gpu.ask("gpu/m", "first/m")
    assert outcome.outcomes == [f"gpu {outcome_there}", "first answered"]


@pytest.mark.parametrize(
    ("behaviour", "outcome_there"),
    [
        (TensorError("CUDA out of memory"), "server_error"),
        (TensorAnswer(tokens=[], status=grpc.StatusCode.INTERNAL), "server_error"),
        (TensorAnswer(tokens=[], status=grpc.StatusCode.UNAVAILABLE), "connect"),
    ],
)
async def test_a_passing_failure_is_retried_once(
    behaviour: TensorAnswer | TensorError, outcome_there: str, gpu, triton
):
    triton.enqueue(behaviour)
    outcome = await gpu.ask("gpu/m")
    assert outcome.outcomes == [f"gpu {outcome_there}", "gpu answered"]


@pytest.mark.parametrize(
    "behaviour",
    [
        TensorError("CUDA out of memory", tokens=["Hello, "]),
        TensorAnswer(tokens=["Hello, "], status=grpc.StatusCode.UNAVAILABLE),
        TensorAnswer(tokens=["Hello, "], finish_reason=""),
        TensorAnswer(tokens=["Hello, "], finish_reason="abort"),
    ],
)
async def test_a_fault_within_the_answer_ends_it_with_an_error(behaviour: TensorAnswer | TensorError, gpu, triton):
    triton.enqueue(behaviour)
    outcome = await gpu.ask("gpu/m", "first/m", may_recover=False)
    assert isinstance(outcome.error, errors.UpstreamFailed)
    assert "7 characters" in outcome.error.message
    assert outcome.answer.text == "Hello, "


async def test_a_refused_connection_fails_over_at_once(gpu, triton):
    await triton.__aexit__(None, None, None)
    outcome = await gpu.ask("gpu/m", "first/m")
    assert outcome.outcomes == ["gpu connect", "gpu connect", "first answered"]
    await triton.__aenter__()


@pytest.mark.parametrize(
    ("parameter", "value"),
    [
        ("input.tools", replace(QUESTION, tools=(Tool(name="f"),))),
        (
            "input.tools",
            replace(
                QUESTION,
                messages=(Message(role=Role.ASSISTANT, tool_calls=(ToolCall(id="1", name="f", arguments_json="{}"),)),),
            ),
        ),
        ("input.response_format", replace(QUESTION, response_format=JsonObject())),
        (
            "input.messages[0].parts[0]",
            replace(QUESTION, messages=(Message(role=Role.USER, parts=(Image(data=b"x"),)),)),
        ),
        ("input.sampling.top_logprobs", replace(QUESTION, sampling=SamplingParams(top_logprobs=2))),
        ("input.sampling.reasoning_effort", replace(QUESTION, sampling=SamplingParams(reasoning_effort="low"))),
        ("input.sampling.choices", replace(QUESTION, sampling=SamplingParams(choices=2))),
        ("input.extra_json.min_p", replace(QUESTION, extra_json='{"min_p": 0.1}')),
    ],
)
async def test_what_the_tensors_cannot_say_is_refused(parameter: str, value: Any, gpu, triton):
    outcome = await gpu.ask("gpu/m", value=value)
    assert isinstance(outcome.error, errors.UnsupportedParameter)
    assert outcome.error.parameter == parameter
    assert triton.requests == []


def test_what_may_be_left_out_is_left_out_and_noted():
    value = replace(
        QUESTION,
        sampling=SamplingParams(top_logprobs=2, top_p=0, choices=1),
        extra_json='{"min_p": 0.1}',
        hints_json='{"user": "u", "store": false}',
    )
    policy = FieldPolicy(UnsupportedFields.DROP)
    request = request_from_input(value, "m", TritonModel(ChatTemplate(CHATML)), policy)
    assert policy.dropped == ("logprobs", "min_p", "user")
    # vLLM takes no 0.
    assert b'"top_p":1e-6' in request.raw_input_contents[1]


async def test_idle_fires_when_content_stops(serve, triton):
    triton.enqueue(TensorAnswer(tokens=["Hello"], stall=True))
    caller = await serve(triton.settings("gpu", timeouts={"idle": "100ms"}))
    outcome = await caller.ask("gpu/m")
    assert isinstance(outcome.error, errors.UpstreamTimeout)
    assert outcome.error.stage == "idle"
    await asyncio.wait_for(triton.requests[0].left.wait(), 60)


async def test_first_token_fires_when_the_server_is_silent(serve, triton):
    triton.enqueue(TensorAnswer(tokens=[], stall=True))
    caller = await serve(triton.settings("gpu", timeouts={"first_token": "100ms"}))
    outcome = await caller.ask("gpu/m")
    assert isinstance(outcome.error, errors.UpstreamTimeout)
    assert outcome.error.stage == "first_token"


@pytest.mark.parametrize("tokens", [[], ["Hello"]], ids=["before the first token", "mid-stream"])
async def test_cancelling_cancels_the_call_at_the_server(tokens: list[str], gpu, triton):
    triton.enqueue(TensorAnswer(tokens=tokens, stall=True))
    call = gpu.call("gpu/m")
    begun = asyncio.Event()

    async def read():
        async for _ in call:
            begun.set()

    reading = asyncio.ensure_future(read())
    request = await triton.next_request()
    if tokens:
        await begun.wait()
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    await asyncio.wait_for(request.left.wait(), 60)
    assert (await gpu.ask("gpu/m")).answer.text == "Hello, world."
