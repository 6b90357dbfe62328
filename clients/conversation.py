"""What a provider is asked, read from whichever wire it came on."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Document = Mapping[str, Any]
Who = Literal["user", "model", "tool", "other"]
CITY = "Oslo"
"""What every text in an answer by a schema is."""
_RESULTS = frozenset({"tool_result", "function_call_output", "custom_tool_call_output"})
_CALLS = frozenset({"function_call", "custom_tool_call", "reasoning"})
_PICTURES = frozenset({"image_url", "input_image", "image"})


@dataclass(frozen=True)
class Turn:
    """Who spoke, what, and whether a picture was shown."""

    who: Who
    text: str
    shows: bool = False


@dataclass(frozen=True)
class Tool:
    """A tool that may be called, and the schema of its arguments."""

    name: str
    schema: Document


@dataclass(frozen=True)
class Conversation:
    """What is asked. ``schema`` is the answer's, ``wants_json`` that it is to be an object of any kind."""

    turns: tuple[Turn, ...]
    tools: tuple[Tool, ...] = ()
    schema: Document | None = None
    wants_json: bool = False
    thinks: bool = False
    system: str = ""
    results: tuple[str, ...] = field(init=False)
    """Of the tools, since the last question."""
    question: Turn = field(init=False)

    def __post_init__(self) -> None:
        """Find the last question, and what tools have said since."""
        last = max((index for index, turn in enumerate(self.turns) if turn.who == "user"), default=-1)
        object.__setattr__(self, "question", self.turns[last] if last >= 0 else Turn("user", ""))
        object.__setattr__(self, "results", tuple(turn.text for turn in self.turns[last + 1 :] if turn.who == "tool"))


def conversation_of(path: str, body: Document) -> Conversation:
    """Return what a request asks."""
    if path.endswith("/responses"):
        return _responses(body)
    if path.endswith("/messages"):
        return _messages(body)
    if "enerateContent" in path:
        return _gemini(body)
    return _chat(body)


def _chat(body: Document) -> Conversation:
    form = body.get("response_format") or {}
    tools = [each["function"] for each in body.get("tools") or () if each.get("type") == "function"]
    return Conversation(
        tuple(_turns(body.get("messages") or ())),
        _offered(((each["name"], each.get("parameters")) for each in tools), body.get("tool_choice")),
        (form.get("json_schema") or {}).get("schema"),
        form.get("type") == "json_object",
        body.get("reasoning_effort") not in (None, "none"),
        _system(body.get("messages") or ()),
    )


def _responses(body: Document) -> Conversation:
    given = body.get("input") or ()
    items = [{"role": "user", "content": given}] if isinstance(given, str) else given
    form = (body.get("text") or {}).get("format") or {}
    tools = [each for each in body.get("tools") or () if each.get("type") == "function"]
    return Conversation(
        tuple(_turns(items)),
        _offered(((each["name"], each.get("parameters")) for each in tools), body.get("tool_choice")),
        form.get("schema"),
        form.get("type") == "json_object",
        (body.get("reasoning") or {}).get("effort") not in (None, "none"),
        str(body.get("instructions") or "") + _system(items),
    )


def _messages(body: Document) -> Conversation:
    asked = body.get("output_config") or {}
    thinking = (body.get("thinking") or {}).get("type")
    return Conversation(
        tuple(_turns(body.get("messages") or ())),
        _offered(
            ((each["name"], each.get("input_schema")) for each in body.get("tools") or ()), body.get("tool_choice")
        ),
        (asked.get("format") or {}).get("schema"),
        False,
        thinking not in (None, "disabled") or "effort" in asked,
        _text(body.get("system") or ""),
    )


