"""What each provider's wire can say, and where a request has what it was told: one entry for every provider of the registry."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from importlib import import_module
from typing import Any

from penstock_common.llm.encrypted_reasoning import EncryptedReasoning, hidden_of
from penstock_common.llm.types import GenerationInput, Message, Reasoning, Role, Text
from penstock_faults.http.server import ScriptedUpstream
from penstock_inference.adapters.providers.anthropic.table import TABLE as ANTHROPIC
from penstock_inference.adapters.providers.carried import Table, Use
from penstock_inference.adapters.providers.deepseek.settings import DIALECT as DEEPSEEK
from penstock_inference.adapters.providers.gemini.table import TABLE as GEMINI
from penstock_inference.adapters.providers.openai.table import TABLES as CHAT
from penstock_inference.adapters.providers.openai.table import table_of as of_dialect
from penstock_inference.adapters.providers.openai_responses.table import TABLE as RESPONSES
from penstock_inference.adapters.providers.registry import PROVIDERS

Body = Mapping[str, Any]
Told = tuple[Any, ...]
"""A block of a turn as a request has it: ``("text", text)``, ``("reasoning", text, signature)``, ``("hidden", data)`` or
``("call", id, name, arguments)``."""


def _text_of(content: Any) -> str:
    if isinstance(content, str):
        return content
    return "".join(str(part.get("text", "")) for part in content or [] if isinstance(part, dict))


def _of_chat(body: Body) -> Iterator[Told]:
    turn = [message for message in body["messages"] if message["role"] == "assistant"][-1]
    if thoughts := turn.get("reasoning_content") or turn.get("reasoning"):
        yield "reasoning", thoughts, ""
    if turn.get("content"):
        yield "text", _text_of(turn["content"])
    if turn.get("refusal"):
        yield "text", turn["refusal"]
    for call in turn.get("tool_calls") or []:
        yield "call", call["id"], call["function"]["name"], call["function"]["arguments"]


def _of_anthropic(body: Body) -> Iterator[Told]:
    turn = [message for message in body["messages"] if message["role"] == "assistant"][-1]
    content = turn["content"] if isinstance(turn["content"], list) else [{"type": "text", "text": turn["content"]}]
    for block in content:
        if block["type"] == "text":
            yield "text", block["text"], block.get("citations") or []
        elif block["type"] == "thinking":
            yield "reasoning", block["thinking"], block["signature"]
        elif block["type"] == "redacted_thinking":
            yield "hidden", block["data"]
        elif block["type"] == "tool_use":
            yield "call", block["id"], block["name"], block["input"]


def _of_gemini(body: Body) -> Iterator[Told]:
    turn = [content for content in body["contents"] if content["role"] == "model"][-1]
    for part in turn["parts"]:
        signature = part.get("thoughtSignature", "")
        if "functionCall" in part:
            call = part["functionCall"]
            yield "call", call.get("id", ""), call["name"], call.get("args", {}), signature
        elif part.get("thought"):
            yield "reasoning", part["text"], signature
        elif "text" in part:
            yield "text", part["text"], signature


def _of_bedrock(body: Body) -> Iterator[Told]:
    turn = [message for message in body["messages"] if message["role"] == "assistant"][-1]
    for block in turn["content"]:
        if "text" in block:
            yield "text", block["text"], []
        elif "citationsContent" in block:
            cited = block["citationsContent"]
            yield "text", _text_of(cited["content"]), cited["citations"]
        elif "toolUse" in block:
            yield "call", block["toolUse"]["toolUseId"], block["toolUse"]["name"], block["toolUse"]["input"]
        elif "redactedContent" in block.get("reasoningContent", {}):
            yield "hidden", block["reasoningContent"]["redactedContent"]
        elif "reasoningContent" in block:
            thought = block["reasoningContent"]["reasoningText"]
            yield "reasoning", thought["text"], thought.get("signature", "")


def _of_responses(body: Body) -> Iterator[Told]:
    for item in body["input"]:
        if item.get("type", "message") == "message" and item.get("role") == "assistant":
            for part in item["content"] if isinstance(item["content"], list) else [{"text": item["content"]}]:
                yield "text", part.get("text") or part.get("refusal", "")
        elif item.get("type") == "function_call":
            yield "call", item["call_id"], item["name"], item["arguments"]
        elif item.get("type") == "reasoning":
            yield "hidden", item.get("encrypted_content", ""), "".join(part["text"] for part in item["summary"])


def _of_ollama(body: Body) -> Iterator[Told]:
    turn = [message for message in body["messages"] if message["role"] == "assistant"][-1]
    if turn.get("thinking"):
        yield "reasoning", turn["thinking"], ""
    if turn.get("content"):
        yield "text", turn["content"]
    for call in turn.get("tool_calls") or []:
        yield "call", "", call["function"]["name"], call["function"]["arguments"]


@dataclass(frozen=True, kw_only=True)
class Wire:
    """A provider's wire: what of a script it can say, and how a turn is read from a request that hands it back."""

    format: str
    provider: str = ""
    """Its name in the configuration, where the wire has another."""
    place: str = ""
    """The format whose base URL it has, where that is another."""
    table: Table | None = None
    """Its own, where its provider's folder has none by its name."""
    has_key: bool = True
    """It is asked with a key, and not with a token of the machine's."""
    told: Callable[[Body], Iterator[Told]]
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Of an upstream, beside its name, address, key and models."""
    reasoning: bool = True
    signatures: bool = False
    hidden: bool = False
    citations: bool = False
    ordered: bool = False
    """Blocks come, and are handed back, in their order."""
    refusals: bool = False
    """A refusal is told from other text."""
    ids: bool = True
    counts: frozenset[str] = frozenset({"cached", "written", "reasoning"})
    matched_stop: bool = False
    details: bool = False
    filters: bool = True
    """It can say that a filter ended an answer, or refused a question."""
    addresses: str = "https://files.example"
    """Where what it fetches by an address may lie."""
    holds: Mapping[Use, str] = field(default_factory=dict)
    """Of a use that is carried in other words: what the request has of it, a regular expression."""
    inputs: Mapping[Use, GenerationInput] = field(default_factory=dict)
    """Requests that ask for a use in a form that it can carry, where the usual one is not."""
    by_facts: frozenset[Use] = frozenset()
    """What a model of which nothing is known is not asked for."""

    def upstream(self, name_of_wire: str, server: ScriptedUpstream, name: str = "first", **more: Any) -> dict[str, Any]:
        """The entry of an upstream that asks this server."""
        model = {
            "name": "m", "context_window": 100_000, "capabilities": ["chat", "tools", "json_schema", "vision"],
            "price": {"input": 1, "output": 2}, **more.pop("model", {}),
        }  # fmt: skip
        key = {"api_key": "sk-ours"} if self.has_key else {}
        return {
            "name": name, "provider": self.provider or name_of_wire, "base_url": server.base_url_of(self.place or self.format), **key,
            "models": [model], **self.settings, **more,
        }  # fmt: skip


def answered(*parts: Any) -> GenerationInput:
    """A request whose history has an answer of these parts."""
    said = Message(role=Role.USER, parts=(Text(text="Hi?"),))
    return GenerationInput(model="m", messages=(said, Message(role=Role.ASSISTANT, parts=parts), said))


_NO_TOOLS = r'^(?!.*"tools")'
_CHAT = Wire(format="openai", told=_of_chat, refusals=True)

_OPENAI = replace(_CHAT, reasoning=False, by_facts=frozenset({Use.CACHE_BREAKPOINT}))
_RESPONSES = Wire(
    format="openai_responses", provider="openai", table=RESPONSES, told=_of_responses, settings={"api": "responses"},
    hidden=True, ordered=True, refusals=True, by_facts=frozenset({Use.CACHE_BREAKPOINT}),
    inputs={Use.REASONING: answered(Reasoning(hidden=hidden_of(EncryptedReasoning("rs_1", "c2lnbmVk"))))},
)  # fmt: skip

_GEMINI = Wire(
    format="gemini", told=_of_gemini, signatures=True, ordered=True, counts=frozenset({"cached", "reasoning"}),
    details=True, addresses="gs://files", holds={Use.STRICT_TOOLS: "VALIDATED"},
)  # fmt: skip

_ANTHROPIC = Wire(
    format="anthropic", told=_of_anthropic, signatures=True, hidden=True, citations=True, ordered=True,
    counts=frozenset({"cached", "written", "written_1h", "reasoning"}), matched_stop=True, details=True,
)  # fmt: skip
_OF_VERTEX = {"project": "ours", "region": "europe-west4"}

WIRES: dict[str, Wire] = {
    "openai": _OPENAI,
    "openai_compatible": _CHAT,
    "vllm": replace(_CHAT, table=CHAT["vllm"], matched_stop=True),
    "deepseek": replace(_CHAT, table=of_dialect(DEEPSEEK)),
    "openai by responses": _RESPONSES,
    "gemini": _GEMINI,
    "vertex": replace(_GEMINI, table=GEMINI, settings=_OF_VERTEX, has_key=False),
    "vertex with claude": replace(
        _ANTHROPIC, provider="vertex", place="gemini", table=ANTHROPIC, settings={**_OF_VERTEX, "publisher": "anthropic"},
        has_key=False,
    ),
    "anthropic": _ANTHROPIC,
    "bedrock": Wire(
        format="bedrock", told=_of_bedrock, settings={"aws_region": "eu-central-1"}, signatures=True, hidden=True,
        citations=True, ordered=True, counts=frozenset({"cached", "written", "written_1h"}), matched_stop=True,
        holds={Use.TOOL_CHOICE_NONE: _NO_TOOLS}, addresses="s3://files",
    ),
    "ollama": replace(_CHAT, table=CHAT["ollama"], holds={Use.TOOL_CHOICE_NONE: _NO_TOOLS}),
    "ollama by its own API": Wire(
        format="ollama", provider="ollama", told=_of_ollama, settings={"native_api": True}, ids=False, filters=False,
        counts=frozenset(), holds={Use.TOOL_CHOICE_NONE: _NO_TOOLS},
    ),
    "azure_openai": replace(_OPENAI, format="azure"),
    "azure_openai by deployments": replace(
        _OPENAI, format="azure", provider="azure_openai", settings={"form": "deployments", "api_version": "2024-10-21"}
    ),
    "azure_openai by responses": replace(_RESPONSES, provider="azure_openai", place="azure"),
}  # fmt: skip
"""By the provider's name. Triton is no wire of HTTP, and has tests of its own."""

ELSEWHERE = frozenset({"triton"})


def table_of(name: str) -> Table:
    """Return what the provider of a wire says of itself."""
    wire = WIRES[name]
    if wire.table is not None:
        return wire.table
    provider = wire.provider or name
    module = import_module(PROVIDERS[provider].settings.__module__.rpartition(".")[0] + ".table")
    return getattr(module, "TABLES", {}).get(provider) or module.TABLE


def as_document(arguments: Any) -> Any:
    """Return a call's arguments as they mean, whether a wire has them as a text or not."""
    return json.loads(arguments) if isinstance(arguments, str) else arguments


def as_text(data: bytes) -> str:
    """Return signatures and what is hidden as wires have them."""
    return data.decode() if _is_base64(data) else base64.b64encode(data).decode()


def _is_base64(data: bytes) -> bool:
    try:
        return base64.b64encode(base64.b64decode(data, validate=True)) == data
    except ValueError:
        return False
