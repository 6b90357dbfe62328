"""From a turn's parts and calls to blocks of the Messages API."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

import msgspec

from penstock_common.llm.images import image_type
from penstock_common.llm.types import ContentPart, File, Image, Message, Reasoning, Role, Text, Tool, ToolCall
from penstock_inference.adapters.providers.anthropic.fields import FILES_BETA
from penstock_inference.adapters.providers.carried import Use, blocks_of
from penstock_inference.adapters.providers.http.large_data import LargeData
from penstock_inference.adapters.providers.http.verbatim import arguments_of, members, verbatim
from penstock_inference.domain.failure import unsupported
from penstock_inference.domain.model_facts import ModelFacts
from penstock_inference.domain.unsupported import FieldPolicy

FORMAT = "anthropic"
"""The word of opaque blocks that are this format's."""
STRICT_VERSION = "2026-10-21"
"""From it on sampling, documents of the assistant's, and citations of the user's are refused."""
Block = dict[str, Any]

_TTLS = ("5m", "1h")
_TEXT_TYPES = re.compile(r"text/|application/(?:json|xml|yaml|x-yaml|javascript|csv)\b")
_PDF = "application/pdf"
_CALL_ID = re.compile(r"[A-Za-z0-9_-]+")
_NOT_IN_IDS = re.compile(r"[^A-Za-z0-9_-]")
_DIGEST_CHARACTERS = 12
# What else came with a call, and goes back with it.
_BESIDE_A_CALL = ("caller", "toolset_name")


class _Typed(msgspec.Struct):
    type: str = ""


_TYPED = msgspec.json.Decoder(_Typed)
_CITATIONS = msgspec.json.Decoder(list[dict[str, object]])


