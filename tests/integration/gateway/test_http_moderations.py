"""``/v1/moderations`` and ``ModerationService`` on a real suite."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import openai
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from questions_world import add_server, post  # noqa: E402

from penstock.gateway.v1 import moderation_service_pb2 as pb  # noqa: E402
from penstock.gateway.v1.moderation_service_pb2_grpc import ModerationServiceStub  # noqa: E402
from penstock_common.testing.plain_upstream import PlainUpstream, answering  # noqa: E402

HEAD = (("authorization", "Bearer demo-key-demo-key-demo"),)
NAMES = (
    "harassment", "harassment/threatening", "hate", "hate/threatening", "illicit", "illicit/violent", "self-harm",
    "self-harm/instructions", "self-harm/intent", "sexual", "sexual/minors", "violence", "violence/graphic",
)  # fmt: skip


def result(**flagged: float) -> dict[str, Any]:
    return {
        "flagged": bool(flagged),
        "categories": {name: name in flagged for name in NAMES},
        "category_scores": {name: flagged.get(name, 1e-6) for name in NAMES},
        "category_applied_input_types": {name: ["text"] for name in NAMES},
    }


@pytest.fixture
async def server(document: dict[str, Any]) -> Any:
    async with PlainUpstream() as server:
        add_server(document, server)
        yield server


def judges(*results: dict[str, Any]) -> Any:
    return answering({"id": "modr-theirs", "model": "omni-2024", "results": list(results)})


async def test_a_text_is_judged_by_the_usual_model_and_nothing_is_lost(
    serve: Any, server: PlainUpstream, transport: str
) -> None:
    server.usual = judges(result(violence=0.9))
    suite = await serve(transport)
    answered = await post(suite, "/v1/moderations", input="I hit him")
    assert answered.status == 200
    assert answered.json["results"] == [result(violence=0.9)]
    assert (answered.json["model"], answered.json["id"][:5]) == ("omni-2024", "modr-")
    assert server.requests[0].json == {"model": "omni", "input": ["I hit him"]}
    assert answered.header["x-penstock-cost-usd"] == "0"
    (row,) = await suite.ledger_after_close()
    assert (row["operation"], row["cost_nano_usd"], row["requested_model"]) == (
        "moderation", 0, "omni-moderation-latest",
    )  # fmt: skip


async def test_texts_have_a_verdict_each_and_parts_have_one(serve: Any, server: PlainUpstream) -> None:
    suite = await serve()
    server.answers.append(judges(result(), result(hate=0.5)))
    answered = await post(suite, "/v1/moderations", input=["a", "b"], model="omni-moderation-latest")
    assert [one["flagged"] for one in answered.json["results"]] == [False, True]
    server.answers.append(judges(result(sexual=0.4)))
    parts = [{"type": "text", "text": "a"}, {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}]
    answered = await post(suite, "/v1/moderations", input=parts)
    assert len(answered.json["results"]) == 1
    assert server.requests[1].json["input"] == parts


@pytest.mark.parametrize(
    "given", [None, [], "", 7, [1], [{"type": "audio"}], [{"type": "text"}], ["a", ""], ["a"] * 129, {"type": "text"}]
)
async def test_what_cannot_be_judged_is_refused(serve: Any, server: PlainUpstream, given: Any) -> None:
    suite = await serve()
    answered = await post(suite, "/v1/moderations", input=given)
    assert (answered.status, answered.error["type"]) == (400, "invalid_request_error")
    assert "input" in answered.error["param"]
    assert server.requests == []


async def test_the_vendors_own_client_reads_it(serve: Any, server: PlainUpstream) -> None:
    server.usual = judges(result(violence=0.9))
    suite = await serve()
    import httpx

    transport = httpx.AsyncHTTPTransport(uds=suite.http_socket)
    async with httpx.AsyncClient(transport=transport) as http:
        client = openai.AsyncOpenAI(api_key=suite.KEY, base_url="http://penstock/v1", http_client=http)
        told = await client.moderations.create(input="x")
    assert told.results[0].flagged
    assert told.results[0].categories.violence
    assert told.results[0].categories.self_harm_intent is False
    assert told.results[0].category_scores.violence == 0.9


async def test_grpc_says_the_same(serve: Any, server: PlainUpstream, transport: str) -> None:
    server.usual = judges(result(violence=0.9))
    suite = await serve(transport)
    request = pb.ModerateRequest(
        model="omni-moderation-latest", contents=[pb.ModerationContent(parts=[pb.ModerationPart(text="x")])]
    )
    response = await ModerationServiceStub(suite.channel).Moderate(request, metadata=HEAD, timeout=30)
    (verdict,) = response.results
    assert verdict.flagged
    assert {one.name: one.score for one in verdict.categories}["violence"] == 0.9
    assert list(verdict.categories[0].input_types) == ["text"]
    assert server.requests[0].json == {"model": "omni", "input": ["x"]}
    assert response.moderation_id
