"""The cache's entries as people see them, and what may be asked of them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Protocol

import msgspec


class CacheCounts(msgspec.Struct, frozen=True, kw_only=True):
    """What one process of the cache has done since it started; ``memory_entries`` and ``semantic_entries`` are there now.

    ``semantic_entries`` is None while they cannot be counted; ``semantic_trouble`` says why nothing is matched by meaning.
    """

    memory_hits: int
    redis_hits: int
    semantic_hits: int
    misses: int
    stores: int
    refusals: int
    memory_entries: int
    semantic_entries: int | None
    refused_by_guard: dict[str, int]
    not_compared: dict[str, int]
    embedded: int
    judged_hits: int
    false_hits: int
    saved_tokens: int
    saved_nano_usd: int
    semantic_trouble: str

    @property
    def hits(self) -> int:
        """Requests that were answered."""
        return self.memory_hits + self.redis_hits + self.semantic_hits


class CacheEntry(msgspec.Struct, frozen=True, kw_only=True):
    """An answer that is given to questions of the same meaning; without content, both texts are empty.

    ``threshold`` is what a question must score to be given it, as learned from ``same_answers`` other wordings whose
    answers were the same and ``different_answers`` whose were not.
    """

    id: str
    model: str
    question: str
    answer: str
    tags: tuple[str, ...]
    is_private: bool
    created_at: datetime | None
    expires_at: datetime | None
    origin: str
    """answered, imported or alias."""
    hits: int
    threshold: float
    same_answers: int
    different_answers: int
    alias_of: str
    saved_tokens: int
    saved_nano_usd: int


class CacheFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which of a tenant's entries are meant: all that fit every field that is set, or ``every`` one where none is."""

    tenant: str = ""
    model: str = ""
    ids: tuple[str, ...] = ()
    tag: str = ""
    user: str = ""
    every: bool = False

    @property
    def names_some(self) -> bool:
        """Whether anything narrows the tenant's entries."""
        return bool(self.model or self.ids or self.tag or self.user)


class CachePage(msgspec.Struct, frozen=True):
    """Entries, in the order of their ids; ``next_token`` is empty on the last page."""

    entries: tuple[CacheEntry, ...]
    next_token: str = ""


class CacheExplanation(msgspec.Struct, frozen=True, kw_only=True):
    """Whether the answer to one text is given to another; ``reason`` in one word, ``detail`` for people.

    ``similarity`` is the cosine, below ``floor`` nothing is judged; ``score`` is how likely the answer is right,
    ``threshold`` what an entry needs of which nothing was learned yet.
    """

    served: bool
    reason: str
    detail: str
    similarity: float
    score: float
    threshold: float
    floor: float


class ImportedRow(msgspec.Struct, frozen=True, kw_only=True):
    """A question and its answer, of line ``line`` of a file."""

    line: int
    question: str
    answer: str
    model: str
    system: str = ""
    tags: tuple[str, ...] = ()
    ttl: timedelta | None = None


class RowOutcome(msgspec.Struct, frozen=True):
    """stored, unchanged, replaced or refused; ``reason`` says why it was refused."""

    outcome: str
    reason: str = ""


class CacheEntries(Protocol):
    """Keeps what the cache matches by meaning. What it refuses is a ``SuiteFailure``; what cannot be meant, ``Misconfigured``."""

    async def cache_page(self, wanted: CacheFilter, size: int, token: str, *, with_content: bool) -> CachePage:
        """Return a page of at most ``size`` entries."""
        ...

    async def cache_entry(self, tenant: str, entry_id: str) -> CacheEntry:
        """Return an entry with its content."""
        ...

    async def delete_cache_entries(self, wanted: CacheFilter, *, dry_run: bool) -> int:
        """Return how many were deleted, or would be."""
        ...

    async def dispute_cache_entry(self, tenant: str, entry_id: str) -> None:
        """Remove an entry that was given, and was wrong."""
        ...

    async def explain_cache(self, tenant: str, model: str, stored: str, asked: str) -> CacheExplanation:
        """Return whether the answer to ``stored`` is given to ``asked``."""
        ...

    async def import_cache(self, tenant: str, rows: Sequence[ImportedRow], *, dry_run: bool) -> Sequence[RowOutcome]:
        """Return what became of each row, of which there are at most 100."""
        ...

    async def shred_cache(self, tenant: str) -> int:
        """Destroy the tenant's keys; return how many entries were deleted beside them."""
        ...

    async def rotate_cache_keys(self, tenant: str) -> int:
        """Return how many tenants have a new key: the tenant, or every one."""
        ...
