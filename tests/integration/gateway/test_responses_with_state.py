"""Responses that are kept, gone on from, and made in the background, by the vendor's own SDK."""

from __future__ import annotations

import asyncio
import json
import re
import sqlite3
import sys
from pathlib import Path

import httpx2
import openai
import pytest

from penstock_common.testing.openai_upstream import Answer, End, Failure, ToolCall

sys.path.append(str(Path(__file__).parent))

from administrator import Administrator  # noqa: E402
from jobs_desk import QUICK, JobsDesk  # noqa: E402

from penstock.gateway.v1 import admin_service_pb2 as admin  # noqa: E402

RESPONSES = "/v1/responses"
WEATHER = {
    "type": "function",
    "name": "weather",
    "description": "Says it.",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}


@pytest.fixture
def document(document):
    document["jobs"] = QUICK
    document["responses"] = {"max_turns": 6, "max_chain_bytes": 20_000, "sweep_every": "100ms"}
    document["tenants"].append(
        {
            "name": "silent",
            "tier": {"requests_per_minute": 1000},
            "keys": ["silent-key-silent-key"],
            "store_responses": False,
        }
    )
    return document


def sdk(suite, key=None):
    http = httpx2.AsyncClient(transport=httpx2.AsyncHTTPTransport(uds=suite.http_socket))
    return openai.AsyncOpenAI(base_url="http://penstock/v1", api_key=key or suite.KEY, http_client=http, max_retries=0)


@pytest.fixture
async def client(suite):
    async with sdk(suite) as client:
        yield client


async def create(client, text="Hi", **more):
    return await client.responses.create(model="fast", input=text, **more)


def rows(tmp_path):
    with sqlite3.connect(tmp_path / "penstock.db") as database:
        found = database.execute("SELECT id, status, job, sealed FROM responses").fetchall()
    database.close()
    return found


async def until(holds, seconds=20):
    async with asyncio.timeout(seconds):
        while not (found := await holds()):
            await asyncio.sleep(0.02)
    return found


async def ended(client, response_id):
    async def look():
        found = await client.responses.retrieve(response_id)
        return found if found.status not in ("queued", "in_progress") else None

    return await until(look)


# Kept.


@pytest.mark.parametrize("stream", [False, True])
async def test_answer_is_kept_as_it_was_told(suite, client, upstream, stream):
    upstream.enqueue(Answer(tokens=["Good", " day"]))
    if stream:
        events = [event async for event in await create(client, stream=True, metadata={"a": "b"})]
        told = events[-1].response
        assert {event.response.id for event in events if hasattr(event, "response")} == {told.id}
    else:
        told = await create(client, metadata={"a": "b"})
    assert (told.store, told.status, told.output_text) == (True, "completed", "Good day")
    assert re.fullmatch("resp_[0-9a-f]{48}", told.id)
    for _ in range(2):
        found = await client.responses.retrieve(told.id)
        same = found.to_dict() | {"completed_at": 0}
        assert same == told.to_dict() | {"completed_at": 0}
        assert found.output[0].id == told.output[0].id


async def test_what_is_not_to_be_stored_leaves_nothing(suite, client, upstream, tmp_path):
    told = await create(client, "canary", store=False)
    assert told.store is False
    assert rows(tmp_path) == []
    with pytest.raises(openai.NotFoundError):
        await client.responses.retrieve(told.id)
    with pytest.raises(openai.NotFoundError, match="not stored") as refused:
        await create(client, previous_response_id=told.id)
    assert (refused.value.code, refused.value.param) == ("previous_response_not_found", "previous_response_id")
    assert len(upstream.requests) == 1


async def test_tenant_that_stores_nothing_is_told_so(suite, upstream, tmp_path):
    async with sdk(suite, "silent-key-silent-key") as client:
        assert (await create(client)).store is False
        with pytest.raises(openai.BadRequestError) as refused:
            await create(client, store=True)
        assert refused.value.param == "store"
        with pytest.raises(openai.BadRequestError) as refused:
            await create(client, background=True)
        assert refused.value.param == "background"
    assert rows(tmp_path) == []


async def test_answer_that_was_cut_short_is_kept_and_gone_on_from(suite, client, upstream):
    upstream.enqueue(Answer(tokens=["Good"], finish_reason="length"))
    told = await create(client, max_output_tokens=16)
    assert (told.status, told.incomplete_details.reason) == ("incomplete", "max_output_tokens")
    assert (await client.responses.retrieve(told.id)).status == "incomplete"
    await create(client, "Go on", previous_response_id=told.id)
    assert [message["role"] for message in upstream.requests[-1].body["messages"]] == ["user", "assistant", "user"]


