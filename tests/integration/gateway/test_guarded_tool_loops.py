"""Loops of tools with signed thinking under rules that redact and pseudonymise: no signature and no prompt cache is broken."""

from __future__ import annotations

import asyncio
import json
import re

import anthropic
import httpx2
import pytest

from penstock_common.testing.anthropic_answers import Message, refusal
from penstock_common.testing.thinking_verifier import ThinkingVerifier

ROUNDS, CONVERSATIONS = 10, 20
MAIL, CARD = "zoe.ümit{}@example.com", "4539 1488 0343 6467"
TOOL = {
    "name": "find",
    "description": "Finds.",
    "input_schema": {"type": "object"},
    "cache_control": {"type": "ephemeral"},
}
_ADDRESS = re.compile(r"[\w.+-]+@[\w.-]+\w")


class Thinker:
    """Signs its thinking, bound to all before it, and asks a tool about the first address it was told, and then in text.

    ``caches`` has of each conversation what the vendor has cached: all of a request up to its end.
    """

    def __init__(self) -> None:
        self.refused, self.verified, self.caches, self.missed = [], 0, {}, 0

    def __call__(self, request):
        body, verifier = request.body, ThinkingVerifier()
        if wrong := verifier.refusal(body, request.headers):
            self.refused.append(wrong)
            return refusal(400, "invalid_request_error", wrong)
        self.verified += verifier.count(body)
        said = [json.dumps(body["system"]), json.dumps(body["tools"])]
        said += [json.dumps(turn) for turn in body["messages"]]
        first = json.dumps(body["messages"][0])
        cached = self.caches.get(first, [])
        self.missed += said[: len(cached)] != cached
        self.caches[first] = said
        answer = self._answer(body, verifier, _ADDRESS.search(first)[0])
        return answer.streamed() if body.get("stream") else answer.whole()

    def _answer(self, body, verifier, address):
        number = sum(turn["role"] == "assistant" for turn in body["messages"])
        thought = verifier.thinking(body, (), f"Thought {number} of {address}.", shown=number % 3 != 1)
        text = {"type": "text", "text": f"I look for {address} now."}
        again = verifier.thinking(body, [thought, text], f"And {number} once more.")
        call = {
            "type": "tool_use",
            "id": f"toolu_{number}",
            "name": "find",
            "input": {"who": address, "n": [number, 1.5]},
        }
        content = [thought, text, again, call] if number < ROUNDS else [thought, text]
        return Message(content=content, stop_reason="tool_use" if number < ROUNDS else "end_turn", model=body["model"])


@pytest.fixture
def thinker(document, upstream):
    document["upstreams"][0] |= {
        "provider": "anthropic",
        "base_url": upstream.base_url.removesuffix("/v1"),
        "models": [{"name": "m1", "context_window": 200_000, "price": {"input": 1, "output": 2}, "capabilities": ["chat", "tools"]}],
    }  # fmt: skip
    document["guardrails"] = {
        "rules": {
            "cards": {"kind": "pii", "types": ["credit_card"]},
            "names": {"kind": "pii", "action": "pseudonymise", "types": ["email", "phone"]},
            "keys": {"kind": "secrets"},
            "marks": {"kind": "spotlight"},
            "rivals": {"kind": "words", "deny": ["acme corp"], "action": "redact"},
            "leaks": {"kind": "exfiltration"},
            "shell": {"kind": "tools", "deny": ["rm*"]},
        },
        "pipelines": [{"input": ["cards", "names", "keys", "marks"], "output": ["cards", "rivals", "leaks", "shell"]}],
    }
    thinker = upstream.otherwise = Thinker()
    return thinker


async def _converse(client, number):
    """Go round until the answer is in text; return what was told, and how often a tool was called."""
    mail, calls = MAIL.format(number), 0
    messages = [{"role": "user", "content": f"Who is {mail}? I pay by {CARD}."}]
    asked = {"model": "fast", "max_tokens": 2000, "tools": [TOOL], "system": f"You serve {mail}."}
    while True:
        if calls % 2:
            async with client.messages.stream(messages=messages, **asked) as stream:
                message = await stream.get_final_message()
        else:
            message = await client.messages.create(messages=messages, **asked)
        blocks = [block.model_dump(exclude_none=True) for block in message.content]
        messages.append({"role": "assistant", "content": blocks})
        if message.stop_reason != "tool_use":
            return mail, blocks[-1]["text"], calls
        calls += 1
        assert blocks[-1]["input"] == {"who": mail, "n": [calls - 1, 1.5]}
        found = f"Found {mail} and p{calls}@example.com, card {CARD}; Acme Corp."
        result = {"type": "tool_result", "tool_use_id": blocks[-1]["id"], "content": found}
        messages.append({"role": "user", "content": [result]})


async def test_two_hundred_guarded_loops_break_no_signature_and_no_prompt_cache(thinker, serve, upstream):
    suite = await serve()
    http = httpx2.AsyncClient(transport=httpx2.AsyncHTTPTransport(uds=suite.http_socket), timeout=60)
    async with anthropic.AsyncAnthropic(
        base_url="http://penstock", api_key=suite.KEY, http_client=http, max_retries=0
    ) as client:
        told = await asyncio.gather(*[_converse(client, number) for number in range(CONVERSATIONS)])
    assert thinker.refused == []
    assert all((text, calls) == (f"I look for {mail} now.", ROUNDS) for mail, text, calls in told)
    assert thinker.verified == CONVERSATIONS * 2 * sum(range(1, ROUNDS + 1))
    assert (len(thinker.caches), thinker.missed) == (CONVERSATIONS, 0)
    sent = json.dumps([request.body for request in upstream.requests], ensure_ascii=False)
    assert not re.search(r"zoe\.ümit\d", sent) and CARD not in sent and "p1@example.com" not in sent
