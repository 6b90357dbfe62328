"""``/v1/embeddings`` on a real suite: the format, the refusals, the bill."""

from __future__ import annotations

import base64
import io
import json
import math
import struct
import sys
from pathlib import Path
from typing import Any

import pytest

from penstock_common.testing.openai_upstream import Failure

sys.path.insert(0, str(Path(__file__).parent))

from embedding_world import MODEL, embedding_section  # noqa: E402


@pytest.fixture(scope="session")
def model_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("models")


@pytest.fixture
def document(document: dict[str, Any], model_cache: Path) -> dict[str, Any]:
    return {**document, "embedding": embedding_section(model_cache)}


@pytest.fixture
def embed(suite: Any) -> Any:
    async def call(key: str = suite.KEY, **body: Any) -> Any:
        body = {"model": MODEL, **body}
        head = {"authorization": f"Bearer {key}", "content-type": "application/json"}
        data = io.BytesIO(json.dumps(body).encode())
        return await suite.request("POST", "/v1/embeddings", data=data, headers=head)

    return call


async def test_a_text_becomes_a_vector_in_the_vendors_format(embed: Any) -> None:
    answered = await embed(input="hello world")
    assert answered.status == 200
    assert list(answered.json) == ["object", "data", "model", "usage"]
    (item,) = answered.json["data"]
    assert list(item) == ["object", "index", "embedding"]
    assert (answered.json["object"], item["object"], item["index"]) == ("list", "embedding", 0)
    assert answered.json["model"] == MODEL
    assert answered.json["usage"] == {"prompt_tokens": 4, "total_tokens": 4}
    assert len(item["embedding"]) == 384
    assert math.hypot(*item["embedding"]) == pytest.approx(1, abs=1e-4)


async def test_base64_holds_the_same_numbers_as_little_endian_float32(embed: Any) -> None:
    texts = ["one", "two and a half"]
    numbers = (await embed(input=texts, encoding_format="float")).json["data"]
    packed = (await embed(input=texts, encoding_format="base64")).json["data"]
    for number, (left, right) in enumerate(zip(numbers, packed, strict=True)):
        assert right["index"] == number
        unpacked = struct.unpack("<384f", base64.b64decode(right["embedding"]))
        assert list(unpacked) == pytest.approx(left["embedding"], abs=1e-6)


async def test_the_head_says_who_answered_and_at_which_cost(embed: Any) -> None:
    header = (await embed(input="hello world")).header
    assert header["x-penstock-model"] == MODEL
    assert header["x-penstock-upstream"] == "embedding"
    assert header["x-penstock-cost-usd"] == "0.00000008"
    assert float(header["x-penstock-overhead-ms"]) > 0
    assert header["x-request-id"]
    assert int(header["x-ratelimit-remaining-requests"]) > 0


@pytest.mark.parametrize(
    ("body", "param", "code"),
    [
        ({"input": []}, "input", None),
        ({"input": ""}, "input[0]", None),
        ({"input": ["a", ""]}, "input[1]", None),
        ({"input": ["a"] * 2049}, "input", None),
        ({"input": ["a" * 1_048_577]}, "input[0]", None),
        ({"input": [1, 2, 3]}, "input", "unsupported_parameter"),
        ({"input": [[1, 2], [3]]}, "input", "unsupported_parameter"),
        ({"input": {"text": "a"}}, "input", None),
        ({}, "input", None),
        ({"input": "a", "encoding_format": "hex"}, "encoding_format", None),
        ({"input": "a", "dimensions": 64}, "dimensions", "unsupported_parameter"),
        ({"input": "a", "dimensions": 0}, "dimensions", None),
        ({"input": "a", "truncate_prompt_tokens": 5}, "truncate_prompt_tokens", "unsupported_parameter"),
        ({"input": "a", "user": "u" * 257}, "user", None),
        ({"input": "a", "model": ""}, "model", None),
    ],
)
async def test_what_cannot_be_honoured_is_a_400_that_names_it(
    embed: Any, body: dict[str, Any], param: str, code: str | None
) -> None:
    answered = await embed(**body)
    assert (answered.status, answered.error["type"]) == (400, "invalid_request_error")
    assert (answered.error["param"], answered.error["code"]) == (param, code)


