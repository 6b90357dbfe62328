"""What OpenAI's wire formats take: an example of each kind of request, and the paths that lead to each."""

from __future__ import annotations

from typing import Any

_PICTURE = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR4nGNgYPhfDwADgwGAkS6d0QAAAABJRU5ErkJggg=="


def _chat(*messages: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"model": "fast", "messages": list(messages) or [{"role": "user", "content": "Hello"}], **more}


_TOOL = {"type": "function", "function": {"name": "place", "description": "d", "parameters": {"type": "object"}}}
_CALLED = {"id": "c1", "type": "function", "function": {"name": "place", "arguments": "{}"}}

CHATS: tuple[dict[str, Any], ...] = (
    _chat(),
    _chat(stream=True, stream_options={"include_usage": True}),
    _chat(
        {"role": "system", "content": "Be brief."},
        {"role": "developer", "content": [{"type": "text", "text": "Now."}]},
        {"role": "user", "name": "n", "content": [{"type": "text", "text": "?"}, {"type": "image_url", "image_url": {"url": _PICTURE}}]},
        {"role": "assistant", "content": None, "tool_calls": [_CALLED]},
        {"role": "tool", "tool_call_id": "c1", "content": "Oslo"},
        tools=[_TOOL], tool_choice="auto", parallel_tool_calls=True,
    ),
    _chat(tools=[_TOOL], tool_choice={"type": "function", "function": {"name": "place"}}, stream=True),
    _chat(
        temperature=0.5, top_p=0, n=1, stop=["a", "b"], max_tokens=10, presence_penalty=0.5, frequency_penalty=-0.5, seed=7,
        logit_bias={"50": 1}, user="u", metadata={"a": "b"}, logprobs=False, top_logprobs=0, store=False,
    ),
    _chat(
        response_format={"type": "json_schema", "json_schema": {"name": "s", "strict": True, "schema": {"type": "object"}}},
        max_completion_tokens=20, reasoning_effort="low", service_tier="auto", verbosity="low", modalities=["text"],
    ),
    _chat(
        {"role": "user", "content": "hi"}, {"role": "assistant", "content": "a", "refusal": None, "reasoning_content": "r"},
        {"role": "user", "content": [{"type": "file", "file": {"file_data": "data:application/pdf;base64,JVBERi0=", "filename": "f"}}]},
        functions=[{"name": "place", "parameters": {}}], function_call="auto", prompt_cache_key="k", safety_identifier="s",
    ),
)  # fmt: skip
COMPLETIONS: tuple[dict[str, Any], ...] = (
    {"model": "fast", "prompt": "Once"},
    {
        "model": "fast",
        "prompt": ["Once", "Twice"],
        "stream": True,
        "max_tokens": 5,
        "echo": False,
        "n": 1,
        "best_of": 1,
    },
    {"model": "fast", "prompt": [1, 2, 3], "suffix": "end", "logprobs": 1, "stop": None, "temperature": 0},
)
EMBEDDINGS: tuple[dict[str, Any], ...] = (
    {"model": "vectors", "input": "one"},
    {"model": "vectors", "input": ["one", "two"], "encoding_format": "base64", "user": "u"},
    {"model": "vectors", "input": [[1, 2], [3]], "encoding_format": "float", "dimensions": 8},
)
_CALL = {"type": "function_call", "call_id": "c1", "name": "place", "arguments": "{}"}
RESPONSES: tuple[dict[str, Any], ...] = (
    {"model": "fast", "input": "Hello", "store": False},
    {
        "model": "fast",
        "input": [{"role": "user", "content": "Hello"}],
        "stream": True,
        "instructions": "Be brief.",
        "store": False,
    },
    {
        "model": "fast",
        "store": False,
        "tool_choice": {"type": "function", "name": "place"},
        "tools": [
            {"type": "function", "name": "place", "parameters": {"type": "object"}, "strict": None},
            {
                "type": "custom",
                "name": "patch",
                "format": {"type": "grammar", "syntax": "lark", "definition": "start: x"},
            },
            {"type": "namespace", "name": "n", "tools": [{"type": "function", "name": "inner"}]},
            {"type": "web_search"},
        ],
        "input": [
            {
                "type": "message",
                "role": "user",
                "content": [{"type": "input_text", "text": "?"}, {"type": "input_image", "image_url": _PICTURE}],
            },
            {
                "type": "reasoning",
                "id": "rs_1",
                "summary": [{"type": "summary_text", "text": "Hm"}],
                "encrypted_content": "pk1r.AAAA",
            },
            _CALL,
            {"type": "function_call_output", "call_id": "c1", "output": [{"type": "input_text", "text": "Oslo"}]},
            {"type": "custom_tool_call", "call_id": "c2", "name": "patch", "input": "x"},
            {"type": "custom_tool_call_output", "call_id": "c2", "output": "done"},
            {"type": "web_search_call", "id": "ws_1"},
        ],
    },
    {
        "model": "fast",
        "input": "Hi",
        "store": False,
        "temperature": 0.5,
        "top_p": 0,
        "max_output_tokens": 16,
        "top_logprobs": 2,
        "reasoning": {"effort": "low", "summary": "auto"},
        "include": ["reasoning.encrypted_content"],
        "truncation": "auto",
        "text": {"format": {"type": "json_schema", "name": "s", "schema": {"type": "object"}}, "verbosity": "low"},
        "metadata": {"a": "b"},
        "user": "u",
        "service_tier": "auto",
        "parallel_tool_calls": False,
        "max_tool_calls": 3,
    },
)
BODIES = {"chat/completions": CHATS, "responses": RESPONSES, "completions": COMPLETIONS, "embeddings": EMBEDDINGS}
ROOTS = (
    *("/v1/",) * 12, "/", "/v1/v1/", "//v1//", "/openai/v1/", "/openai/deployments/fast/",
    "/openai/deployments/vectors/", "/openai/deployments/a%2Fb/", "/engines/fast/", "/v1/engines/fast/",
)  # fmt: skip
ENDS = ("",) * 30 + ("/", "?api-version=2024-10-21", "?a=b&a=c", "?%zz", "/.", "/../models", "%00", "#x")
GETS = (
    "/v1/models", "/v1/models/fast", "/v1/models/", "/v1/models/no-such", "/v1/models/a/b", "/v1/models/%2e%2e", "/models",
    "/openai/models?api-version=1", "/openai/deployments", "/v1/models/" + "m" * 3000, "/v1/models/%F0%9F%92%A9",
    "/v1/models/%ff%fe", "/", "/docs", "/openapi.json", "/healthz", "/readyz", "/v1/responses", "/v1/messages", "/v1/files",
    "/v1/responses/resp_0", "/v1/responses/resp_0?stream=true&starting_after=-1", "/v1/responses/%00/input_items?limit=x",
    "/v1/chat/completions/abc", "/v1/batches", "/v1/messages/batches", "/v1/messages/batches/msgbatch_0/results", "/v1/moderations", "/v1/images/generations", "/nothing", "*",
)  # fmt: skip
METHODS = (b"POST",) * 40 + (b"GET", b"PUT", b"DELETE", b"HEAD", b"OPTIONS", b"PATCH", b"post", b"BREW")