@dataclass(slots=True)
class Writing:
    """One request that is being written, and what is to be kept to in it."""

    model: str
    facts: ModelFacts
    version: str
    policy: FieldPolicy
    large: LargeData = field(default_factory=LargeData)
    betas: list[str] = field(default_factory=list[str])
    """What has to be in ``anthropic-beta`` for what was written."""

    @property
    def is_strict(self) -> bool:
        """Whether the version refuses what the first one takes."""
        return self.version >= STRICT_VERSION

    def blocks(self, message: Message, path: str) -> list[Block | msgspec.Raw]:
        """Return a turn's blocks in their order; none for a turn that says nothing."""
        blocks: list[Block | msgspec.Raw] = []
        for item in blocks_of(message, FORMAT):
            block = _tool_use(message.tool_calls[item]) if isinstance(item, int) else self._block(item, message, path)
            if block is not None:
                blocks.append(block)
        return blocks

    def result(self, message: Message, path: str) -> Block:
        """Return the block of a tool's answer."""
        block: Block = {"type": "tool_result", "tool_use_id": _call_id(message.tool_call_id)}
        content = self.blocks(message, path)
        if content:
            last = content[-1]
            # Where its last part ends, the result does.
            control = last.pop("cache_control", None) if isinstance(last, dict) else None
            block["content"] = content
            if control is not None:
                block["cache_control"] = control
        if message.is_error:
            block["is_error"] = True
        return block

    def with_cache(self, block: Block, part: ContentPart | Tool) -> Block:
        """Return the block, after which the prompt cache ends a prefix where that is asked for."""
        if not part.cache_breakpoint:
            return block
        if not self.facts.cache_breakpoints:
            self.policy.drop(Use.CACHE_BREAKPOINT.value)
            return block
        control = {"type": "ephemeral"}
        if part.cache_ttl in _TTLS:
            control["ttl"] = part.cache_ttl
        elif part.cache_ttl:
            self.policy.drop(Use.CACHE_TTL.value)
        block["cache_control"] = control
        return block

    def _block(self, part: ContentPart, message: Message, path: str) -> Block | msgspec.Raw | None:
        role = message.role
        if isinstance(part, Text):
            return self._text(part, role)
        if isinstance(part, Reasoning):
            return self._thinking(part) if role is Role.ASSISTANT else None
        path = f"{path}.parts[{message.parts.index(part)}]"
        if isinstance(part, Image):
            return self.with_cache({"type": "image", "source": self._image(part, path)}, part)
        if isinstance(part, File):
            return self.with_cache(self._document(part, role, path), part)
        return verbatim(part.json, f"{path}.opaque.json")

    def _text(self, part: Text, role: Role) -> Block | None:
        # Text of nothing but blanks is refused.
        if not part.text.strip():
            return None
        block: Block = {"type": "text", "text": part.text}
        if part.citations_json:
            citations = _citations_in(part.citations_json)
            if citations and (role is Role.ASSISTANT or not self.is_strict):
                block["citations"] = msgspec.Raw(part.citations_json.encode())
            elif citations is None or citations:
                self.policy.drop(Use.CITATIONS.value)
        return self.with_cache(block, part)

    def _image(self, image: Image, path: str) -> Block:
        if image.url:
            if not self.facts.images_by_url:
                raise unsupported(f"{path}.image.url", "must be an image inline for this model")
            return {"type": "url", "url": image.url}
        return self._base64(image_type(image.data, image.media_type), image.data)

    def _base64(self, media_type: str, data: bytes) -> Block:
        return {"type": "base64", "media_type": media_type, "data": self.large.base64(data)}

    def _document(self, file: File, role: Role, path: str) -> Block:
        path = f"{path}.file"
        if not self.facts.documents:
            raise unsupported(path, "is not read by this model")
        if role is Role.ASSISTANT and self.is_strict:
            raise unsupported(path, "may not stand in an assistant's turn")
        block: Block = {"type": "document", "source": self._source(file, path)}
        if file.name:
            block["title"] = file.name
        if file.context:
            block["context"] = file.context
        if file.with_citations:
            block["citations"] = {"enabled": True}
        return block

    def _source(self, file: File, path: str) -> Block:
        if file.id:
            self.betas.append(FILES_BETA)
            return {"type": "file", "file_id": file.id}
        if file.url:
            return {"type": "url", "url": file.url}
        media_type = file.media_type.partition(";")[0].strip().lower()
        if media_type == _PDF or file.data.startswith(b"%PDF-"):
            return self._base64(_PDF, file.data)
        if _TEXT_TYPES.match(media_type):
            try:
                return {"type": "text", "media_type": "text/plain", "data": file.data.decode()}
            except UnicodeDecodeError:
                raise unsupported(path, "must be a text in UTF-8") from None
        raise unsupported(path, "must be a PDF or a text for this upstream")

    def _thinking(self, part: Reasoning) -> Block | None:
        """Return signed thinking, or what stands for it, that the model reads; nothing else is its thinking."""
        try:
            if part.hidden and self._reads(part.origin):
                return {"type": "redacted_thinking", "data": part.hidden.decode()}
            if part.signature and self._reads(part.origin):
                return {"type": "thinking", "thinking": part.text, "signature": part.signature.decode()}
        except UnicodeDecodeError:
            # Somebody else's.
            pass
        self.policy.drop(Use.REASONING.value)
        return None

    def _reads(self, origin: str) -> bool:
        """Return whether the model reads thinking of this origin; who hands it back without one answers for it."""
        if not origin:
            return True
        model = origin.partition("/")[2].partition("#")[0]
        return model == self.model or model in self.facts.reads_thinking_of


def system_block(text: str) -> Block:
    """Return a system turn's text as it stands within a user's turn."""
    return {"type": "text", "text": f"<system>\n{text}\n</system>"}


def type_of(block: Block | msgspec.Raw) -> str:
    """Return a block's type; '' of what is none."""
    if not isinstance(block, msgspec.Raw):
        return block["type"]
    try:
        return _TYPED.decode(block).type
    except msgspec.DecodeError:
        return ""


def _tool_use(call: ToolCall) -> Block:
    block: Block = {"type": "tool_use", "id": _call_id(call.id), "name": call.name, "input": arguments_of(call)}
    if call.extra_json:
        beside = members(call.extra_json, "extra_json")
        block |= {name: beside[name] for name in _BESIDE_A_CALL if name in beside}
    return block


def _call_id(identity: str) -> str:
    """Return a call's id; one that this format cannot hold becomes another, always the same."""
    if _CALL_ID.fullmatch(identity):
        return identity
    digest = sha256(identity.encode()).hexdigest()[:_DIGEST_CHARACTERS]
    return f"{_NOT_IN_IDS.sub('_', identity)}_{digest}"


def _citations_in(text: str) -> list[dict[str, object]] | None:
    """Return the citations where they are this format's own, None where they are another's."""
    try:
        citations = _CITATIONS.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return None
    if all(str(citation.get("type", "")).endswith("_location") for citation in citations):
        return citations
    return None