async def test_stream_that_fails_is_kept_as_failed(suite, client, upstream):
    upstream.otherwise = lambda _: Answer(tokens=["Good", " day"], stop_after=2, end=End.RESET)
    body = {"model": "fast", "input": "Hi", "stream": True}
    head = {"authorization": f"Bearer {suite.KEY}", "x-penstock-recovery": "off"}
    answered = await suite.request("POST", RESPONSES, json=body, headers=head)
    assert [frame.partition("\n")[0] for frame in answered.frames[-3:-1]] == ["event: error", "event: response.failed"]
    told = json.loads(answered.frames[-2].partition("data: ")[2])["response"]
    found = await client.responses.retrieve(told["id"])
    assert (found.status, found.error.code) == ("failed", told["error"]["code"])
    with pytest.raises(openai.BadRequestError, match="is failed"):
        await create(client, previous_response_id=told["id"])


async def test_stream_whose_client_leaves_is_not_kept(suite, client, upstream, hold, tmp_path):
    upstream.enqueue(Answer(tokens=["Good", " day"], hold={2: hold}))
    stream = await create(client, stream=True)
    async for event in stream:
        if event.type == "response.output_text.delta":
            break
    await stream.close()
    await asyncio.wait_for(upstream.requests[0].left.wait(), 20)
    assert rows(tmp_path) == []


async def test_refused_request_leaves_nothing(suite, client, upstream, tmp_path):
    upstream.otherwise = lambda _: Failure(400)
    with pytest.raises(openai.APIStatusError):
        await create(client)
    assert rows(tmp_path) == []


# Gone on from.


async def test_next_turn_is_asked_with_all_before_it_and_without_their_instructions(suite, client, upstream):
    upstream.enqueue(Answer(tokens=["One"]), Answer(tokens=["Two"]), Answer(tokens=["Three"]))
    first = await create(client, "First", instructions="Old.")
    second = await create(client, "Second", previous_response_id=first.id, instructions="New.")
    third = await create(client, [{"role": "user", "content": "Third"}], previous_response_id=second.id)
    assert (second.previous_response_id, third.previous_response_id) == (first.id, second.id)
    asked = [(each["role"], each["content"]) for each in upstream.requests[1].body["messages"]]
    assert asked == [("system", "New."), ("user", "First"), ("assistant", "One"), ("user", "Second")]
    asked = [(each["role"], each["content"]) for each in upstream.requests[2].body["messages"]]
    assert asked == [
        ("user", "First"), ("assistant", "One"), ("user", "Second"), ("assistant", "Two"), ("user", "Third"),
    ]  # fmt: skip


async def test_tools_are_called_over_turns_that_only_send_what_is_new(suite, client, upstream):
    call = ToolCall("weather", ('{"city":', '"Bern"}'))
    upstream.enqueue(Answer(tokens=[], tool_calls=[call]), Answer(tokens=["Sunny"]))
    first = await create(client, "Bern?", tools=[WEATHER])
    assert first.output[0].type == "function_call"
    output = {"type": "function_call_output", "call_id": first.output[0].call_id, "output": "sun"}
    second = await create(client, [output], tools=[WEATHER], previous_response_id=first.id)
    assert second.output_text == "Sunny"
    user, assistant, tool = upstream.requests[1].body["messages"]
    assert user["content"] == "Bern?"
    assert assistant["tool_calls"][0]["function"] == {"name": "weather", "arguments": '{"city":"Bern"}'}
    assert (tool["tool_call_id"], tool["content"]) == (assistant["tool_calls"][0]["id"], "sun")


async def test_stream_ends_once_it_can_be_gone_on_from(suite, client, upstream):
    previous = None
    for number in range(4):
        events = [
            event async for event in await create(client, f"{number}", stream=True, previous_response_id=previous)
        ]
        previous = events[-1].response.id
    assert len(upstream.requests[-1].body["messages"]) == 7


