"""Strangers at the public ports, and what they must not take from those who have a key."""

from __future__ import annotations

import asyncio
import base64
import io
import json

import grpc

from penstock_gateway.domain.access.identity import new_key

CHAT = "/api/v1/chat"
GRPC_CHAT = "/penstock.gateway.v1.ChatService/Chat"


def reason_of(status: dict) -> str:
    (info,) = [detail for detail in status["details"] if detail["@type"].endswith("google.rpc.ErrorInfo")]
    return info["reason"]


def many_turns(turns: int) -> bytes:
    return b'{"input":{"model":"fast","messages":[' + b"{}," * turns + b"{}]}}"


async def test_a_large_body_without_a_key_is_refused_unread(stack):
    head = {"content-type": "application/json", "authorization": f"Bearer {new_key()[0]}"}
    answer = await stack.request("POST", CHAT, data=io.BytesIO(many_turns(5_000_000)), headers=head)
    assert (answer.status, reason_of(answer.json)) == (401, "INVALID_CREDENTIALS")


async def test_elements_of_the_typed_api_are_bounded(stack):
    head = {"content-type": "application/json"}
    answer = await stack.request("POST", CHAT, data=io.BytesIO(many_turns(300_000)), headers=head)
    assert (answer.status, reason_of(answer.json)) == (400, "INVALID_REQUEST")
    assert "250000 JSON elements" in answer.json["message"]


async def test_a_large_image_passes_through_the_typed_api(stack, first):
    image = base64.b64encode(bytes(4_000_000)).decode()
    parts = [{"text": "What is this?"}, {"image": {"media_type": "image/png", "data": image}}]
    body = {"input": {"model": "fast", "messages": [{"role": "ROLE_USER", "parts": parts}]}}
    answer = await stack.request(
        "POST", CHAT, data=io.BytesIO(json.dumps(body).encode()), headers={"content-type": "application/json"}
    )
    assert answer.status == 200


async def test_those_with_a_key_go_on_beside_large_messages_of_strangers(stack):
    message = b"\x0a" + b"\x80\x80\x80\x08" + b"\x12\x00" * (8 << 20)

    async def stranger():
        call = stack.channel.unary_unary(GRPC_CHAT)(message, timeout=60)
        return await call.code()

    strangers = [asyncio.ensure_future(stranger()) for _ in range(8)]
    for number in range(5):
        answer = await stack.request("POST", CHAT, json=body_of(f"beside strangers {number}"))
        assert answer.status == 200
    assert set(await asyncio.gather(*strangers)) == {grpc.StatusCode.UNAUTHENTICATED}


def body_of(text: str) -> dict:
    return {"input": {"model": "fast", "messages": [{"role": "ROLE_USER", "parts": [{"text": text}]}]}}
