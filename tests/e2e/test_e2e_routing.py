"""What chooses and what is learned of it, through the public port: routes, policies, prompts, experiments, feedback."""

from __future__ import annotations

import re
import uuid

import pytest

from penstock_common.testing.openai_upstream import Answer

FACT = "What is the boiling point of water at sea level?"
CODE = "Write a Python function that merges two sorted lists, with type hints and a unit test."


async def test_a_prompt_goes_to_the_model_of_its_task_and_the_answer_says_why(stack, first, frail):
    fact = await stack.ask(FACT, model="chosen", headers={"x-penstock-cache": "no-store"})
    code = await stack.ask(CODE, model="chosen", headers={"x-penstock-cache": "no-store"})
    assert (fact.status, code.status) == (200, 200)
    assert fact.header["x-penstock-route"].startswith("fast; task=faq; ")
    assert code.header["x-penstock-route"].startswith("frail; task=code; ")
    assert (fact.header["x-penstock-upstream"], code.header["x-penstock-upstream"]) == ("first", "frail")
    row = await stack.ledger_row(request_id=code.header["x-request-id"])
    assert (row["requested_model"], row["upstream"], row["task"]) == ("chosen", "frail", "code")


async def test_a_rule_goes_by_the_language_of_the_prompt(stack, caller):
    head = {"x-penstock-cache": "no-store"}
    german = await stack.ask("Warum ist der Himmel am Abend rot?", model="spoken", headers=head)
    english = await stack.ask("Why is the sky red in the evening?", model="spoken", headers=head)
    assert (german.header["x-penstock-route"], english.header["x-penstock-route"]) == (
        "frail; by=rules.1",
        "fast; by=routes.default",
    )
    call = caller.chat("Wie weit ist der Mond von der Erde entfernt?", model="spoken", metadata=tuple(head.items()))
    assert (await call).message.parts[0].text
    assert dict(await call.initial_metadata())["x-penstock-route"] == "frail; by=rules.1"


async def test_a_rule_goes_by_the_time_of_day_and_the_reason_says_which(stack):
    body = {"input": {"model": "daily", "messages": [{"role": "ROLE_USER", "parts": [{"text": FACT}]}]}}
    found = await stack.request("POST", "/api/v1/routes:explain", json=body)
    assert found.status == 200, found.json
    plan = found.json["explanation"]["plan"]
    rule, model, hours = {
        "rules.1": (1, "fast", range(12)),
        "rules.2": (2, "frail", range(12, 24)),
    }[plan["decision"]["by"]]
    assert plan["decision"]["model"] == model
    told = re.match(rf"daily: {model} by rules\.{rule} \(\w{{3}} (\d\d):\d\d UTC\)", plan["reason"])
    assert told, plan["reason"]
    assert int(told[1]) in hours


async def test_a_route_is_explained_over_rest(stack):
    body = {"input": {"model": "chosen", "messages": [{"role": "ROLE_USER", "parts": [{"text": CODE}]}]}}
    found = await stack.request("POST", "/api/v1/routes:explain", json=body)
    assert found.status == 200
    explained = found.json["explanation"]
    assert explained["plan"]["decision"]["model"] == "frail"
    assert {view["model"] for view in explained["candidates"]} == {"fast", "frail"}
    narrow = await stack.request("POST", "/api/v1/routes:explain", key=stack.keys["narrow"], json=body)
    assert narrow.status == 404


async def test_a_request_says_by_what_candidates_are_put_in_order_and_is_told(stack, first, frail, caller):
    head = {"x-penstock-cache": "no-store", "x-penstock-policy": "cost"}
    own = await stack.ask(FACT, model="smart", headers={"x-penstock-cache": "no-store"})
    answered = await stack.ask(FACT, model="smart", headers=head)
    assert own.header["x-penstock-route"].startswith("smart; by=policy; policy=quality; at=quality 0.50")
    assert answered.header["x-penstock-route"].startswith("smart; by=policy; policy=cost; at=0.0")
    call = caller.chat(FACT, model="smart", metadata=tuple(head.items()))
    assert (await call).message.parts[0].text
    assert dict(await call.initial_metadata())["x-penstock-route"].startswith("smart; by=policy; policy=cost; at=0.0")
    wrong = await stack.ask(FACT, model="smart", headers={"x-penstock-policy": "cheapest"})
    assert wrong.status == 400


