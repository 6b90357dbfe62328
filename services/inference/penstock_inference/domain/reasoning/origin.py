"""Whom reasoning is bound to, and who reads it."""

from __future__ import annotations

from typing import NamedTuple

from penstock_common.llm.types import Candidate, Reasoning, ToolCall
from penstock_inference.domain.catalogue import Model
from penstock_inference.domain.model_facts import ThinkingBound


class Origin(NamedTuple):
    """Who gave it; ``account`` tells one key's account from another's, and is empty where there is one."""

    upstream: str
    model: str
    account: str = ""

    @classmethod
    def of(cls, text: str) -> Origin | None:
        """Return what an origin says, None where it says nothing."""
        upstream, _, rest = text.partition("/")
        model, mark, account = rest.rpartition("#")
        model, account = (model, account) if mark else (account, "")
        return cls(upstream, model, account) if upstream and model else None

    def is_of(self, candidate: Candidate) -> bool:
        """Return whether a candidate gave it, with whatever account."""
        return self.upstream == candidate.upstream and self.model == candidate.model

    def is_read_by(self, model: Model, account: str) -> bool:
        """Return whether a model reads it, where it is asked with an account."""
        facts, candidate = model.facts, model.candidate
        is_bound_to_account = facts.thinking_bound is ThinkingBound.ACCOUNT
        if self.upstream == candidate.upstream:
            is_known = self.model == candidate.model or self.model in facts.reads_thinking_of
            return is_known and not (is_bound_to_account and self.account != account)
        return self.model in facts.reads_thinking_of and not is_bound_to_account


def origin_text(candidate: Candidate, account: str) -> str:
    """Return the origin of what a candidate gives."""
    return f"{candidate}#{account}" if account or "#" in candidate.model else str(candidate)


def is_bound(part: Reasoning | ToolCall) -> bool:
    """Return whether it holds what its provider alone made, and perhaps reads."""
    return bool(part.extra_json or (isinstance(part, Reasoning) and (part.signature or part.hidden)))
