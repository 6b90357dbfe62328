"""Rerank, moderations and what passes as it is, through the edge of a real stack."""

from __future__ import annotations

import hashlib

import yarl

from penstock_common.testing.openai_upstream import OpenAIUpstream
from penstock_common.testing.plain_upstream import PlainUpstream, answering

OPERATOR = "key-of-operator-key-of-operator"
SCORES = [{"index": 0, "relevance_score": 0.25}, {"index": 1, "relevance_score": 0.75}]
VERDICT = {"flagged": True, "categories": {"violence": True}, "category_scores": {"violence": 0.5}}


async def test_rerank_moderation_and_passthrough_go_through_the_edge(launch):
    async with OpenAIUpstream() as first, PlainUpstream() as server:
        models = [
            {"name": "rr", "context_window": 8192, "capabilities": ["rerank"], "price": {"input": 1}},
            {"name": "omni", "context_window": 8192, "capabilities": ["moderation"], "price": {"input": 0}},
        ]
        entry = {
            "name": "plain", "provider": "openai_compatible", "base_url": f"{server.url}/v1", "api_key": "sk-upstream-0123",
            "models": models, "raw": {"paths": [{"path": "/files/**", "methods": ["GET", "POST"], "price": "0.01"}]},
        }  # fmt: skip
        candidates = [{"name": "fast", "candidates": ["first/first-1"]}, {"name": "rank", "candidates": ["plain/rr"]}]
        judge = {"name": "omni-moderation-latest", "candidates": ["plain/omni"]}
        upstream = {
            "name": "first", "provider": "openai_compatible", "base_url": first.base_url, "api_key": "sk-x",
            "models": [{"name": "first-1", "context_window": 8000}],
        }  # fmt: skip
        stack = await launch(
            ("first", first),
            upstreams=[upstream, entry],
            models=[*candidates, judge],
            operator={"keys": [OPERATOR]},
        )

        server.usual = answering({"results": SCORES, "usage": {"total_tokens": 9}})
        body = {"model": "rank", "query": "q", "documents": ["a", "b"]}
        wire = await stack.request("POST", "/v1/rerank", json=body)
        assert [one["index"] for one in wire.json["results"]] == [1, 0]
        assert (await stack.request("POST", "/rerank", json=body)).status == 200
        assert (await stack.request("POST", "/v2/rerank", json=body)).status == 200
        typed = await stack.request("POST", "/api/v1/rerank", json={**body, "top_n": 1, "return_documents": True})
        (best,) = typed.json["results"]
        assert (best["index"], best["relevance_score"], best["document"]) == (1, 0.75, "b")

        server.usual = answering({"model": "omni-1", "results": [VERDICT]})
        wire = await stack.request("POST", "/v1/moderations", json={"input": "x"})
        assert wire.json["results"][0]["category_scores"] == {"violence": 0.5}
        typed = await stack.request(
            "POST", "/api/v1/moderations",
            json={"model": "omni-moderation-latest", "contents": [{"parts": [{"text": "x"}]}]},
        )  # fmt: skip
        assert typed.json["results"][0]["flagged"]

        made = await stack.request(
            "POST", "/api/v1/admin/keys", key=OPERATOR, json={"tenant": "app", "scopes": ["KEY_SCOPE_PASSTHROUGH"]}
        )
        assert made.status == 200, made.body
        key, large = made.json["secret"], bytes(range(256)) * 4096 * 40

        async def upload():
            for start in range(0, len(large), 65536):
                yield large[start : start + 65536]

        server.usual = answering(b"\x00\x01", "201 Created", "Content-Type: a/b\r\nX-Odd: 1\r\n")
        head = {"range": "bytes=0-1", "x-odd": "2", "cookie": "c=1", "x-forwarded-for": "9.9.9.9"}
        url = yarl.URL(f"{stack.http}/passthrough/plain/files/a%2Fb?x=%2F&y", encoded=True)
        head["authorization"] = f"Bearer {key}"
        async with stack.session.post(url, data=upload(), headers=head) as passed:
            told = passed.status, await passed.read(), passed.headers["x-odd"], passed.headers["x-penstock-cost-usd"]
        assert told == (201, b"\x00\x01", "1", "0.01")
        sent = server.requests[-1]
        assert (sent.method, sent.target) == ("POST", "/v1/files/a%2Fb?x=%2F&y")
        assert hashlib.sha256(sent.body).digest() == hashlib.sha256(large).digest()
        assert sent.headers["authorization"] == "Bearer sk-upstream-0123"
        assert (sent.headers["range"], sent.headers["x-odd"]) == ("bytes=0-1", "2")
        assert not {"cookie", "x-forwarded-for", "x-penstock-client-address"} & set(sent.headers)
        assert (await stack.request("GET", "/passthrough/plain/models", key=key)).status == 404
        assert (await stack.request("GET", "/passthrough/plain/files/a")).status == 403
        row = await stack.ledger_row(operation="passthrough")
        assert (row["cost_nano_usd"], row["upstream"], row["outcome"]) == (10_000_000, "plain", "ok")
