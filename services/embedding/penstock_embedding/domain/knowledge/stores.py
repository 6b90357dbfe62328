"""Where documents and indexes stand. Each method raises ``ServiceUnavailable`` where that does not answer."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Protocol

from penstock_common.contract.knowledge import (
    Attribute,
    Chunk,
    Document,
    DocumentFailure,
    DocumentState,
    EvaluationQuery,
    IndexVersion,
    KnowledgeBase,
    RetrievalQuality,
    SearchResult,
)
from penstock_common.contract.knowledge_calls import SearchRequest
from penstock_embedding.domain.knowledge.ports import IndexRef
from penstock_embedding.domain.knowledge.records import (
    Garbage,
    IngestCounts,
    Key,
    Limits,
    Made,
    NewDocument,
    Page,
    Readout,
    Taken,
    Unbuilt,
)


class Searcher(Protocol):
    """Finds chunks."""

    async def search(self, request: SearchRequest, deadline: float | None) -> SearchResult:
        """Return what was found; ``deadline`` is on the clock of ``time.monotonic``."""
        ...


class Bases(Protocol):
    """Knowledge bases. Those of a tenant that are not there raise ``ResourceNotFound``."""

    async def get(self, tenant: str, base: str) -> KnowledgeBase:
        """Return one."""
        ...

    async def list(self, tenant: str, page: Page) -> Sequence[KnowledgeBase]:
        """Return a page of a tenant's."""
        ...

    async def create(self, base: KnowledgeBase, index: IndexRef, most: int) -> KnowledgeBase:
        """Make one with an empty index that serves, whose number is given here.

        Raises:
            ResourceExists: if there is one of the id.
            QuotaExhausted: if the tenant has ``most``.
        """
        ...

    async def change(self, tenant: str, base: str, name: str, attributes: Sequence[Attribute]) -> KnowledgeBase:
        """Change name and attributes."""
        ...

    async def delete(self, tenant: str, base: str) -> bool:
        """Delete one with all that is in it; return whether there was one."""
        ...

    async def put_evaluation(self, tenant: str, base: str, queries: Sequence[EvaluationQuery]) -> None:
        """Keep the questions that versions are compared by."""
        ...

    async def evaluation(self, tenant: str, base: str) -> Sequence[EvaluationQuery]:
        """Return them."""
        ...

    async def labels(self, tenant: str, base: str) -> Sequence[str]:
        """Return every label that a document has."""
        ...


class DocumentStore(Protocol):
    """Documents. Those that are not there raise ``ResourceNotFound``."""

    async def put(self, new: NewDocument, limits: Limits) -> tuple[Document, bool]:
        """Accept a document, to be taken in; return it, and whether it was there as it is.

        Raises:
            ResourceChanged: if it has not the version that was asked for.
            QuotaExhausted: if the tenant may have no more.
        """
        ...

    async def change(
        self, key: Key, attributes: Sequence[Attribute] | None, labels: Sequence[str] | None, *, cancel: bool
    ) -> Document:
        """Change what is not None, and end the taking in if that is asked.

        Raises:
            ResourceState: if there is nothing to end.
        """
        ...

    async def get(self, key: Key) -> Document:
        """Return one."""
        ...

    async def list(
        self, tenant: str, base: str, page: Page, state: DocumentState = "", ids: Sequence[str] = ()
    ) -> Sequence[Document]:
        """Return those of a page that have the state and are among the ids, where these are said."""
        ...

    async def chunks(self, key: Key, after: int, limit: int) -> Sequence[Chunk]:
        """Return its chunks in the index that serves, behind an ordinal."""
        ...

    async def original(self, key: Key) -> tuple[Document, bytes]:
        """Return what was put; not found, too, where originals are not kept."""
        ...

    async def delete(self, key: Key) -> bool:
        """Delete one from every version; return whether there was one."""
        ...