async def test_items_are_found_by_their_ids(suite, client, upstream):
    upstream.enqueue(Answer(tokens=["Blue"]))
    first = await create(client, "Colour?")
    reference = {"type": "item_reference", "id": first.output[0].id}
    second = await create(
        client, [{"role": "user", "content": "Colour?"}, reference, {"role": "user", "content": "Sure?"}]
    )
    asked = [(each["role"], each["content"]) for each in upstream.requests[1].body["messages"]]
    assert asked == [("user", "Colour?"), ("assistant", "Blue"), ("user", "Sure?")]
    # It is kept as what it stood for.
    await client.responses.delete(first.id)
    await create(client, "More", previous_response_id=second.id)
    assert upstream.requests[2].body["messages"][1]["content"] == "Blue"
    for item in (reference, {"id": "msg_0"}, {"type": "item_reference", "id": "rs_" + "0" * 48 + "_0"}):
        with pytest.raises(openai.NotFoundError, match="not found"):
            await create(client, [item, {"role": "user", "content": "Sure?"}])
    assert len(upstream.requests) == 3


async def test_what_items_stand_for_has_bounds(suite, client, upstream):
    upstream.enqueue(Answer(tokens=["x" * 4000]))
    first = await create(client, "Hi")
    reference = {"type": "item_reference", "id": first.output[0].id}
    for more in ({}, {"store": False}):
        with pytest.raises(openai.BadRequestError, match="at most that are kept or referred to") as refused:
            await create(client, [reference] * 6, **more)
        assert refused.value.param == "input"
    with pytest.raises(openai.BadRequestError, match="at most that are kept or referred to"):
        await client.responses.input_tokens.count(model="fast", input=[reference] * 6)
    assert len(upstream.requests) == 1
    assert (await create(client, [reference] * 3)).status == "completed"


async def test_items_that_are_too_many_are_not_all_read(suite, client, upstream):
    """Of different responses, one of which is read after the other: what comes beyond the bound is not looked for."""
    names = []
    for number in range(3):
        upstream.enqueue(Answer(tokens=[f"{number}" + "x" * 8000]))
        names.append((await create(client, "Hi")).output[0].id)
    names.append("msg_" + "0" * 48 + "_0")
    with pytest.raises(openai.BadRequestError, match="at most that are kept or referred to"):
        await create(client, [{"type": "item_reference", "id": name} for name in names])


async def test_chain_has_bounds(suite, client, upstream):
    previous = None
    for number in range(6):
        previous = (await create(client, f"{number}", previous_response_id=previous)).id
    with pytest.raises(openai.BadRequestError, match="of 6 at most") as refused:
        await create(client, previous_response_id=previous)
    assert refused.value.param == "previous_response_id"
    with pytest.raises(openai.BadRequestError, match="at most that are kept") as refused:
        await create(client, "x" * 20_001)
    assert refused.value.param == "input"
    assert (await create(client, "x" * 20_001, store=False)).status == "completed"
    assert len(upstream.requests) == 7


async def test_what_a_chain_holds_has_room_among_bodies(serve, document, upstream, hold):
    """Of its items there are 40,000 bytes; beside them, what its callers were told is read as well."""
    document["responses"]["max_chain_bytes"] = 1_000_000
    document.setdefault("gateway", {})["max_held_body_bytes"] = 100_000
    document["upstreams"][0]["models"][0]["context_window"] = 1_000_000
    suite = await serve()
    async with sdk(suite) as client:
        previous = None
        for _ in range(2):
            upstream.enqueue(Answer(tokens=["x" * 20_000]))
            previous = (await create(client, previous_response_id=previous)).id
        upstream.enqueue(Answer(tokens=["Good", " day"], hold={2: hold}))
        first = await create(client, previous_response_id=previous, stream=True)
        with pytest.raises(openai.APIStatusError) as refused:
            await create(client, previous_response_id=previous)
        assert refused.value.status_code in (429, 503)
        assert len(upstream.requests) == 3
        hold.set()
        assert [event async for event in first][-1].type == "response.completed"
        assert (await create(client, previous_response_id=previous)).status == "completed"


