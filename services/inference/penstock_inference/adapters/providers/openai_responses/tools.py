"""From tools, and the choice among them, to a response's fields."""

from __future__ import annotations

from typing import Any

import msgspec

from penstock_common.llm.types import Tool, ToolChoice, ToolChoiceMode
from penstock_inference.adapters.providers.http.verbatim import members, verbatim
from penstock_inference.adapters.providers.openai.tools import CHOICE_WORDS, leaves_out_opaque
from penstock_inference.adapters.providers.openai_responses.items import FORMAT
from penstock_inference.domain.unsupported import FieldPolicy

_NO_FORMAT = "{}"
_NO_PARAMETERS = {"type": "object", "properties": {}}
_TYPE = msgspec.json.Decoder(dict[str, object])


def tools_from(tools: tuple[Tool, ...], policy: FieldPolicy) -> list[dict[str, Any] | msgspec.Raw]:
    """Return the tools that the model is told of.

    Raises:
        AttemptFailed: UNSUPPORTED for a tool of another provider's, BAD_REQUEST for JSON that is none.
    """
    return [
        _tool(tool, index)
        for index, tool in enumerate(tools)
        if tool.opaque is None or tool.opaque.format == FORMAT or not leaves_out_opaque(index, policy)
    ]


def _tool(tool: Tool, index: int) -> dict[str, Any] | msgspec.Raw:
    path = f"input.tools[{index}]"
    if tool.opaque is not None:
        return verbatim(tool.opaque.json, f"{path}.opaque")
    told: dict[str, Any] = {"type": "custom" if tool.custom_json else "function", "name": tool.name}
    if tool.description:
        told["description"] = tool.description
    if tool.custom_json:
        if tool.custom_json != _NO_FORMAT:
            told["format"] = _format(tool.custom_json, f"{path}.custom_json")
        return told
    told["parameters"] = (
        verbatim(tool.parameters_json, f"{path}.parameters_json") if tool.parameters_json else _NO_PARAMETERS
    )
    # What is not said is strict here, and was not where the caller comes from.
    told["strict"] = bool(tool.strict)
    return told


def _format(custom_json: str, path: str) -> dict[str, msgspec.Raw]:
    """Return the form of a free text; its grammar stands within an object in chat completions, and without here."""
    told = members(custom_json, path)
    if "grammar" not in told:
        return told
    inner = members(bytes(told["grammar"]).decode(), path)
    return {name: value for name, value in told.items() if name != "grammar"} | inner


def tool_choice_from(choice: ToolChoice, mode: ToolChoiceMode, tools: tuple[Tool, ...]) -> str | dict[str, Any]:
    """Return the choice."""
    if mode is ToolChoiceMode.NAMED:
        return _reference(choice.tool_name, tools)
    if choice.allowed_tools:
        allowed = [_reference(name, tools) for name in choice.allowed_tools]
        return {"type": "allowed_tools", "mode": CHOICE_WORDS[mode], "tools": allowed}
    return CHOICE_WORDS[mode]


def _reference(name: str, tools: tuple[Tool, ...]) -> dict[str, Any]:
    tool = next((tool for tool in tools if tool.name == name), None)
    if tool is not None and tool.opaque is not None:
        return {"type": _TYPE.decode(tool.opaque.json).get("type", name)}
    return {"type": "custom" if tool is not None and tool.custom_json else "function", "name": name}
