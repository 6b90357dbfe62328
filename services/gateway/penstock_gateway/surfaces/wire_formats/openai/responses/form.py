"""How an answer is to be written: what of the request it repeats, and what of the reasoning it tells."""

from __future__ import annotations

from typing import Any

from penstock_gateway.surfaces.wire_formats.format import AnswerForm

ENCRYPTED_REASONING = "reasoning.encrypted_content"
LOGPROBS = "message.output_text.logprobs"
INCLUDABLE = frozenset(
    {
        "file_search_call.results", "web_search_call.results", "web_search_call.action.sources",
        "message.input_image.image_url", "computer_call_output.output.image_url", "code_interpreter_call.outputs",
        ENCRYPTED_REASONING, LOGPROBS,
    }
)  # fmt: skip
"""What may be asked for besides; what of it no answer here has is not told."""


class ResponseForm(AnswerForm, frozen=True, kw_only=True):
    """``members``: what every snapshot of the response repeats of the request, by name. ``model``: what it asks for.

    ``namespaces``: the namespace, and the name in it, of functions that have one, by the one name that models know.

    ``with_encrypted``: reasoning is told with what proves it. ``with_summary``: its text is a summary, else its content.
    ``with_logprobs``: the probabilities of tokens are told.
    """

    model: str = ""
    members: dict[str, Any] = {}
    namespaces: dict[str, tuple[str, str]] = {}
    with_encrypted: bool = False
    with_summary: bool = False
    with_logprobs: bool = False
