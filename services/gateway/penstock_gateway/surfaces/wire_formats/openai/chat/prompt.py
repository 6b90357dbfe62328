"""Reads the ``prompt`` of a request: which of the prompts that are kept here, and what stands in its places."""

from __future__ import annotations

import re

from penstock_common.errors import InvalidRequest
from penstock_gateway.domain.prompts.content import PromptReference
from penstock_gateway.surfaces.wire_formats.json_body import shortened
from penstock_gateway.surfaces.wire_formats.openai.chat import request_wire as wire

_VERSION = re.compile(r"[1-9][0-9]{0,8}")


def prompt_of(prompt: wire.Prompt) -> PromptReference:
    """Return the reference; where it says no version the label holds, and ``production`` without one.

    Raises:
        InvalidRequest: if its version is no whole number.
    """
    if prompt.version is not None and not _VERSION.fullmatch(prompt.version):
        raise InvalidRequest(
            f"'prompt.version' must be a whole number in quotes, such as \"3\", but is '{shortened(prompt.version)}'; "
            "a label stands in 'prompt.label'.",
            field="prompt.version",
        )
    return PromptReference(
        name=prompt.id,
        version=int(prompt.version or 0),
        label=prompt.label or "",
        variables=prompt.variables or {},
    )
