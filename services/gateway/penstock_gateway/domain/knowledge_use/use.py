"""What a request, or a public model's configuration, says of knowledge bases."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal

from penstock_common.contract.knowledge import SearchOptions
from penstock_common.errors import InvalidRequest
from penstock_common.llm.types import Value

WhenNothing = Literal["", "answer", "refuse", "say_so"]
WhenUnavailable = Literal["", "fail", "answer"]
Cite = Literal["", "numbers", "extractive"]

MAX_BASES = 8
MAX_LIMIT = 50
DEFAULT_LIMIT = 8
MAX_CONTEXT_TOKENS = 1_000_000
DEFAULT_CONTEXT_TOKENS = 2048
MAX_TEXT_LENGTH = 4096
NOTHING_TEXT = "The documents here say nothing about this."
_BASE = re.compile(r"[a-z0-9_-]{1,64}")
_DEFAULTS = SearchOptions()


class KnowledgeUse(Value, frozen=True, kw_only=True):
    """What is empty or 0 is as the model has it; see ``penstock.gateway.v1.KnowledgeUse``."""

    bases: Sequence[str] = ()
    options: SearchOptions = _DEFAULTS
    max_context_tokens: int = 0
    when_nothing: WhenNothing = ""
    nothing_text: str = ""
    when_unavailable: WhenUnavailable = ""
    cite: Cite = ""

    @property
    def judges_relevance(self) -> bool:
        """Whether passages have to be relevant by the rule of ``relevance``, as nobody has set a least score."""
        return self.options.mode == "hybrid_rerank" and not self.options.min_score


NOT_SAID = KnowledgeUse()


def joined(asked: KnowledgeUse, by_model: KnowledgeUse) -> KnowledgeUse:
    """Return what a request asks, and where it says nothing what the model has.

    Raises:
        InvalidRequest: if a field is out of bounds, or nobody names a knowledge base.
    """
    options, others = asked.options, by_model.options
    use = KnowledgeUse(
        bases=tuple(asked.bases or by_model.bases),
        options=SearchOptions(
            mode=options.mode or others.mode or "hybrid_rerank",
            limit=options.limit or others.limit or DEFAULT_LIMIT,
            filter=options.filter or others.filter,
            min_score=options.min_score or others.min_score,
            diversity=options.diversity or others.diversity,
            max_per_document=options.max_per_document or others.max_per_document,
            index_version=options.index_version or others.index_version,
        ),
        max_context_tokens=asked.max_context_tokens or by_model.max_context_tokens or DEFAULT_CONTEXT_TOKENS,
        when_nothing=asked.when_nothing or by_model.when_nothing or "answer",
        nothing_text=asked.nothing_text or by_model.nothing_text or NOTHING_TEXT,
        when_unavailable=asked.when_unavailable or by_model.when_unavailable or "fail",
        cite=asked.cite or by_model.cite or "numbers",
    )
    _check(use)
    return use


def _check(use: KnowledgeUse) -> None:
    if not use.bases:
        raise InvalidRequest("knowledge.bases must name a knowledge base: the model has none.", field="knowledge.bases")
    if len(use.bases) > MAX_BASES or len(set(use.bases)) < len(use.bases):
        raise InvalidRequest(
            f"knowledge.bases may name at most {MAX_BASES} knowledge bases, each once.", field="knowledge.bases"
        )
    for index, base in enumerate(use.bases):
        if not _BASE.fullmatch(base):
            field = f"knowledge.bases[{index}]"
            raise InvalidRequest(f"{field} must have 1 to 64 characters of a-z 0-9 _ -", field=field)
    options = use.options
    _within("options.limit", options.limit, 1, MAX_LIMIT)
    _within("options.min_score", options.min_score, 0, 1)
    _within("options.diversity", options.diversity, 0, 1)
    _within("options.max_per_document", options.max_per_document, 0, MAX_LIMIT)
    _within("max_context_tokens", use.max_context_tokens, 1, MAX_CONTEXT_TOKENS)
    _within("nothing_text", len(use.nothing_text), 0, MAX_TEXT_LENGTH)


def _within(path: str, value: float, least: float, most: float) -> None:
    if not least <= value <= most:
        field = f"knowledge.{path}"
        what = "have characters: at most" if path == "nothing_text" else f"be between {least} and"
        raise InvalidRequest(f"{field} must {what} {most}, not {value}.", field=field)