async def test_another_tenants_is_nobodys_on_every_verb(suite, client, upstream):
    told = await create(client)
    stream = {"stream": "true", "starting_after": "0"}
    paths = (
        ("GET", f"{RESPONSES}/%s", {}), ("GET", f"{RESPONSES}/%s", stream), ("DELETE", f"{RESPONSES}/%s", {}),
        ("POST", f"{RESPONSES}/%s/cancel", {}), ("GET", f"{RESPONSES}/%s/input_items", {}),
    )  # fmt: skip

    async def say(key, response_id):
        head, answers = {"authorization": f"Bearer {key}"}, []
        for method, path, query in paths:
            answers.append(await suite.request(method, path % response_id, params=query, headers=head))
        body = {"model": "fast", "input": "Hi", "previous_response_id": response_id}
        answers.append(await suite.request("POST", RESPONSES, json=body, headers=head))
        return [(one.status, one.body.replace(response_id.encode(), b"ID")) for one in answers]

    others = await say(suite.OTHER_KEY, told.id)
    assert {status for status, _ in others} == {404}
    assert await say(suite.OTHER_KEY, told.id[:-1] + ("0" if told.id[-1] != "0" else "1")) == others
    assert await say(suite.KEY, "resp_" + "0" * 48) == others
    assert await say(suite.KEY, "resp_of_an_upstream") == others
    await client.responses.delete(told.id)
    assert await say(suite.KEY, told.id) == others
    assert len(upstream.requests) == 1


# Looked at and deleted.


async def test_deleted_one_is_gone(suite, client, upstream):
    told = await create(client, "canary")
    head = {"authorization": f"Bearer {suite.KEY}"}
    gone = await suite.request("DELETE", f"{RESPONSES}/{told.id}", headers=head)
    assert (gone.status, gone.json) == (200, {"id": told.id, "object": "response", "deleted": True})
    with pytest.raises(openai.NotFoundError):
        await client.responses.delete(told.id)


async def test_items_are_listed_in_pages_each_once(suite, client, upstream):
    items = [{"role": "user", "content": f"{number}"} for number in range(45)]
    told = await create(client, items)
    page = await client.responses.input_items.list(told.id, order="asc", limit=20)
    assert [item.content[0].text for item in page.data] == [f"{number}" for number in range(20)]
    assert (page.has_more, page.first_id, page.last_id) == (True, page.data[0].id, page.data[-1].id)
    every = [item.content[0].text async for item in client.responses.input_items.list(told.id, limit=7)]
    assert every == [f"{number}" for number in reversed(range(45))]
    text = await create(client, "Just this")
    (item,) = (await client.responses.input_items.list(text.id)).data
    assert (item.type, item.role, item.content[0].type, item.content[0].text) == (
        "message",
        "user",
        "input_text",
        "Just this",
    )
    for limit in (0, 101):
        with pytest.raises(openai.BadRequestError):
            await client.responses.input_items.list(told.id, limit=limit)
    with pytest.raises(openai.NotFoundError):
        await client.responses.input_items.list(told.id, after="msg_0")


async def test_look_says_what_it_may_include(suite, client, upstream):
    told = await create(client)
    found = await client.responses.retrieve(told.id, include=["reasoning.encrypted_content"])
    assert found.output_text == told.output_text
    with pytest.raises(openai.BadRequestError) as refused:
        await client.responses.retrieve(told.id, include=["nonsense"])
    assert refused.value.param == "include"
    with pytest.raises(openai.BadRequestError, match="background"):
        await client.responses.retrieve(told.id, stream=True)
    with pytest.raises(openai.BadRequestError, match="background"):
        await client.responses.cancel(told.id)
    head = {"authorization": f"Bearer {suite.KEY}"}
    listed = await suite.request("GET", RESPONSES, headers=head)
    assert (listed.status, listed.header["allow"]) == (405, "POST")


async def test_tokens_are_counted_with_all_that_is_gone_on_from(suite, client, upstream, tmp_path):
    first = await create(client, "A question of some length, so that it counts.")
    alone, after = [
        (await client.responses.input_tokens.count(model="fast", input="Hi", **more)).input_tokens
        for more in ({}, {"previous_response_id": first.id})
    ]
    assert 0 < alone < after
    assert (len(upstream.requests), len(rows(tmp_path))) == (1, 1)
    with pytest.raises(openai.NotFoundError):
        await client.responses.input_tokens.count(model="fast", input="Hi", previous_response_id="resp_0")


async def test_a_conversation_is_not_made_shorter_and_says_what_to_do(suite, client, upstream):
    head = {"authorization": f"Bearer {suite.KEY}"}
    told = [
        await suite.request("POST", f"{RESPONSES}/compact", json={"input": "Hi", **more}, headers=head)
        for more in ({}, {"model": "nobody"}, {"model": "fast"})
    ]
    assert [(each.status, each.json["error"]["code"]) for each in told[1:]] == [
        (404, "model_not_found"), (404, "resource_not_found"),
    ]  # fmt: skip
    assert (told[0].status, told[0].json["error"]["param"]) == (400, "model")
    assert "context_management" in told[2].json["error"]["message"]
    assert not upstream.requests


