"""Turns the tools of a Messages request, and the choice among them, into the suite's vocabulary."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from penstock_common.errors import InvalidRequest
from penstock_common.llm.types import Opaque, Tool, ToolChoice, ToolChoiceMode
from penstock_gateway.surfaces.wire_formats.anthropic.messages import request_wire as wire
from penstock_gateway.surfaces.wire_formats.anthropic.messages.sources import needed, ttl_of
from penstock_gateway.surfaces.wire_formats.anthropic.messages.turns import FORMAT
from penstock_gateway.surfaces.wire_formats.json_body import check_json

_MODES = {
    "auto": ToolChoiceMode.AUTO,
    "any": ToolChoiceMode.REQUIRED,
    "tool": ToolChoiceMode.NAMED,
    "none": ToolChoiceMode.NONE,
}


def is_own(tool: wire.Tool) -> bool:
    """Return whether the provider itself runs the tool."""
    return tool.type not in (None, "custom")


def tools_of(tools: Sequence[wire.Tool], raws: Sequence[msgspec.Raw]) -> tuple[Tool, ...]:
    """Return the tools; ``raws`` are the same as they are written, needed for those of the provider's own.

    Raises:
        InvalidRequest: if a schema is no object.
    """
    return tuple([_tool(tool, f"tools[{at}]", raws[at] if raws else None) for at, tool in enumerate(tools)])


def choice_of(choice: wire.ToolChoice | None) -> ToolChoice | None:
    """Return the choice among them; None where nothing is said."""
    if choice is None:
        return None
    mode = _MODES[choice.type]
    name = needed(choice.name, "tool_choice.name") if mode is ToolChoiceMode.NAMED else ""
    parallel = None if choice.disable_parallel_tool_use is None else not choice.disable_parallel_tool_use
    return ToolChoice(mode=mode, tool_name=name, parallel=parallel)


def _tool(tool: wire.Tool, path: str, raw: msgspec.Raw | None) -> Tool:
    if is_own(tool) and raw is not None:
        check_json(raw, path)
        return Tool(name=tool.name, opaque=Opaque(format=FORMAT, json=bytes(raw).decode()))
    schema = bytes(tool.input_schema)
    check_json(tool.input_schema, f"{path}.input_schema")
    if not schema.startswith(b"{"):
        raise InvalidRequest(f"'{path}.input_schema' must be an object.", field=f"{path}.input_schema")
    return Tool(
        name=tool.name,
        description=tool.description or "",
        parameters_json=schema.decode(),
        strict=tool.strict,
        cache_breakpoint=tool.cache_control is not None,
        cache_ttl=ttl_of(tool.cache_control),
    )