def _gemini(body: Document) -> Conversation:
    wanted = body.get("generationConfig") or {}
    declared = [each for tool in body.get("tools") or () for each in tool.get("functionDeclarations", ())]
    calling = (body.get("toolConfig") or {}).get("functionCallingConfig") or {}
    names = calling.get("allowedFunctionNames") or ()
    choice = "none" if calling.get("mode") == "NONE" else {"name": names[0]} if len(names) == 1 else "auto"
    offered = ((each["name"], each.get("parametersJsonSchema") or each.get("parameters")) for each in declared)
    return Conversation(
        tuple(turn for content in body.get("contents") or () for turn in _gemini_turns(content)),
        _offered(offered, choice),
        wanted.get("responseJsonSchema") or wanted.get("responseSchema"),
        wanted.get("responseMimeType") == "application/json",
        "thinkingConfig" in wanted,
        _text((body.get("systemInstruction") or {}).get("parts") or ""),
    )


def _gemini_turns(content: Document) -> Iterator[Turn]:
    parts = content.get("parts") or ()
    results = [part["functionResponse"]["response"] for part in parts if "functionResponse" in part]
    if results:
        yield from (Turn("tool", "".join(str(value) for value in result.values())) for result in results)
        return
    who: Who = "model" if content.get("role") == "model" else "user"
    yield Turn(who, _text(parts), any("inlineData" in part for part in parts))


def _turns(messages: Iterable[Document]) -> Iterator[Turn]:
    """Yield the turns of messages and items; one that holds results of tools says nothing else."""
    for message in messages:
        role, content = message.get("role"), message.get("content") or ()
        if role == "tool" or message.get("type") in _RESULTS:
            yield Turn("tool", _text(message.get("output", content)))
            continue
        blocks = [] if isinstance(content, str) else content
        results = [block for block in blocks if block.get("type") in _RESULTS]
        if results:
            yield from (Turn("tool", _text(block.get("content") or "")) for block in results)
        elif role == "assistant" or message.get("type") in _CALLS:
            yield Turn("model", _text(content))
        elif role == "user":
            yield Turn("user", _text(content), any(block.get("type") in _PICTURES for block in blocks))


def _system(messages: Iterable[Document]) -> str:
    return "\n".join(
        _text(message.get("content") or "") for message in messages if message.get("role") in ("system", "developer")
    )


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    return "".join(str(part.get("text") or "") for part in content if isinstance(part, dict))


def _offered(tools: Iterable[tuple[str, Document | None]], choice: Any) -> tuple[Tool, ...]:
    """Return the tools that may be called: none, the one that is named, or all."""
    kind = choice.get("type") if isinstance(choice, dict) else choice
    if kind == "none":
        return ()
    named = (choice.get("function") or choice).get("name") if isinstance(choice, dict) else None
    return tuple(Tool(name, schema or {}) for name, schema in tools if named in (None, name))


def instance_of(schema: Any, defined: Document | None = None) -> Any:
    """Return something that fits a schema, made of the plainest values."""
    defined = defined or schema.get("$defs") or schema.get("definitions") or {}
    if "$ref" in schema:
        return instance_of(defined[schema["$ref"].rpartition("/")[2]], defined)
    for name in ("const", "enum", "anyOf", "allOf"):
        if name in schema:
            found = schema[name]
            return found if name == "const" else found[0] if name == "enum" else instance_of(found[0], defined)
    kind = schema.get("type", "object")
    kind = (kind[0] if isinstance(kind, list) else kind).lower()
    if kind == "object":
        return {name: instance_of(each, defined) for name, each in (schema.get("properties") or {}).items()}
    if kind == "array":
        return [instance_of(schema.get("items") or {}, defined)]
    return {"string": CITY, "integer": 7, "number": 7.5, "boolean": True, "null": None}[kind]


def schema_in(text: str) -> Document | None:
    """Return the schema that a client has written into its instructions; None where there is none."""
    decoder = json.JSONDecoder()
    for at in (index for index, letter in enumerate(text) if letter == "{"):
        try:
            found, _ = decoder.raw_decode(text[at:])
        except ValueError:
            continue
        if "properties" in found:
            return found
    return None
