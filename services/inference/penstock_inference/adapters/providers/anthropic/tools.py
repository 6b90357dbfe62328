"""From tools, and the choice among them, to those of the Messages API."""

from __future__ import annotations

from typing import Any

import msgspec

from penstock_common.llm.types import GenerationInput, Opaque, Tool, ToolChoice, ToolChoiceMode
from penstock_inference.adapters.providers.anthropic.blocks import FORMAT, Block, Writing
from penstock_inference.adapters.providers.carried import Use
from penstock_inference.adapters.providers.http.verbatim import verbatim
from penstock_inference.domain.failure import unsupported
from penstock_inference.domain.model_facts import ThinkingBound

CUSTOM_INPUT = "input"
"""The one argument of the function that stands for a tool of free text."""

_NO_PARAMETERS = msgspec.Raw(b'{"type":"object"}')
_NO_FORMAT = "{}"
_FORCED = {ToolChoiceMode.REQUIRED: Use.TOOL_CHOICE_REQUIRED, ToolChoiceMode.NAMED: Use.TOOL_CHOICE_NAMED}
_WORDS = {
    ToolChoiceMode.AUTO: "auto",
    ToolChoiceMode.NONE: "none",
    ToolChoiceMode.REQUIRED: "any",
    ToolChoiceMode.NAMED: "tool",
}


def tools_of(value: GenerationInput, writing: Writing) -> list[Block | msgspec.Raw]:
    """Return the tools that are sent."""
    allowed = _sent_alone(value, writing)
    tools: list[Block | msgspec.Raw] = []
    for index, tool in enumerate(value.tools):
        if allowed and tool.name not in allowed:
            continue
        path = f"input.tools[{index}]"
        if tool.opaque is None:
            tools.append(writing.with_cache(_tool(tool, path, writing), tool))
        elif (own := _own(tool.opaque, path, writing)) is not None:
            tools.append(own)
    return tools


def choice_of(value: GenerationInput, writing: Writing) -> Block | None:
    """Return ``tool_choice``; None where there is nothing to choose, or nothing is said."""
    choice = value.tool_choice
    if choice is None or not value.tools:
        return None
    mode = _mode(choice, writing)
    wanted: Block = {"type": _WORDS[mode]}
    if mode is ToolChoiceMode.NAMED:
        # A named one, or the only one that is allowed where one is required.
        wanted["name"] = choice.tool_name or choice.allowed_tools[0]
    if choice.parallel is False and mode is not ToolChoiceMode.NONE and _takes_parallel(writing):
        wanted["disable_parallel_tool_use"] = True
    # Who says what is usual anyway is to find it in what is sent.
    return None if wanted == {"type": "auto"} and choice.mode is not ToolChoiceMode.AUTO else wanted


def forces(choice: Block | None) -> bool:
    """Return whether the model is made to call, beside which it does not think."""
    return choice is not None and choice["type"] in ("any", "tool")


def _mode(choice: ToolChoice, writing: Writing) -> ToolChoiceMode:
    mode = choice.mode or ToolChoiceMode.AUTO
    use = _FORCED.get(mode)
    if use is None:
        return mode
    if not writing.facts.forced_tool_choice and not writing.policy.sends(
        use.value, "input.tool_choice", "is not supported by this model, which cannot be made to call a tool"
    ):
        return ToolChoiceMode.AUTO
    is_named = mode is ToolChoiceMode.REQUIRED and len(choice.allowed_tools) == 1
    return ToolChoiceMode.NAMED if is_named else mode


def _takes_parallel(writing: Writing) -> bool:
    return writing.facts.parallel_tools or writing.policy.sends(
        Use.PARALLEL_TOOLS.value, "input.tool_choice.parallel", "is not supported by this model"
    )


def _sent_alone(value: GenerationInput, writing: Writing) -> tuple[str, ...]:
    """Return the names of the tools without which none is sent; empty for all."""
    choice = value.tool_choice
    if choice is None or not choice.allowed_tools or all(tool.name in choice.allowed_tools for tool in value.tools):
        return ()
    if choice.mode is ToolChoiceMode.REQUIRED and len(choice.allowed_tools) == 1 and writing.facts.forced_tool_choice:
        # It is named instead, and the others may stay.
        return ()
    if writing.facts.thinking_bound is ThinkingBound.NOTHING:
        return choice.allowed_tools
    path = "input.tool_choice.allowed_tools"
    why = "is not supported by this model, whose thinking is bound to its tools"
    if writing.policy.sends(Use.ALLOWED_TOOLS.value, path, why):
        return choice.allowed_tools
    return ()


def _tool(tool: Tool, path: str, writing: Writing) -> Block:
    written: Block = {"name": tool.name}
    if tool.description:
        written["description"] = tool.description
    if tool.custom_json:
        written["input_schema"] = _schema_of_text(tool.custom_json, path)
        return written
    has_schema = tool.parameters_json not in ("", _NO_FORMAT)
    written["input_schema"] = (
        verbatim(tool.parameters_json, f"{path}.parameters_json") if has_schema else _NO_PARAMETERS
    )
    if tool.strict and (
        writing.facts.json_schema
        or writing.policy.sends(Use.STRICT_TOOLS.value, f"{path}.strict", "is not supported by this model")
    ):
        written["strict"] = True
    return written


def _schema_of_text(custom_json: str, path: str) -> dict[str, Any]:
    text = {"type": "string"}
    if custom_json != _NO_FORMAT:
        verbatim(custom_json, f"{path}.custom_json")
        text["description"] = f"Free text, as this format says: {custom_json}"
    return {
        "type": "object",
        "properties": {CUSTOM_INPUT: text},
        "required": [CUSTOM_INPUT],
        "additionalProperties": False,
    }


def _own(opaque: Opaque, path: str, writing: Writing) -> msgspec.Raw | None:
    """Return a tool that the provider runs, None for one of another's that is left out."""
    if opaque.format == FORMAT:
        return verbatim(opaque.json, f"{path}.opaque.json")
    if writing.policy.sends(Use.TOOLS.value, path, "is a tool of another provider's"):
        raise unsupported(path, "is a tool of another provider's")
    return None
