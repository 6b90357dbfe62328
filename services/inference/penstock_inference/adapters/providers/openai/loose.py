"""Reads chunks that are not of the usual types: what an answer needs is taken, whatever stands beside it.

Values come in other types than OpenAI's (numbers as text, text as a list of
parts, arguments as an object), surrogate halves come escaped and alone, and
side fields hold anything.
"""

from __future__ import annotations

import json
import math
from typing import Any, cast

import msgspec

from penstock_inference.adapters.providers.http.halves import mended
from penstock_inference.adapters.providers.openai import chunks as wire

_WORD_FIELDS = ("type", "reason", "value")
# Names of the parts of a trace of reasoning, by vendor.
_THOUGHTS = ("thinking", "reasoning", "reasoning_content", "reasoning_text", "thought")


def chunk_of(value: object) -> wire.Chunk:
    """Return what can be understood of a chunk; one without anything where nothing can."""
    if not isinstance(value, dict):
        return wire.Chunk()
    chunk = cast("dict[str, Any]", value)
    return wire.Chunk(
        choices=_choices(chunk.get("choices")),
        usage=_usage(chunk.get("usage")),
        error=_raw(chunk, "error"),
        service_tier=chunk.get("service_tier"),
        x_groq=wire.GroqsOwn(_usage(_member(chunk.get("x_groq"), "usage"))),
    )


def _member(value: object, name: str) -> object:
    return cast("dict[str, Any]", value).get(name) if isinstance(value, dict) else None


def _choices(value: object) -> list[wire.Choice] | None:
    values: list[Any] = [value] if isinstance(value, dict) else value if isinstance(value, list) else []
    choices = [_choice(choice, place) for place, choice in enumerate(values) if isinstance(choice, dict)]
    return choices if choices or isinstance(value, list) else None


def _choice(choice: dict[str, Any], place: int) -> wire.Choice:
    index = whole_number(choice.get("index"))
    delta = _delta(choice.get("delta"))
    if delta is None and isinstance(choice.get("text"), str):
        delta = wire.Delta(content=choice["text"])
    stop_reason = choice.get("stop_reason")
    return wire.Choice(
        index=place if index is None else index,
        delta=delta,
        message=_delta(choice.get("message")),
        finish_reason=_finish_word(choice),
        stop_reason=stop_reason if isinstance(stop_reason, str) else None,
        usage=_usage(choice.get("usage")),
        logprobs=_raw(choice, "logprobs"),
        error=_raw(choice, "error"),
    )


def _finish_word(choice: dict[str, Any]) -> str | None:
    word: Any = choice.get("finish_reason") or choice.get("finishReason")
    if isinstance(word, dict):
        named = cast("dict[str, Any]", word)
        word = next((named[name] for name in _WORD_FIELDS if named.get(name)), "")
    if isinstance(word, str):
        return word
    return "stop" if word and isinstance(word, bool | int | float) else None


def _delta(value: object) -> wire.Delta | None:
    if isinstance(value, str):
        return wire.Delta(content=value)
    if not isinstance(value, dict):
        return None
    delta = cast("dict[str, Any]", value)
    thoughts, text = _content(delta.get("content"))
    told = _text(delta.get("reasoning_content")) or _text(delta.get("reasoning"))
    calls = delta.get("tool_calls")
    calls = [calls] if isinstance(calls, dict) else calls if isinstance(calls, list) else []
    call = delta.get("function_call")
    return wire.Delta(
        content=text,
        reasoning_content=told + thoughts,
        refusal=_text(delta.get("refusal")),
        tool_calls=[_tool_call(piece) for piece in cast("list[Any]", calls) if isinstance(piece, dict)],
        function_call=_function(cast("dict[str, Any]", call)) if isinstance(call, dict) else None,
        reasoning_details=_raw(delta, "reasoning_details"),
        thinking_blocks=_raw(delta, "thinking_blocks"),
        extra_content=_raw(delta, "extra_content"),
    )


def _content(value: object) -> tuple[str, str]:
    """Return the thoughts and the text of a message's content: Mistral gives a list of parts of both kinds."""
    if isinstance(value, list):
        pairs = [_content(part) for part in cast("list[Any]", value)]
        return "".join([thoughts for thoughts, _ in pairs]), "".join([text for _, text in pairs])
    if isinstance(value, dict):
        part = cast("dict[str, Any]", value)
        for name in _THOUGHTS:
            if part.get("type") == name or (name in part and "text" not in part):
                return _text(part.get(name)) or _text(part.get("text")), ""
        return "", _text(part.get("text")) or _text(part.get("refusal")) or _text(part.get("content"))
    return "", _text(value)


def _text(value: object) -> str:
    """Return the text of a value; a number is its own, and what is neither has none."""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return "".join(map(_text, cast("list[Any]", value)))
    if isinstance(value, dict):
        part = cast("dict[str, Any]", value)
        return _text(part.get("text")) or _text(part.get("content")) or _text(part.get("summary"))
    return "" if value is None or isinstance(value, bool) else str(value)


def _tool_call(piece: dict[str, Any]) -> wire.ToolCall:
    number = whole_number(piece.get("index"))
    index: int | str | None = number
    if number is None and isinstance(piece.get("index"), str):
        index = piece["index"]
    function = piece.get("function")
    function = cast("dict[str, Any]", function) if isinstance(function, dict) else piece
    custom = piece.get("custom")
    return wire.ToolCall(
        index=index,
        id=_text(piece.get("id")),
        function=_function(function),
        custom=_custom_tool(cast("dict[str, Any]", custom)) if isinstance(custom, dict) else None,
        extra_content=_raw(piece, "extra_content"),
    )


def _custom_tool(tool: dict[str, Any]) -> wire.CustomTool:
    return wire.CustomTool(name=_text(tool.get("name")), input=_text(tool.get("input")))


def _function(function: dict[str, Any]) -> wire.Function:
    arguments = function.get("arguments")
    if isinstance(arguments, dict | list):
        arguments = json.dumps(arguments, ensure_ascii=False, separators=(",", ":"))
    return wire.Function(name=_text(function.get("name")), arguments=_text(arguments))


def _usage(value: object) -> wire.UsageCounts | None:
    if not isinstance(value, dict) or not value:
        return None
    usage = cast("dict[str, Any]", value)
    prompt, completion = usage.get("prompt_tokens_details"), usage.get("completion_tokens_details")
    counts = wire.UsageCounts(
        whole_number(usage.get("prompt_tokens")),
        whole_number(usage.get("completion_tokens")),
        whole_number(usage.get("total_tokens")),
        cached_tokens=whole_number(usage.get("cached_tokens")),
        prompt_cache_hit_tokens=whole_number(usage.get("prompt_cache_hit_tokens")),
    )
    if isinstance(prompt, dict):
        parts = cast("dict[str, Any]", prompt)
        counts.prompt_tokens_details = wire.PromptDetails(
            whole_number(parts.get("cached_tokens")), whole_number(parts.get("cache_write_tokens"))
        )
    if isinstance(completion, dict):
        parts = cast("dict[str, Any]", completion)
        counts.completion_tokens_details = wire.CompletionDetails(whole_number(parts.get("reasoning_tokens")))
    return counts


def whole_number(value: object) -> int | None:
    """Return the number that a value is, in whichever type; None where it is none."""
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return int(value) if math.isfinite(value) else None


def _raw(fields: dict[str, Any], name: str) -> msgspec.Raw:
    """Return a member as JSON again."""
    if name not in fields:
        return wire.ABSENT
    return msgspec.Raw(mended(json.dumps(fields[name], ensure_ascii=False, separators=(",", ":"))).encode())
