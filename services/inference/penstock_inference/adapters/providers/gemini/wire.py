"""The parts of a ``GenerateContentResponse``, whole or a piece of a stream, that an answer is made of.

https://ai.google.dev/api/generate-content, and the types of python-genai 3.6.
"""

from __future__ import annotations

import msgspec

ABSENT = msgspec.Raw()


class FunctionCall(msgspec.Struct, gc=False, rename="camel"):
    """A call, whole; only who asks for it is sent ``partial_args``."""

    id: str | None = None
    name: str | None = None
    args: msgspec.Raw = ABSENT
    partial_args: msgspec.Raw = ABSENT


class Part(msgspec.Struct, gc=False, rename="camel"):
    """One part; with neither text nor a call it is of a kind that is Gemini's own."""

    text: str | None = None
    thought: bool | None = None
    thought_signature: str | None = None
    function_call: FunctionCall | None = None


class Content(msgspec.Struct, gc=False):
    """What a candidate adds; each part as it stands."""

    parts: list[msgspec.Raw] | None = None


class SafetyRating(msgspec.Struct, gc=False):
    """How harmful an answer, or a prompt, is thought to be."""

    category: str | None = None
    blocked: bool | None = None


class Candidate(msgspec.Struct, gc=False, rename="camel"):
    """One alternative, or a piece of it."""

    index: int | None = None
    content: Content | None = None
    finish_reason: str | None = None
    finish_message: str | None = None
    safety_ratings: list[SafetyRating] | None = None
    grounding_metadata: msgspec.Raw = ABSENT
    logprobs_result: msgspec.Raw = ABSENT


class UsageMetadata(msgspec.Struct, gc=False, rename="camel"):
    """Tokens; what was read from a cache is part of the prompt's, what a tool added to the prompt is not."""

    prompt_token_count: int | None = None
    tool_use_prompt_token_count: int | None = None
    cached_content_token_count: int | None = None
    candidates_token_count: int | None = None
    thoughts_token_count: int | None = None
    traffic_type: str | None = None
    service_tier: str | None = None


class PromptFeedback(msgspec.Struct, gc=False, rename="camel"):
    """Why a prompt was not answered."""

    block_reason: str | None = None
    block_reason_message: str | None = None
    safety_ratings: list[SafetyRating] | None = None


class Chunk(msgspec.Struct, gc=False, rename="camel"):
    """One event of a stream, or a whole answer."""

    candidates: list[Candidate] | None = None
    usage_metadata: msgspec.Raw = ABSENT
    prompt_feedback: PromptFeedback | None = None
    error: msgspec.Raw = ABSENT


CHUNK = msgspec.json.Decoder(Chunk)
CHUNKS = msgspec.json.Decoder(list[Chunk])
PART = msgspec.json.Decoder(Part)
USAGE = msgspec.json.Decoder(UsageMetadata)
