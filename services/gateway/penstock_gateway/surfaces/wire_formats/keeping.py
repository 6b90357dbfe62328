"""What is asked about documents, files and batches, and how it is answered: what their formats are made of."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import msgspec

from penstock_common.contract.knowledge import SearchResult
from penstock_common.contract.knowledge_calls import SearchRequest
from penstock_gateway.domain.access.identity import Caller
from penstock_gateway.domain.batches.desk import BatchDesk
from penstock_gateway.domain.knowledge.files import Stores


class StoresCall(msgspec.Struct, frozen=True, kw_only=True):
    """A request about documents, read. ``names`` are those in its path; ``body`` is what the action's ``parse`` returned."""

    caller: Caller
    names: Mapping[str, str]
    query: str
    body: Any = None


class StoresAnswer(msgspec.Struct, frozen=True):
    """An answer's body, and the lines that say what it is."""

    body: bytes
    lines: bytes


@dataclass(frozen=True, slots=True)
class StoresAction:
    """What is done at a method and path. ``parse`` takes a JSON body."""

    run: Callable[[Stores, StoresCall], Awaitable[StoresAnswer]]
    parse: Callable[[bytes], Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StoresSearch:
    """How documents are searched: ``requests`` takes the call whose body ``parse`` returned, ``render`` what was found."""

    path: str
    parse: Callable[[bytes], Any]
    requests: Callable[[StoresCall], Sequence[SearchRequest]]
    render: Callable[[StoresCall, SearchResult], bytes]


class FormBody(Protocol):
    """A form, or another body that is read as it comes."""

    content_type: str

    def pieces(self) -> AsyncIterator[bytes]:
        """Yield the body's bytes as they come, once; no more of them are in memory than were not asked for yet."""
        ...

    def hold(self, size_bytes: int) -> None:
        """Say how much of it is kept in memory; raises PenstockError where there is no room for that."""
        ...


class KeptParts(NamedTuple):
    """What files and batches are kept in."""

    desk: BatchDesk
    stores: Stores


class KeptCall(StoresCall, frozen=True, kw_only=True):
    """A request about files or batches, read; ``headers`` by lower-case name."""

    headers: Mapping[str, str]
    request_id: str
    traceparent: str


class StreamedAnswer(msgspec.Struct, frozen=True):
    """An answer's pieces, their length in all, and the lines that say what it is."""

    pieces: AsyncGenerator[bytes]
    length: int
    lines: bytes


KeptAnswer = StoresAnswer | StreamedAnswer


@dataclass(frozen=True, slots=True)
class KeptAction:
    """What is done at a method and path. ``parse`` takes a JSON body; with ``takes_form`` or ``takes_stream`` the call's is a ``FormBody``.

    A form passes by, and takes no idempotency key; what else is read as it comes is whole in memory before, where it has one.
    """

    run: Callable[[KeptParts, KeptCall], Awaitable[KeptAnswer]]
    parse: Callable[[bytes], Any] | None = None
    takes_form: bool = False
    takes_stream: bool = False
