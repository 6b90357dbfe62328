"""The demonstration model on a real Triton server, started without Docker."""

from pathlib import Path

import pytest
from msgspec.structs import replace

from penstock_common import errors
from penstock_common.llm.types import FinishReason, Message, Role, SamplingParams, Text
from penstock_common.testing.generations import QUESTION

REPOSITORY = Path(__file__).parents[3] / "deploy" / "triton" / "repository"
TEMPLATE = REPOSITORY / "penstock-demo" / "chat_template.jinja"


@pytest.fixture
async def demo(serve, start_triton):
    model = {"name": "penstock-demo", "context_window": 512, "chat_template": str(TEMPLATE)}
    target = await start_triton(REPOSITORY, ["penstock-demo"])
    return await serve({"name": "local", "provider": "triton", "grpc": target, "models": [model]})


def question(text, **sampling):
    message = Message(role=Role.USER, parts=(Text(text=text),))
    return replace(QUESTION, messages=(message,), sampling=SamplingParams(**sampling))


@pytest.mark.timeout(180)
async def test_the_demonstration_model_answers_refuses_and_stops_when_cancelled(demo):
    # One server for all: it takes seconds to start.
    outcome = await demo.ask("local/penstock-demo", value=question("What is Penstock?"))
    assert outcome.error is None
    assert "Penstock" in outcome.answer.text
    assert outcome.answer.finished.reason is FinishReason.STOP
    usage = outcome.answer.usage
    assert usage.input_tokens > 0
    assert usage.output_tokens > 3
    assert not usage.estimated
    assert len(outcome.events) > 5

    first, again = [
        (await demo.ask("local/penstock-demo", value=question("What does the router do with each request?"))).answer
        for _ in range(2)
    ]
    assert again.text == first.text
    assert first.usage.cached_input_tokens < 8 <= again.usage.cached_input_tokens < again.usage.input_tokens

    outcome = await demo.ask("local/penstock-demo", value=question("What is Penstock?", max_output_tokens=3))
    assert outcome.answer.finished.reason is FinishReason.LENGTH
    assert outcome.answer.usage.output_tokens == 3

    outcome = await demo.ask("local/penstock-demo", value=question("word " * 600))
    assert isinstance(outcome.error, errors.ContextLengthExceeded)
    assert outcome.error.max_input_tokens > 0
    assert outcome.error.input_tokens > outcome.error.max_input_tokens

    outcome = await demo.ask("local/penstock-demo", value=question("Hi", temperature=-1.0))
    assert isinstance(outcome.error, errors.InvalidRequest)

    call = demo.call("local/penstock-demo", value=question("What is Penstock?"))
    await anext(aiter(call))
    await call.aclose()
    outcome = await demo.ask("local/penstock-demo", value=question("What is Triton?"))
    assert outcome.error is None