# Under an idempotency key.


@pytest.mark.parametrize("stream", [False, True])
async def test_repeat_is_told_the_same_response_which_is_kept_once(suite, client, upstream, tmp_path, stream):
    body = {"model": "fast", "input": "Hi", "stream": stream}
    head = {"authorization": f"Bearer {suite.KEY}", "idempotency-key": "k1"}
    first, again = [await suite.request("POST", RESPONSES, json=body, headers=head) for _ in range(2)]
    assert again.header["idempotent-replayed"] == "true"
    ((response_id, status, _, _),) = rows(tmp_path)
    assert status == "completed"
    assert response_id.encode() in first.body
    assert response_id.encode() in again.body
    assert len(upstream.requests) == 1
    assert (await client.responses.retrieve(response_id)).status == "completed"
    # A repeat does not bring back what was deleted.
    await client.responses.delete(response_id)
    await suite.request("POST", RESPONSES, json=body, headers=head)
    with pytest.raises(openai.NotFoundError):
        await client.responses.retrieve(response_id)


# In the background.


async def test_answer_is_made_in_the_background_and_gone_on_from(suite, client, upstream, hold):
    upstream.enqueue(Answer(tokens=["Good", " day"], hold={0: hold}))
    told = await create(client, background=True)
    assert told.status in ("queued", "in_progress")
    assert (told.background, told.output, told.usage, told.store) == (True, [], None, True)
    await until(lambda: asyncio.sleep(0, upstream.requests))
    with pytest.raises(openai.BadRequestError, match="not complete yet"):
        await create(client, previous_response_id=told.id)
    hold.set()
    found = await ended(client, told.id)
    assert (found.id, found.status, found.output_text, found.created_at) == (
        told.id,
        "completed",
        "Good day",
        told.created_at,
    )
    await create(client, "More", previous_response_id=told.id)
    assert [each["role"] for each in upstream.requests[-1].body["messages"]] == ["user", "assistant", "user"]
    ledger = await suite.ledger_after_close()
    assert [row["outcome"] for row in ledger] == ["ok", "ok"]
    assert ledger[0]["output_tokens"] == found.usage.output_tokens


async def test_end_is_kept_though_nobody_looks(suite, client, upstream, tmp_path):
    told = await create(client, background=True)

    async def settled():
        ((response_id, status, _, _),) = rows(tmp_path)
        return (response_id, status) == (told.id, "completed")

    await until(settled)
    # Its job may go then.
    async with JobsDesk.at(tmp_path) as desk:
        (row,) = rows(tmp_path)
        assert await desk.store.delete("demo", row[2])
    assert (await client.responses.retrieve(told.id)).status == "completed"
    with pytest.raises(openai.BadRequestError):
        await client.responses.retrieve(told.id, stream=True)


async def test_failure_in_the_background_is_told(suite, client, upstream):
    upstream.otherwise = lambda _: Failure(400)
    told = await create(client, background=True)
    found = await ended(client, told.id)
    assert found.status == "failed"
    assert found.error.message


@pytest.mark.parametrize("stream", [False, True])
async def test_background_answer_is_cancelled_and_stays_so(suite, client, upstream, hold, stream):
    upstream.enqueue(Answer(tokens=["Good", " day"], hold={1: hold}))
    if stream:
        events = await create(client, background=True, stream=True)
        told = (await anext(events)).response
    else:
        told = await create(client, background=True)
    request = await asyncio.wait_for(upstream.next_request(), 20)
    for _ in range(2):
        assert (await client.responses.cancel(told.id)).status == "cancelled"
    await asyncio.wait_for(request.left.wait(), 20)
    assert (await client.responses.retrieve(told.id)).status == "cancelled"
    if stream:
        with pytest.raises(openai.APIError, match="cancelled"):
            [event async for event in events]
    assert len(await suite.ledger_after_close()) == 1


async def test_cancelling_what_has_ended_changes_nothing(suite, client):
    told = await create(client, background=True)
    before = await ended(client, told.id)
    assert (await client.responses.cancel(told.id)).to_dict() == before.to_dict()


