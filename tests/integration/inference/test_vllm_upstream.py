"""What a vLLM server is told beside OpenAI's fields: a salt for each tenant, a priority, reasoning under its own name."""

import hashlib
import hmac
from typing import Any

import pytest
from msgspec.structs import replace

from penstock_common.llm.types import Message, Reasoning, Role, Text
from penstock_common.priority import Priority
from penstock_common.rpc.scope import CURRENT_SCOPE, RequestScope
from penstock_common.testing.generations import QUESTION
from penstock_common.testing.openai_upstream import Answer
from penstock_inference.adapters.providers.registry import PROVIDERS

SECRET = "a secret of more than thirty-two characters"


async def asked(caller: Any, upstream: Any, value: Any = QUESTION, whole: bool = False, **scope: Any) -> dict[str, Any]:
    """Return the body that the server got."""
    token = CURRENT_SCOPE.set(RequestScope(**scope))
    try:
        outcome = await caller.ask("first/m", value=value, whole=whole)
    finally:
        CURRENT_SCOPE.reset(token)
    assert outcome.error is None
    return upstream.requests[-1].body


def salt(tenant: str, secret: str = SECRET) -> str:
    return hmac.new(secret.encode(), tenant.encode(), hashlib.sha256).hexdigest()


@pytest.mark.parametrize("whole", [False, True], ids=["streamed", "whole"])
async def test_each_tenant_has_a_salt_of_its_own(whole, serve, first):
    caller = await serve(first.settings("first", provider="vllm", cache_salt_secret=SECRET))
    salts = [(await asked(caller, first, whole=whole, tenant=tenant))["cache_salt"] for tenant in ("a", "b", "a", "")]
    assert salts == [salt("a"), salt("b"), salt("a"), salt("")]
    assert all("acme" not in str(request.headers) for request in first.requests)


async def test_a_callers_own_salt_does_not_stand(serve, first):
    caller = await serve(first.settings("first", provider="vllm", cache_salt_secret=SECRET))
    value = replace(QUESTION, extra_json=f'{{"cache_salt":"{salt("b")}"}}')
    assert (await asked(caller, first, value, tenant="a"))["cache_salt"] == salt("a")


async def test_without_a_secret_a_callers_own_passes(serve, first):
    caller = await serve(first.settings("first", provider="vllm"))
    value = replace(QUESTION, extra_json='{"cache_salt":"mine"}')
    assert (await asked(caller, first, value, tenant="a"))["cache_salt"] == "mine"
    assert "cache_salt" not in await asked(caller, first, tenant="a")


async def test_a_priority_is_said_where_that_is_declared(serve, first):
    caller = await serve(first.settings("first", provider="vllm", sends_priority=True))
    said = [(await asked(caller, first, priority=priority))["priority"] for priority in Priority]
    # The first is served first.
    assert said == [1, 2, 3]
    assert "cache_salt" not in first.requests[0].body


async def test_elsewhere_it_is_neither_said_nor_a_callers_to_say(serve, first):
    caller = await serve(first.settings("first", provider="vllm"))
    assert "priority" not in await asked(caller, first, priority=Priority.CRITICAL)
    outcome = await caller.ask("first/m", value=replace(QUESTION, extra_json='{"priority":-9}'))
    assert "priority" in str(outcome.error)


@pytest.mark.parametrize("field", ["reasoning", "reasoning_content"])
async def test_reasoning_comes_under_either_name_and_goes_back_under_the_new_one(field, serve, first):
    caller = await serve(first.settings("first", provider="vllm"))
    first.enqueue(Answer(reasoning=["Hm, ", "well."], reasoning_field=field, tokens=["So."]))
    turn = (await caller.ask("first/m")).answer.message()
    assert turn.parts == (Reasoning(text="Hm, well."), Text(text="So."))
    again = Message(role=Role.USER, parts=(Text(text="And?"),))
    body = await asked(caller, first, replace(QUESTION, messages=(*QUESTION.messages, turn, again)))
    assert body["messages"][1] == {"role": "assistant", "content": "So.", "reasoning": "Hm, well."}


async def test_structured_outputs_pass_and_nothing_is_null(serve, first):
    caller = await serve(first.settings("first", provider="vllm", cache_salt_secret=SECRET))
    extra = '{"structured_outputs":{"regex": "a+"},"min_p":null,"chat_template_kwargs":{"enable_thinking":false}}'
    await asked(caller, first, replace(QUESTION, extra_json=extra))
    sent = first.requests[-1].raw_body
    assert b'"structured_outputs":{"regex": "a+"},"chat_template_kwargs":{"enable_thinking":false}' in sent
    assert b"null" not in sent


def settings(**more: Any) -> Any:
    values = {
        "name": "a",
        "provider": "vllm",
        "base_url": "http://gpu/v1",
        "models": [{"name": "m", "context_window": 9}],
    }
    return PROVIDERS["vllm"].settings.model_validate({**values, **more})


def test_a_secret_that_can_be_guessed_is_refused():
    with pytest.raises(ValueError, match="32 characters"):
        settings(cache_salt_secret="short")


def test_another_secret_is_another_upstream():
    assert settings(cache_salt_secret=SECRET).makings() != settings(cache_salt_secret=SECRET[::-1]).makings()


def test_others_have_no_such_settings():
    with pytest.raises(ValueError, match="cache_salt_secret"):
        PROVIDERS["openai_compatible"].settings.model_validate(
            {**settings().model_dump(), "provider": "openai_compatible", "cache_salt_secret": SECRET}
        )
