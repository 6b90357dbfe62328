"""Where calls are kept that were made under a key."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

import msgspec


class Claim(msgspec.Struct, frozen=True, kw_only=True):
    """Says that a call is made here: by ``owner``, whose word counts until then."""

    mark: str
    tenant: str
    fingerprint: str
    owner: str
    request_id: str
    until: datetime


class Answer(msgspec.Struct, frozen=True):
    """What a call was answered with, as its surface wrote it."""

    request_id: str
    content: bytes


class Found(msgspec.Struct, frozen=True):
    """What there is under a mark: a call with its answer, or one that is not answered yet. ``is_ours``: it is the claim's."""

    fingerprint: str
    answer: Answer | None = None
    is_ours: bool = False


class CallStore(Protocol):
    """Keeps calls; each method is one transaction, and raises ``ServiceUnavailable`` where the database does not answer."""

    async def claim(self, claim: Claim, now: datetime) -> Found:
        """Have a call be the claim's, where nobody has it, or whoever had is not heard of any more; return what there is."""
        ...

    async def hold(self, claim: Claim, until: datetime) -> bool:
        """Have a claim's word count for longer; False where it is another's."""
        ...

    async def keep(self, claim: Claim, content: bytes, expires_at: datetime) -> bool:
        """Keep the answer until then; False where the call is another's."""
        ...

    async def free(self, claim: Claim) -> None:
        """Forget a call that is the claim's and has no answer."""
        ...

    async def forget(self, now: datetime, limit: int) -> int:
        """Delete what is too old; return how many there were."""
        ...