async def test_response_whose_job_is_gone_has_failed_and_can_be_deleted(serve, document, upstream, hold, tmp_path):
    document["responses"]["sweep_every"] = "1h"
    # An answer that were made before its creation is told would be kept with it at once.
    upstream.otherwise = lambda _: Answer(tokens=["Good", " day"], hold={1: hold})
    suite = await serve()
    async with sdk(suite) as client:
        told, other = [await create(client, background=True) for _ in range(2)]
        hold.set()
        async with JobsDesk.at(tmp_path) as desk:
            for _, _, job_id, _ in rows(tmp_path):
                await desk.ended(await desk.store.get("demo", job_id))
                assert await desk.store.delete("demo", job_id)
        assert (await client.responses.cancel(told.id)).status == "failed"
        assert (await client.responses.retrieve(told.id)).error.code == "server_error"
        await client.responses.delete(other.id)
        with pytest.raises(openai.NotFoundError):
            await client.responses.retrieve(other.id)


async def test_deleting_one_that_is_being_made_ends_it(suite, client, upstream, hold):
    upstream.enqueue(Answer(tokens=["Good", " day"], hold={1: hold}))
    told = await create(client, background=True)
    request = await asyncio.wait_for(upstream.next_request(), 20)
    await client.responses.delete(told.id)
    await asyncio.wait_for(request.left.wait(), 20)
    with pytest.raises(openai.NotFoundError):
        await client.responses.retrieve(told.id)


async def test_what_a_deleted_one_was_made_of_is_gone_from_its_job(suite, client, upstream, hold, tmp_path):
    upstream.enqueue(Answer(tokens=["Good", " day"], hold={1: hold}))
    made = await create(client, background=True)
    await asyncio.wait_for(upstream.next_request(), 20)
    told = await create(client, "Another", background=True)
    await ended(client, told.id)
    jobs = [job for _, _, job, _ in rows(tmp_path)]
    async with JobsDesk.at(tmp_path) as desk:
        assert all([await desk.store.get("demo", job) for job in jobs])
        for one in (made, told):
            await client.responses.delete(one.id)
        assert [await desk.store.get("demo", job) for job in jobs] == [None, None]


async def test_delete_that_is_refused_has_deleted_nothing(serve, document, upstream, hold):
    document["jobs"] = {**QUICK, "watchers": 1}
    suite = await serve()
    upstream.enqueue(Answer(tokens=["Good", " day"], hold={1: hold}))
    async with sdk(suite) as client:
        stream = await create(client, background=True, stream=True)
        told = (await anext(stream)).response
        request = await asyncio.wait_for(upstream.next_request(), 20)
        for refused in (client.responses.delete, client.responses.cancel):
            with pytest.raises(openai.RateLimitError, match="watches 1 jobs"):
                await refused(told.id)
        assert not request.left.is_set()
        hold.set()
        *_, last = [event async for event in stream]
        assert last.response.output_text == "Good day"
        await client.responses.delete(told.id)
        with pytest.raises(openai.NotFoundError):
            await client.responses.retrieve(told.id)


async def test_who_only_looks_ends_nothing(suite, client, upstream, hold):
    upstream.enqueue(Answer(tokens=["Good", " day"], hold={1: hold}))
    told = await create(client, background=True)
    await asyncio.wait_for(upstream.next_request(), 20)
    operator = Administrator(suite.channel, suite.OPERATOR_KEY)
    scopes = [admin.KEY_SCOPE_INFERENCE, admin.KEY_SCOPE_READ]
    looker = (await operator.CreateKey(tenant="demo", scopes=scopes)).secret
    async with sdk(suite, looker) as looking:
        assert (await looking.responses.retrieve(told.id)).status == "in_progress"
        for refused in (looking.responses.cancel, looking.responses.delete):
            with pytest.raises(openai.NotFoundError):
                await refused(told.id)
    hold.set()
    assert (await ended(client, told.id)).output_text == "Good day"


