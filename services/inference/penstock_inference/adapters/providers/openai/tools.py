"""From tools, and the choice among them, to the fields of a chat completion."""

from __future__ import annotations

from typing import Any

from penstock_common.llm.types import GenerationInput, Tool, ToolChoice, ToolChoiceMode
from penstock_inference.adapters.providers.carried import Use
from penstock_inference.adapters.providers.http.verbatim import verbatim
from penstock_inference.adapters.providers.openai.dialect import Dialect
from penstock_inference.domain.failure import unsupported
from penstock_inference.domain.unsupported import FieldPolicy

CHOICE_WORDS = {
    ToolChoiceMode.AUTO: "auto",
    ToolChoiceMode.NONE: "none",
    ToolChoiceMode.REQUIRED: "required",
}
_USES = {ToolChoiceMode.REQUIRED: Use.TOOL_CHOICE_REQUIRED, ToolChoiceMode.NAMED: Use.TOOL_CHOICE_NAMED}
_NO_FORMAT = "{}"
_OPAQUE = "is a tool that another provider runs by itself"


def add_tools(body: dict[str, Any], value: GenerationInput, dialect: Dialect, policy: FieldPolicy) -> None:
    """Add the tools that the model is told of: not those that it may not call, where it would.

    Raises:
        AttemptFailed: UNSUPPORTED for a tool that the upstream cannot be told of, BAD_REQUEST for JSON that is none.
    """
    choice = value.tool_choice
    allowed = choice.allowed_tools if choice is not None and not dialect.custom_tools else ()
    if choice is not None and choice.mode is ToolChoiceMode.NONE and not dialect.tool_choice:
        return
    told = [
        _tool(tool, index, dialect)
        for index, tool in enumerate(value.tools)
        if (not allowed or tool.name in allowed) and (tool.opaque is None or not leaves_out_opaque(index, policy))
    ]
    if told:
        body["tools"] = told


def leaves_out_opaque(index: int, policy: FieldPolicy) -> bool:
    """Return True: a tool of another format is never sent, whatever the policy, and refused where it is not left out."""
    path = f"input.tools[{index}].opaque"
    if policy.sends("tools of the provider's", path, _OPAQUE):
        raise unsupported(path, _OPAQUE)
    return True


def _tool(tool: Tool, index: int, dialect: Dialect) -> dict[str, Any]:
    if tool.custom_json:
        return _custom_tool(tool, index, dialect)
    function: dict[str, Any] = {"name": tool.name}
    if tool.description:
        function["description"] = tool.description
    if tool.parameters_json:
        function["parameters"] = verbatim(tool.parameters_json, f"input.tools[{index}].parameters_json")
    if tool.strict is not None:
        function["strict"] = tool.strict
    return {"type": "function", "function": function}


def _custom_tool(tool: Tool, index: int, dialect: Dialect) -> dict[str, Any]:
    path = f"input.tools[{index}].custom_json"
    if not (dialect.custom_tools or dialect.passthrough):
        raise unsupported(path)
    custom: dict[str, Any] = {"name": tool.name}
    if tool.description:
        custom["description"] = tool.description
    if tool.custom_json != _NO_FORMAT:
        custom["format"] = verbatim(tool.custom_json, path)
    return {"type": "custom", "custom": custom}


def add_tool_choice(
    body: dict[str, Any], choice: ToolChoice, tools: tuple[Tool, ...], dialect: Dialect, policy: FieldPolicy
) -> None:
    """Add the choice among the tools.

    Raises:
        AttemptFailed: UNSUPPORTED for a choice that the upstream does not know.
    """
    if choice.mode is not None and (dialect.tool_choice or _is_sent(choice, policy)):
        body["tool_choice"] = _chosen(choice, choice.mode, tools, dialect)
    if choice.parallel is not None and (
        dialect.tool_choice or policy.sends(Use.PARALLEL_TOOLS.value, "input.tool_choice.parallel")
    ):
        body["parallel_tool_calls"] = choice.parallel


def _is_sent(choice: ToolChoice, policy: FieldPolicy) -> bool:
    """Return whether a choice is sent to a server that knows of none: it does what two of them say by itself."""
    if choice.mode in (ToolChoiceMode.AUTO, ToolChoiceMode.NONE):
        return False
    return policy.sends(_USES[choice.mode].value if choice.mode else "", "input.tool_choice")


def _chosen(
    choice: ToolChoice, mode: ToolChoiceMode, tools: tuple[Tool, ...], dialect: Dialect
) -> str | dict[str, Any]:
    if mode is ToolChoiceMode.NAMED:
        return _reference(choice.tool_name, tools)
    if choice.allowed_tools and dialect.custom_tools:
        allowed = [_reference(name, tools) for name in choice.allowed_tools]
        return {"type": "allowed_tools", "allowed_tools": {"mode": CHOICE_WORDS[mode], "tools": allowed}}
    return CHOICE_WORDS[mode]


def _reference(name: str, tools: tuple[Tool, ...]) -> dict[str, Any]:
    kind = "custom" if any(tool.name == name and tool.custom_json for tool in tools) else "function"
    return {"type": kind, kind: {"name": name}}
