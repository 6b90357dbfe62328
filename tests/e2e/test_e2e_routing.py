"""What chooses and what is learned of it, through the public port: routes, explanations, prompts, feedback."""

from __future__ import annotations

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


async def test_a_route_is_explained_over_rest(stack):
    body = {"input": {"model": "chosen", "messages": [{"role": "ROLE_USER", "parts": [{"text": CODE}]}]}}
    found = await stack.request("POST", "/api/v1/routes:explain", json=body)
    assert found.status == 200
    explained = found.json["explanation"]
    assert explained["plan"]["decision"]["model"] == "frail"
    assert {view["model"] for view in explained["candidates"]} == {"fast", "frail"}
    narrow = await stack.request("POST", "/api/v1/routes:explain", key=stack.keys["narrow"], json=body)
    assert narrow.status == 404


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