async def test_another_model_does_not_exist(embed: Any) -> None:
    answered = await embed(input="a", model="text-embedding-3-small")
    assert (answered.status, answered.error["code"]) == (404, "model_not_found")


async def test_a_key_may_be_kept_from_the_model(suite: Any, embed: Any) -> None:
    answered = await embed(key=suite.NARROW_KEY, input="a")
    assert (answered.status, answered.error["code"]) == (403, "model_not_permitted")


async def test_nobody_embeds_without_a_key(embed: Any) -> None:
    answered = await embed(key="nobody's", input="a")
    assert (answered.status, answered.error["code"]) == (401, "invalid_api_key")


async def test_another_method_is_not_allowed(suite: Any) -> None:
    assert (await suite.request("GET", "/v1/embeddings")).status == 405


async def test_requests_count_against_the_tenants_rate(suite: Any, embed: Any) -> None:
    statuses = [(await embed(key=suite.FREE_KEY, input="a")).status for _ in range(4)]
    assert statuses == [200, 200, 200, 429]


async def test_chat_and_embedding_models_are_listed_together(suite: Any) -> None:
    listed = await suite.request("GET", "/v1/models", headers={"authorization": f"Bearer {suite.KEY}"})
    assert [model["id"] for model in listed.json["data"]] == [MODEL, "fast", "safe"]
    one = await suite.request("GET", f"/v1/models/{MODEL}", headers={"authorization": f"Bearer {suite.KEY}"})
    assert one.json["id"] == MODEL


async def test_each_admitted_request_is_one_row_with_its_cost(suite: Any, embed: Any) -> None:
    await embed(input=["hello world", "hello"], user="ann")
    await embed(input="a", dimensions=64)
    await embed(input="")
    first, second = await suite.ledger_after_close()
    assert (first["surface"], first["requested_model"], first["model"]) == ("openai", MODEL, MODEL)
    assert (first["upstream"], first["outcome"], first["user"]) == ("embedding", "ok", "ann")
    assert (first["input_tokens"], first["output_tokens"], first["cost_nano_usd"]) == (7, 0, 140)
    assert first["input_price_nano_usd"] == 20_000_000
    assert first["time_to_first_token_ms"] is None
    assert (second["outcome"], second["cost_nano_usd"]) == ("unsupported_parameter", 0)


async def test_a_deadline_that_is_too_short_is_a_504(suite: Any) -> None:
    body = json.dumps({"model": MODEL, "input": ["a text of some length " * 20] * 512}).encode()
    head = {"authorization": f"Bearer {suite.KEY}", "x-penstock-timeout": "100ms"}
    answered = await suite.request("POST", "/v1/embeddings", data=body, headers=head)
    assert (answered.status, answered.error["code"]) == (504, "deadline_exceeded")


async def test_unknown_model_uses_up_no_allowance(suite, embed):
    for _ in range(4):
        answered = await embed(key=suite.FREE_KEY, model="nope", input="a")
        assert (answered.status, answered.header["x-ratelimit-remaining-requests"]) == (404, "3")
    assert (await embed(key=suite.FREE_KEY, input="a")).header["x-ratelimit-remaining-requests"] == "2"


@pytest.mark.parametrize("status", [429, 503, 529])
async def test_overload_of_a_provider_is_not_our_own_refusal(
    serve: Any, document: dict[str, Any], upstream: Any, status: int
) -> None:
    """Marked as one, the edge would have every other gateway ask the provider again."""
    provider = {"name": "far", "base_url": upstream.base_url, "api_key": "sk-ours", "model": "far-small", "attempts": 1}
    document["embedding"] = {"model": MODEL, "runtime": "provider", "provider": provider}
    suite = await serve()
    upstream.enqueue(Failure(status, {}))
    head = {"authorization": f"Bearer {suite.KEY}", "content-type": "application/json"}
    data = io.BytesIO(json.dumps({"model": MODEL, "input": "hello"}).encode())
    answered = await suite.request("POST", "/v1/embeddings", data=data, headers=head)
    assert answered.status >= 429
    assert "x-penstock-refused" not in answered.header
    assert len(upstream.requests) == 1
