"""An answer that is kept, with what it answers."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum

import msgspec


class Status(StrEnum):
    """How an answer stands."""

    QUEUED = "queued"
    """It is a job's, which says how it stands; whoever looks once that has ended keeps the end."""
    COMPLETED = "completed"
    INCOMPLETE = "incomplete"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def may_be_followed(self) -> bool:
        """Whether there is an answer to go on from."""
        return self in (Status.COMPLETED, Status.INCOMPLETE)


class Content(msgspec.Struct, frozen=True, kw_only=True):
    """What is sealed of an answer. Items are as its wire format has them, each list a JSON array.

    ``items`` are the request's own, ``output`` the answer's, with all that a later request needs of them; ``body`` is what
    the caller was told. ``form`` says how it is to be told, while that is not yet done.
    """

    items: bytes = b"[]"
    output: bytes = b"[]"
    body: bytes = b""
    form: bytes = b""

    @property
    def size_bytes(self) -> int:
        """Of what whoever goes on from it is asked with."""
        return len(self.items) + len(self.output)


class Response(msgspec.Struct, frozen=True, kw_only=True):
    """A kept answer.

    ``owner``: the key whose it is, which rotation keeps. ``previous``: the answer that it went on from. ``depth``: how many
    stand before it. ``chain_bytes``: of their contents and its own. ``job``: where it is made in the background.
    """

    id: str
    tenant: str
    owner: str
    created_at: datetime
    expires_at: datetime
    status: Status
    content: Content
    previous: str = ""
    depth: int = 0
    chain_bytes: int = 0
    job: str = ""
    streams: bool = False
    """Whether the job's events are there to be streamed."""


class Extent(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of an answer and all before it while none of it is read.

    ``turns``: how many are there; ``kept_bytes``: of all that is sealed of them, what each caller was told included.
    """

    owner: str
    status: Status
    depth: int
    chain_bytes: int
    turns: int
    kept_bytes: int


class Tail(msgspec.Struct, frozen=True):
    """What the next answer of a chain has to know of the last one, whose content may be large and is gone by then."""

    id: str
    depth: int
    chain_bytes: int


class Chain(msgspec.Struct, frozen=True):
    """What a request goes on from, the oldest first; nothing where it begins."""

    turns: Sequence[Response] = ()

    @property
    def last(self) -> Response | None:
        """The one that the request names."""
        return self.turns[-1] if self.turns else None

    @property
    def tail(self) -> Tail | None:
        """What is to be kept of it beside the next answer."""
        last = self.last
        return None if last is None else Tail(last.id, last.depth, last.chain_bytes)

    @property
    def items(self) -> list[bytes]:
        """All that was asked and answered, in order."""
        return [items for turn in self.turns for items in (turn.content.items, turn.content.output)]