class Taking(Protocol):
    """Documents that are to be taken in, each by one worker at a time, under a lease."""

    async def take(self, lease: float, most_attempts: int, most_bytes: int = 0) -> Taken | None:
        """Take the one that is due and has waited longest, for so many seconds; None if there is none.

        ``most_bytes`` leaves larger ones out; 0 does not.
        One that was tried ``most_attempts`` times without a word of why has failed.
        """
        ...

    async def seconds_to_next(self, most_bytes: int = 0) -> float | None:
        """Return when the next one of these may be taken; None if none waits."""
        ...

    async def content(self, taken: Taken) -> bytes | None:
        """Return what was put; None if it is wanted no more."""
        ...

    async def renew(self, lease: float, keys: Sequence[Key]) -> None:
        """Hold those of the documents that are held here for so many seconds from now."""
        ...

    async def put_back(self, taken: Taken, seconds: float, *, tried: bool) -> None:
        """Have it taken again, not before so many seconds; what was not ``tried`` is no attempt."""
        ...

    async def free_all(self) -> None:
        """Have all taken at once whose holder can only have died, as nobody else has this database."""
        ...

    async def fail(self, taken: Taken, failure: DocumentFailure) -> None:
        """End it; the version before, if any, is still found."""
        ...

    async def live_indexes(self, tenant: str, base: str) -> Sequence[IndexRef]:
        """Return the versions that documents go into."""
        ...

    async def make_current(self, taken: Taken, made: Sequence[Made], readout: Readout) -> Sequence[IndexRef] | None:
        """Have this version of the document found in the place of the one before, all at once.

        Returns the indexes that it has to be in first, with which nothing was done; None if it is wanted no more.
        """
        ...


class Versions(Protocol):
    """Versions of indexes."""

    async def list(self, tenant: str, base: str) -> Sequence[IndexVersion]:
        """Return those of a knowledge base, the newest first."""
        ...

    async def begin(self, index: IndexRef, *, again: bool = False) -> int:
        """Begin one, and return its number.

        Raises:
            ResourceState: if another one is being built.
            ResourceExists: if there is one like it, and it is not to be made ``again``.
        """
        ...

    async def take(self, lease: float) -> IndexRef | None:
        """Take the one that is to be built and was not taken for longest, for so many seconds."""
        ...

    async def put_back(self, index: IndexRef, seconds: float) -> None:
        """Have one that was taken be taken by anybody, not before so many seconds."""
        ...

    async def renew(self, lease: float) -> None:
        """Hold what is held here for so many seconds from now."""
        ...

    async def free_all(self) -> None:
        """Let all be taken, as ``Taking.free_all``."""
        ...

    async def missing(self, index: IndexRef, limit: int) -> Sequence[Unbuilt]:
        """Return some of the documents that are found, and are not in the index as they are."""
        ...

    async def add(self, unbuilt: Unbuilt, made: Made) -> bool:
        """Have a document be in the index, if it is still found as it is; return whether the index is still built."""
        ...

    async def finish(self, index: IndexRef) -> bool:
        """Have the index be ready; False, and nothing is done, if a document is missing."""
        ...

    async def fail(self, index: IndexRef, error: str) -> None:
        """Have no document go into the index any more; nothing is done to one that serves."""
        ...

    async def switch(self, tenant: str, base: str, number: int, seen: int) -> None:
        """Have a version serve, if ``seen`` still does.

        Raises:
            ResourceNotFound, ResourceState: if it is not there, not ready, or another one serves by now.
        """
        ...

    async def previous(self, tenant: str, base: str) -> tuple[int, int]:
        """Return which version serves, and which one did before; 0 for none."""
        ...

    async def note_quality(self, tenant: str, base: str, number: int, quality: Sequence[RetrievalQuality]) -> None:
        """Keep how well a version finds."""
        ...

    async def drop(self, tenant: str, base: str, number: int) -> bool:
        """Delete a version; return whether there was one.

        Raises:
            ResourceState: if it serves.
        """
        ...

    async def collect(self, kept: int, kept_for: timedelta) -> int:
        """Delete versions beyond the newest that do not serve, and those that have not served for so long; return how many."""
        ...


class GarbageHeap(Protocol):
    """What is to be done to vectors, until it is done."""

    async def some(self, limit: int) -> Sequence[Garbage]:
        """Return the oldest."""
        ...

    async def done(self, ids: Sequence[int]) -> None:
        """Forget what was done."""
        ...

    async def add(self, piece: Garbage) -> None:
        """Write more down; its id is given here."""
        ...

    async def document(self, tenant: str, base: str, document: str) -> Document | None:
        """Return a document as it is now."""
        ...


class Counting(Protocol):
    """How far the taking in is."""

    async def counts(self, tenant: str, base: str) -> IngestCounts:
        """Return it for a knowledge base."""
        ...
