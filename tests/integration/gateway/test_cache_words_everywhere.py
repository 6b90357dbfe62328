"""What a request says to the cache means the same on every surface, and what means nothing is refused there."""

from __future__ import annotations

import asyncio
import sys
from datetime import timedelta
from pathlib import Path

import grpc
import pytest
from google.protobuf import duration_pb2, json_format

sys.path.insert(0, str(Path(__file__).parent))
from cache_in_memory import CacheInMemory  # noqa: E402

import penstock_cache.app  # noqa: E402
from penstock.gateway.v1 import chat_service_pb2 as pb  # noqa: E402
from penstock.gateway.v1.chat_service_pb2_grpc import ChatServiceStub  # noqa: E402

WORDS = "NO-CACHE, tag=faq, tag=v2, ttl=60"
LISTED = ("no-store", "no-cache", "only-if-cached", "exact", "private", "max-age=SECONDS", "ttl=SECONDS", "tag=NAME")


@pytest.fixture
def cache(monkeypatch):
    cache = CacheInMemory()
    monkeypatch.setattr(penstock_cache.app, "build", cache.build)
    return cache


async def by_http(suite, path, body, words):
    head = {"authorization": f"Bearer {suite.KEY}", **({"x-penstock-cache": words} if words else {})}
    answered = await suite.request("POST", path, json={"model": "fast", **body}, headers=head)
    return answered.status, answered.body.decode()


def chat_request(**more):
    turn = {"role": "ROLE_USER", "parts": [{"text": "Hi"}]}
    request = json_format.ParseDict({"input": {"model": "fast", "messages": [turn]}}, pb.ChatRequest())
    request.MergeFrom(pb.ChatRequest(**more))
    return request


async def by_grpc(suite, request, words):
    metadata = (("authorization", f"Bearer {suite.KEY}"), *((("x-penstock-cache", words),) if words else ()))
    call = ChatServiceStub(suite.channel).Chat(request, metadata=metadata, timeout=30)
    status = {grpc.StatusCode.OK: 200, grpc.StatusCode.INVALID_ARGUMENT: 400}[await call.code()]
    return status, await call.details()


CHAT = {"messages": [{"role": "user", "content": "Hi"}]}
SURFACES = {
    "chat": lambda suite, words: by_http(suite, "/v1/chat/completions", CHAT, words),
    "stream": lambda suite, words: by_http(suite, "/v1/chat/completions", {**CHAT, "stream": True}, words),
    "completions": lambda suite, words: by_http(suite, "/v1/completions", {"prompt": "Hi"}, words),
    "grpc": lambda suite, words: by_grpc(suite, chat_request(), words),
}


async def kept(cache):
    async with asyncio.timeout(30):
        while not cache.asked_to_keep:
            await asyncio.sleep(0)
    return cache.asked_to_keep[0]


@pytest.mark.parametrize("surface", SURFACES)
async def test_words_mean_the_same_on_every_surface(cache, serve, surface):
    suite = await serve()
    assert (await SURFACES[surface](suite, WORDS))[0] == 200
    request = await kept(cache)
    assert (request.tags, request.ttl) == (("faq", "v2"), timedelta(seconds=60))
    status, told = await SURFACES[surface](suite, "no-cash")
    assert status == 400
    assert "'no-cash'" in told
    assert [word for word in LISTED if word not in told] == []


async def test_typed_fields_mean_what_the_words_do(cache, serve):
    suite = await serve()
    control = pb.CacheControl(no_cache=True, tags=["faq", "v2"], ttl=duration_pb2.Duration(seconds=60))
    assert (await by_grpc(suite, chat_request(cache_control=control), ""))[0] == 200
    request = await kept(cache)
    assert (request.tags, request.ttl) == (("faq", "v2"), timedelta(seconds=60))
    for wrong in (
        pb.CacheControl(tags=["a" * 129]),
        pb.CacheControl(tags=[""]),
        pb.CacheControl(tags=map(str, range(17))),
    ):
        status, told = await by_grpc(suite, chat_request(cache_control=wrong), "")
        assert (status, "cache_control.tags" in told) == (400, True)


@pytest.mark.parametrize("words", ["no-store", "no-cache"])
async def test_why_nobody_looked_is_told_on_every_surface(cache, serve, words):
    suite = await serve()
    headers = {"authorization": f"Bearer {suite.KEY}", "x-penstock-cache": words}
    for path, body in (("/v1/chat/completions", CHAT), ("/v1/completions", {"prompt": "Hi"})):
        for stream in (False, True):
            answered = await suite.request(
                "POST", path, json={"model": "fast", "stream": stream, **body}, headers=headers
            )
            assert answered.header["x-penstock-cache"] == f"bypass; reason={words}"
    metadata = (("authorization", f"Bearer {suite.KEY}"), ("x-penstock-cache", words))
    response = await ChatServiceStub(suite.channel).Chat(chat_request(), metadata=metadata, timeout=30)
    assert (response.cache.status, response.cache.reason) == (pb.CacheResult.STATUS_BYPASS, words)
