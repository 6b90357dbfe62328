"""Turns the tools of a chat-completions request, and the choice among them, into the suite's vocabulary.

``functions`` and ``function_call``, the older form, become tools and a choice; the
answer to them is written in that form.
"""

from __future__ import annotations

from penstock_common.errors import InvalidRequest
from penstock_common.llm.types import Tool, ToolChoice, ToolChoiceMode
from penstock_gateway.surfaces.wire_formats.json_body import shortened
from penstock_gateway.surfaces.wire_formats.openai.chat import request_wire as wire
from penstock_gateway.surfaces.wire_formats.openai.chat.turns import verbatim_object

_TOOL_CHOICE_MODES = {
    "auto": ToolChoiceMode.AUTO,
    "none": ToolChoiceMode.NONE,
    "required": ToolChoiceMode.REQUIRED,
}
_NO_FORMAT = "{}"


def tools_of(request: wire.ChatCompletionRequest) -> tuple[Tool, ...]:
    """Return the tools, of either form.

    Raises:
        InvalidRequest: if a schema is no object.
    """
    if request.functions:
        return tuple([_function(function, "functions[{}]", index) for index, function in enumerate(request.functions)])
    return tuple([_tool(tool, index) for index, tool in enumerate(request.tools or ())])


def tool_choice_of(request: wire.ChatCompletionRequest) -> ToolChoice | None:
    """Return the choice among them; None where nothing is said.

    Raises:
        InvalidRequest: for a word that is none.
    """
    if request.functions or request.function_call is not None:
        return _function_choice(request)
    choice, parallel = request.tool_choice, request.parallel_tool_calls
    if choice is None:
        return None if parallel is None else ToolChoice(parallel=parallel)
    if isinstance(choice, str):
        mode = _mode(choice, "tool_choice", "'none', 'auto', 'required' or an object that names a function")
        return ToolChoice(mode=mode, parallel=parallel)
    if isinstance(choice, wire.AllowedToolsChoice):
        allowed = choice.allowed_tools
        names = tuple([_name_in(tool) for tool in allowed.tools])
        return ToolChoice(mode=_TOOL_CHOICE_MODES[allowed.mode], parallel=parallel, allowed_tools=names)
    return ToolChoice(mode=ToolChoiceMode.NAMED, tool_name=_name_in(choice), parallel=parallel)


def _function_choice(request: wire.ChatCompletionRequest) -> ToolChoice:
    """Return the choice; the older form has a place for one call and no more."""
    choice = request.function_call
    if choice is None:
        return ToolChoice(parallel=False)
    if isinstance(choice, wire.FunctionName):
        return ToolChoice(mode=ToolChoiceMode.NAMED, tool_name=choice.name, parallel=False)
    mode = _mode(choice, "function_call", "'none', 'auto' or an object that names a function")
    return ToolChoice(mode=mode, parallel=False)


def _mode(word: str, field: str, allowed: str) -> ToolChoiceMode:
    mode = _TOOL_CHOICE_MODES.get(word)
    if mode is None:
        raise InvalidRequest(f"'{field}' must be {allowed}, but is '{shortened(word)}'.", field=field)
    return mode


def _name_in(choice: wire.FunctionChoice | wire.CustomChoice) -> str:
    return choice.custom.name if isinstance(choice, wire.CustomChoice) else choice.function.name


def _tool(tool: wire.FunctionTool | wire.CustomTool, index: int) -> Tool:
    if isinstance(tool, wire.FunctionTool):
        return _function(tool.function, "tools[{}].function", index)
    custom = tool.custom
    return Tool(
        name=custom.name,
        description=custom.description or "",
        custom_json=verbatim_object(custom.format, "tools[{}].custom.format", index) or _NO_FORMAT,
    )


def _function(function: wire.Function, field: str, index: int) -> Tool:
    return Tool(
        name=function.name,
        description=function.description or "",
        parameters_json=verbatim_object(function.parameters, field + ".parameters", index),
        strict=function.strict,
    )