async def test_background_stream_goes_on_where_it_was_left(suite, client, upstream, hold):
    upstream.enqueue(Answer(tokens=["Good", " day", " to", " you"], hold={2: hold}))
    stream = await create(client, background=True, stream=True)
    seen = []
    async for event in stream:
        seen.append(event)
        if event.type == "response.output_text.delta":
            break
    await stream.close()
    assert [event.type for event in seen[:3]] == ["response.created", "response.queued", "response.in_progress"]
    assert [event.response.status for event in seen[:3]] == ["queued", "queued", "in_progress"]
    response_id = seen[0].response.id
    resumed = await client.responses.retrieve(response_id, stream=True, starting_after=seen[-1].sequence_number)
    hold.set()
    seen += [event async for event in resumed]
    assert [event.sequence_number for event in seen] == list(range(len(seen)))
    assert seen[-1].type == "response.completed"
    assert seen[-1].response.output_text == "Good day to you"
    head = {"authorization": f"Bearer {suite.KEY}"}
    whole, again = [
        await suite.request("GET", f"{RESPONSES}/{response_id}", params={"stream": "true"}, headers=head)
        for _ in range(2)
    ]
    assert whole.body == again.body
    assert len([frame for frame in whole.frames if frame.startswith("event: ")]) == len(seen)
    for after in (0, 3, len(seen) - 1, 10_000):
        params = {"stream": "true", "starting_after": f"{after}"}
        rest = await suite.request("GET", f"{RESPONSES}/{response_id}", params=params, headers=head)
        assert rest.frames == whole.frames[after + 1 : -1] + ["data: [DONE]"]
    kept = await client.responses.retrieve(response_id)
    assert kept.to_dict() == seen[-1].response.to_dict()


async def test_numbers_of_an_attempt_that_is_gone_resume_nothing(suite, client, upstream):
    """The second attempt says otherwise: event 4 is another now."""
    upstream.enqueue(Answer(tokens=["Good", " day"], stop_after=2, end=End.RESET))
    body = {"model": "fast", "input": "Hi", "background": True, "stream": True}
    head = {"authorization": f"Bearer {suite.KEY}", "x-penstock-recovery": "off"}
    begun = await suite.request("POST", RESPONSES, json=body, headers=head)
    response_id = re.search(r'"id":\s?"(resp_[0-9a-f]+)"', "".join(begun.frames)).group(1)
    assert (await ended(client, response_id)).status == "completed"
    assert len(upstream.requests) == 2
    with pytest.raises(openai.BadRequestError, match="begun anew") as refused:
        await client.responses.retrieve(response_id, stream=True, starting_after=3)
    assert refused.value.param == "starting_after"
    whole = await client.responses.retrieve(response_id, stream=True)
    events = [event async for event in whole]
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert events[-1].response.output_text == "Hello, world."


async def test_background_answer_is_one_under_one_key(suite, client, upstream, tmp_path):
    body = {"model": "fast", "input": "Hi", "background": True}
    head = {"authorization": f"Bearer {suite.KEY}", "idempotency-key": "k1"}
    first, again = [await suite.request("POST", RESPONSES, json=body, headers=head) for _ in range(2)]
    assert first.json["id"] == again.json["id"]
    assert (await ended(client, first.json["id"])).status == "completed"
    assert (len(rows(tmp_path)), len(upstream.requests)) == (1, 1)
    # What an order does not say makes another request as well.
    for more in ({"input": "Ho"}, {"stream": True}, {"include": ["reasoning.encrypted_content"]}, {"user": "u"}):
        other = await suite.request("POST", RESPONSES, json={**body, **more}, headers=head)
        assert (other.status, other.error["code"]) == (422, "idempotency_key_reused"), more
    spaced = json.dumps(dict(reversed(body.items())), indent=2)
    same = await suite.request("POST", RESPONSES, data=spaced, headers={**head, "content-type": "application/json"})
    assert (same.status, same.json["id"]) == (200, first.json["id"])
    assert (len(rows(tmp_path)), len(upstream.requests)) == (1, 1)


@pytest.mark.parametrize(
    ("more", "param"),
    [
        ({"previous_response_id": ""}, "previous_response_id"),
        ({"conversation": "conv_1"}, "conversation"),
        ({"conversation": "conv_1", "previous_response_id": "resp_1"}, "conversation"),
        ({"background": True, "store": False}, "background"),
    ],
)
async def test_what_cannot_be_is_refused_by_name(suite, upstream, more, param):
    body, head = {"model": "fast", "input": "Hi", **more}, {"authorization": f"Bearer {suite.KEY}"}
    refused = await suite.request("POST", RESPONSES, json=body, headers=head)
    assert (refused.status, refused.error["param"]) == (400, param)
    assert json.loads(refused.body)["error"]["message"]
    assert not upstream.requests
