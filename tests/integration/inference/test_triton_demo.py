"""The demonstration models on a real Triton server, started without Docker."""

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
    models = [
        {"name": "penstock-demo", "context_window": 512, "chat_template": str(TEMPLATE)},
        {"name": "penstock-script", "context_window": 8192},
    ]
    target = await start_triton(REPOSITORY, ["penstock-demo", "penstock-script"])
    return await serve({"name": "local", "provider": "triton", "grpc": target, "models": models})


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

    await check_the_script(demo)

    call = demo.call("local/penstock-demo", value=question("What is Penstock?"))
    await anext(aiter(call))
    await call.aclose()
    outcome = await demo.ask("local/penstock-demo", value=question("What is Triton?"))
    assert outcome.error is None


async def check_the_script(demo):
    async def ask(text="Write a function.", **sampling):
        return await demo.ask("local/penstock-script", value=question(text, **sampling))

    whole = await ask(temperature=0.7, seed=3)
    assert "models[].routes" in whole.answer.text
    assert whole.answer.finished.reason is FinishReason.STOP
    usage = whole.answer.usage
    assert (usage.output_tokens, usage.estimated) == (len(whole.answer.text.split()), False)
    # A piece for each word, and the events of a usage and an end.
    assert len(whole.events) > usage.output_tokens > 20

    short = (await ask(max_output_tokens=3)).answer
    assert (short.text, short.finished.reason) == ("This stack has", FinishReason.LENGTH)
    assert short.usage.output_tokens == 3
    stopped = (await ask(stop=("nowhere", " small"))).answer
    assert (stopped.text, stopped.finished.reason) == ("This stack has one", FinishReason.STOP)
    nothing = (await ask(stop=("This",))).answer
    assert (nothing.text, nothing.usage.output_tokens) == ("", 0)

    longer = (await ask("word " * 8000)).answer
    assert longer.usage.input_tokens > 8000
    outcome = await ask("word " * 9000)
    assert isinstance(outcome.error, errors.ContextLengthExceeded)
    assert (outcome.error.input_tokens > 9000, outcome.error.max_input_tokens) == (True, 8192)
    outcome = await ask(temperature=-1.0)
    assert isinstance(outcome.error, errors.InvalidRequest)
