"""What the router is asked, and what it answers: a ``Plan``, or the models that callers may name."""

from __future__ import annotations

from enum import StrEnum

from penstock_common.llm.types import GenerationInput, Image, JsonSchema, Message, Reasoning, Role, Text, Value

# No common tokenizer puts more than this many bytes of ordinary text into a
# token; so the estimate is a lower bound, and what it refuses never fits.
_MAX_BYTES_PER_TOKEN = 8
# Most texts have twice as many tokens as that: four bytes each.
_TOKENS_PER_LEAST_TOKEN = 2

_CHAT = frozenset({"chat"})
_WORDS = (Text, Reasoning)

SUBJECT_HEAD_CHARACTERS = 3_000
SUBJECT_TAIL_CHARACTERS = 1_000
EARLIER_CHARACTERS = 500


class Policy(StrEnum):
    """What to prefer among candidates that can all do the work."""

    BALANCED = "balanced"
    COST = "cost"
    LATENCY = "latency"
    QUALITY = "quality"


class Requirements(Value, frozen=True):
    """Capabilities a candidate must have, and the least tokens it must take in."""

    capabilities: frozenset[str] = _CHAT
    min_input_tokens: int = 0

    @property
    def likely_input_tokens(self) -> int:
        """What most texts of that size have."""
        return self.min_input_tokens * _TOKENS_PER_LEAST_TOKEN


class Subject(Value, frozen=True):
    """What a request is about, as far as choosing a model for it goes; whoever names a plain model sends none.

    ``text`` is the last turn of the user: of a long one its beginning and its end. ``earlier`` is the beginning of the
    user's turn before, ``turns`` counts the user's turns.
    """

    text: str
    earlier: str = ""
    turns: int = 1


class RouteRequest(Value, frozen=True):
    """A public model's name, and what its candidate must be able to; no regions means anywhere.

    The rest is for models with routes, and for policies. ``allowed_models``: the public models that the caller may use,
    None for all. ``output_tokens``: what the answer may have at most, 0 where nobody said. ``policy``: None for the model's own.
    """

    model: str
    requirements: Requirements
    allowed_regions: tuple[str, ...] = ()
    subject: Subject | None = None
    tenant: str = ""
    tags: tuple[tuple[str, str], ...] = ()
    allowed_models: tuple[str, ...] | None = None
    output_tokens: int = 0
    policy: Policy | None = None


def requirements_of(request: GenerationInput) -> Requirements:
    """Return what ``request`` needs."""
    text_bytes, sees = 0, False
    for message in request.messages:
        for part in message.parts:
            if isinstance(part, _WORDS):
                text = part.text
                text_bytes += len(text) if text.isascii() else len(text.encode(errors="replace"))
            elif isinstance(part, Image):
                sees = True
    takes_schema = isinstance(request.response_format, JsonSchema)
    capabilities = _CHAT
    if sees or request.tools or takes_schema:
        needed = (("vision", sees), ("tools", request.tools), ("json_schema", takes_schema))
        capabilities = _CHAT.union(name for name, is_needed in needed if is_needed)
    return Requirements(capabilities=capabilities, min_input_tokens=text_bytes // _MAX_BYTES_PER_TOKEN)


def subject_of(request: GenerationInput) -> Subject:
    """Return what ``request`` is about. What tools have answered since is not the user's, and does not change it."""
    asked = [message for message in request.messages if message.role is Role.USER and _has_text(message)]
    if not asked:
        return Subject("", turns=0)
    earlier = _text_of(asked[-2])[:EARLIER_CHARACTERS] if len(asked) > 1 else ""
    return Subject(capped(_text_of(asked[-1])), earlier, len(asked))


def _has_text(message: Message) -> bool:
    return any(isinstance(part, Text) and part.text for part in message.parts)


def _text_of(message: Message) -> str:
    return "\n".join([part.text for part in message.parts if isinstance(part, Text)])


def capped(text: str) -> str:
    """Return what a subject holds of a turn: of a long one its beginning and its end."""
    if len(text) <= SUBJECT_HEAD_CHARACTERS + SUBJECT_TAIL_CHARACTERS:
        return text
    return f"{text[:SUBJECT_HEAD_CHARACTERS]}\n{text[-SUBJECT_TAIL_CHARACTERS:]}"
