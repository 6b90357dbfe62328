"""Turns the tools of a request, and the choice among them, into the suite's vocabulary."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from penstock_common.errors import InvalidRequest, UnsupportedParameter
from penstock_common.llm.types import Opaque, Tool, ToolChoice, ToolChoiceMode
from penstock_gateway.surfaces.wire_formats.json_body import check_json, shortened
from penstock_gateway.surfaces.wire_formats.openai.chat.turns import verbatim_object
from penstock_gateway.surfaces.wire_formats.openai.responses import request_wire as wire
from penstock_gateway.surfaces.wire_formats.openai.responses.content import needed
from penstock_gateway.surfaces.wire_formats.openai.responses.items import FORMAT
from penstock_gateway.surfaces.wire_formats.openai.responses.namespaces import NAMESPACE, flat_name

_FUNCTION, _CUSTOM, _ALLOWED = "function", "custom", "allowed_tools"
_NO_FORMAT = "{}"
_MEMBERS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_GRAMMAR = ("syntax", "definition")
_encode = msgspec.json.Encoder().encode
_MODES = {"auto": ToolChoiceMode.AUTO, "none": ToolChoiceMode.NONE, "required": ToolChoiceMode.REQUIRED}


def is_own(tool: wire.Tool | wire.ToolName) -> bool:
    """Return whether the provider itself runs the tool, or defines what it takes."""
    return tool.type not in (_FUNCTION, _CUSTOM)


def tools_of(tools: Sequence[wire.Tool], raws: Sequence[msgspec.Raw]) -> tuple[Tool, ...]:
    """Return the tools; ``raws`` are the same as they are written, needed for those of the provider's own.

    Raises:
        InvalidRequest: if one has no name, or a schema is no object.
    """
    seen: dict[str, int] = {}
    read: list[Tool] = []
    for index, tool in enumerate(tools):
        path = f"tools[{index}]"
        if tool.type == NAMESPACE:
            inner = enumerate(tool.tools or ())
            read += [_within(needed(tool.name, f"{path}.name"), one, f"{path}.tools[{at}]") for at, one in inner]
        else:
            read.append(_tool(tool, path, raws[index] if raws else None, seen))
    return tuple(read)


def choice_of(choice: str | wire.ToolChoice | None, parallel: bool | None, tools: Sequence[Tool]) -> ToolChoice | None:
    """Return the choice among them; None where nothing is said.

    Raises:
        InvalidRequest: for a word that is none, or a tool that is not there.
        UnsupportedParameter: for a choice of one tool among those of a server.
    """
    if choice is None:
        return None if parallel is None else ToolChoice(parallel=parallel)
    if isinstance(choice, str):
        mode = _MODES.get(choice)
        if mode is None:
            text = f"'tool_choice' must be 'none', 'auto', 'required' or an object, but is '{shortened(choice)}'."
            raise InvalidRequest(text, field="tool_choice")
        return ToolChoice(mode=mode, parallel=parallel)
    if choice.type == _ALLOWED:
        named = enumerate(choice.tools or ())
        names = tuple([_name_in(tool, f"tool_choice.tools[{at}]", tools) for at, tool in named])
        if not names:
            raise InvalidRequest("'tool_choice.tools' must name at least one tool.", field="tool_choice.tools")
        return ToolChoice(mode=_MODES[choice.mode or "auto"], parallel=parallel, allowed_tools=names)
    return ToolChoice(mode=ToolChoiceMode.NAMED, tool_name=_name_in(choice, "tool_choice", tools), parallel=parallel)


def _name_in(choice: wire.ToolName, path: str, tools: Sequence[Tool]) -> str:
    if not is_own(choice):
        return needed(choice.name, f"{path}.name")
    if choice.name is not None:
        text = f"'{path}.name' is not supported for tools of the type '{shortened(choice.type)}'; leave it out."
        raise UnsupportedParameter(text, parameter=f"{path}.name")
    found = next((tool.name for tool in tools if tool.opaque is not None and tool.name == choice.type), None)
    if found is None:
        text = f"'{path}' names '{shortened(choice.type)}', which is not among the tools."
        raise InvalidRequest(text, field=path)
    return found


def _within(namespace: str, tool: wire.Tool, path: str) -> Tool:
    if is_own(tool):
        text = f"'{path}.type' must be 'function' or 'custom', but is '{shortened(tool.type)}'."
        raise InvalidRequest(text, field=f"{path}.type")
    made = _tool(tool, path, None, {})
    return msgspec.structs.replace(made, name=flat_name(namespace, made.name))


def _tool(tool: wire.Tool, path: str, raw: msgspec.Raw | None, seen: dict[str, int]) -> Tool:
    if is_own(tool) and raw is not None:
        check_json(raw, path)
        seen[tool.type] = count = seen.get(tool.type, 0) + 1
        # Several servers' tools are of one type, and have no name.
        name = tool.type if count == 1 else f"{tool.type}_{count}"
        return Tool(name=name, opaque=Opaque(format=FORMAT, json=bytes(raw).decode()))
    name, description = needed(tool.name, f"{path}.name"), tool.description or ""
    if tool.type == _CUSTOM:
        return Tool(name=name, description=description, custom_json=_form(tool.format, f"{path}.format"))
    return Tool(
        name=name,
        description=description,
        parameters_json=verbatim_object(tool.parameters, f"{path}.parameters"),
        strict=tool.strict,
    )


def _form(given: msgspec.Raw, path: str) -> str:
    """Return the form of a free text, whose grammar the vocabulary has in an object of its own, as chat completions do."""
    text = verbatim_object(given, path)
    if not text:
        return _NO_FORMAT
    check_json(given, path)
    members = _MEMBERS.decode(text)
    grammar = {name: members.pop(name) for name in _GRAMMAR if name in members}
    return _encode({**members, "grammar": grammar}).decode() if grammar else text
