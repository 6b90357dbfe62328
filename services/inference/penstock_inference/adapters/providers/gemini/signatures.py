"""Thought signatures: where each stands in our vocabulary, and what stands for one that nobody has.

A signature belongs to the part that it came with, and goes back with it, letter for letter. A
thought's is its reasoning's; that of a part with text, an empty piece of reasoning after the text; one that
came alone is hidden reasoning; a call's is with the call, as Google's own OpenAI form has it.
https://ai.google.dev/gemini-api/docs/thought-signatures
"""

from __future__ import annotations

import base64
import json

import msgspec

NO_SIGNATURE = "skip_thought_signature_validator"
"""Google's own for calls that it has not signed: those of other models, and those whose signature is lost."""


class _Google(msgspec.Struct):
    thought_signature: str | None = None


class _ExtraContent(msgspec.Struct):
    google: _Google | None = None


class _Extra(msgspec.Struct):
    extra_content: _ExtraContent | None = None


_EXTRA = msgspec.json.Decoder(_Extra)


def extra_of_call(signature: str) -> str:
    """Return what a call carries beside its arguments, with its signature, in the form of Google's OpenAI endpoint."""
    return f'{{"extra_content":{{"google":{{"thought_signature":{json.dumps(signature)}}}}}}}'


def signature_of_call(extra_json: str) -> str:
    """Return the signature that a call carries; '' where there is none, or what it carries is another provider's."""
    if not extra_json:
        return ""
    try:
        extra = _EXTRA.decode(extra_json)
    except (msgspec.DecodeError, RecursionError):
        return ""
    google = extra.extra_content.google if extra.extra_content is not None else None
    return google.thought_signature or "" if google is not None else ""


def text_of(signature: bytes) -> str:
    """Return a signature as it stands in JSON: as it came; of any other bytes their base64."""
    try:
        return signature.decode("ascii")
    except UnicodeDecodeError:
        return base64.b64encode(signature).decode()