async def test_a_long_result_of_a_tool_is_made_shorter_where_the_request_says_so(stack, first):
    noise = [f"Row {at} of the inventory names a shelf, a box and a colour nobody asks for." for at in range(400)]
    noise[200] = "The warranty of the Kestrel pump lasts 37 months."
    called = {"id": "c1", "type": "function", "function": {"name": "look", "arguments": "{}"}}
    messages = [
        {"role": "user", "content": "How long is the warranty of the Kestrel pump?"},
        {"role": "assistant", "content": None, "tool_calls": [called]},
        {"role": "tool", "tool_call_id": "c1", "content": "\n".join(noise)},
    ]
    body = {"model": "fast", "messages": messages}
    head = {"x-penstock-compress": "on", "x-penstock-cache": "no-store"}
    answered = await stack.request("POST", "/v1/chat/completions", json=body, headers=head)
    assert answered.status == 200, answered.json
    saved = int(answered.header["x-penstock-compressed"].removeprefix("saved=").partition(";")[0])
    result = first.requests[-1].body["messages"][-1]["content"]
    assert noise[200] in result
    assert 0 < len(result) < 0.6 * len(messages[-1]["content"])
    row = await stack.ledger_row(request_id=answered.header["x-request-id"])
    assert row["compressed_tokens"] == saved > 0


@pytest.fixture
def operator_key(stack):
    return (stack.state / "operator-key").read_text().strip()


async def test_a_prompt_of_the_registry_is_rendered_and_named(stack, first, operator_key):
    name = f"greet-{uuid.uuid4().hex[:8]}"
    template = {
        "model": "fast",
        "messages": [{"role": "ROLE_USER", "text": "Greet {{who}}, as {{tone}} as you can."}],
        "variables": [{"name": "who"}, {"name": "tone", "default_value": "kind"}],
    }
    wanted = {"tenant": "app", "template": template, "labels": ["production"]}
    made = await stack.request("POST", f"/api/v1/prompts/{name}/versions", key=operator_key, json=wanted)
    assert made.status == 200, made.json
    body = {"prompt": {"id": name, "variables": {"who": "{{tone}}"}}}
    answered = await stack.request("POST", "/v1/chat/completions", json=body)
    assert answered.status == 200, answered.json
    assert answered.header["x-penstock-prompt"] == f"{name}@1"
    assert first.requests[-1].body["messages"][-1]["content"] == "Greet {{tone}}, as kind as you can."
    row = await stack.ledger_row(request_id=answered.header["x-request-id"])
    assert (row["prompt"], row["prompt_version"]) == (name, 1)
    others = await stack.request("POST", "/v1/chat/completions", key=stack.keys["other"], json=body)
    assert others.status == 404


async def test_a_user_keeps_the_variant_of_a_model_whichever_process_is_asked(stack, first, frail):
    async def variant(user):
        body = {"model": "tried", "user": user, "messages": [{"role": "user", "content": FACT}]}
        head = {"x-penstock-cache": "no-store"}
        answered = await stack.request("POST", "/v1/chat/completions", json=body, headers=head)
        return answered.header["x-penstock-experiment"], answered.header["x-penstock-upstream"]

    users = [f"user-{number}" for number in range(10)]
    told = [await variant(user) for user in users]
    assert set(told) == {("size=control", "first"), ("size=other", "frail")}
    assert [await variant(user) for user in users] == told


async def test_a_user_keeps_the_version_of_a_prompt_whichever_process_is_asked(stack, first, operator_key):
    for number in (1, 2):
        template = {"model": "fast", "messages": [{"role": "ROLE_SYSTEM", "text": f"Version {number}."}]}
        wanted = {"tenant": "app", "template": template, "labels": ["production"] if number == 1 else []}
        made = await stack.request("POST", "/api/v1/prompts/varied/versions", key=operator_key, json=wanted)
        assert made.status == 200, made.json

    async def version(user):
        body = {"prompt": {"id": "varied"}, "user": user, "messages": [{"role": "user", "content": FACT}]}
        answered = await stack.request("POST", "/v1/chat/completions", json=body)
        assert answered.status == 200, answered.json
        return answered.header["x-penstock-experiment"], answered.header["x-penstock-prompt"]

    users = [f"user-{number}" for number in range(10)]
    told = [await version(user) for user in users]
    assert set(told) == {("words=control", "varied@1"), ("words=second", "varied@2")}
    assert [await version(user) for user in users] == told
    found = await stack.request("GET", "/api/v1/experiments/words", key=operator_key)
    assert found.json["experiment"]["prompt"] == "varied"


async def test_feedback_is_kept_of_the_tenants_own_answers(stack, first, operator_key):
    first.enqueue(Answer(tokens=["Hm."]))
    answered = await stack.ask(f"feedback {uuid.uuid4().hex}")
    given = {"generation_id": answered.json["id"], "thumb": "THUMB_DOWN", "reason": "REASON_WRONG", "user": "ada"}
    head = {"idempotency-key": uuid.uuid4().hex}
    for _ in range(2):
        told = await stack.request("POST", "/api/v1/feedback", json=given, headers=head)
        assert told.status == 200, told.json
    other = await stack.request("POST", "/api/v1/feedback", key=stack.keys["other"], json=given)
    assert other.status == 404
    listed = await stack.request("GET", "/api/v1/feedback?tenant=app", key=operator_key)
    of_it = [row for row in listed.json["feedback"] if answered.json["id"].endswith(row["generation_id"])]
    assert [row["reason"] for row in of_it] == ["REASON_WRONG"]
