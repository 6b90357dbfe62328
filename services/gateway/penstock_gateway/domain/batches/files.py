"""Files that batches read and write: kept in pieces, so that none is ever in memory as a whole."""

from __future__ import annotations

import re
import secrets
from collections.abc import AsyncGenerator, Sequence
from datetime import datetime, timedelta
from typing import Protocol

import msgspec

from penstock_common.errors import ServiceUnavailable

CHUNK_BYTES = 1024 * 1024
"""Of every piece of a file but the last."""
INPUT, OUTPUT = "batch", "batch_output"
"""The purposes of files here; those of vector stores are the embedding service's."""
PURPOSES = (INPUT, OUTPUT)
RESULTS = "batch_results"
"""The purpose of what a batch alone hands out: it is in no list of files."""
_PREFIX = "file-"
_MOMENT_DIGITS = 16
# No hexadecimal digit: the ids of the embedding service's files have one here.
_MARK = "x"
_RANDOM_BYTES = 12
_ID = re.compile(f"{_PREFIX}[0-9a-f]{{{_MOMENT_DIGITS}}}{_MARK}[0-9a-f]{{{2 * _RANDOM_BYTES}}}")


class KeptFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file without its content. ``batch`` made it; empty where it was uploaded. None: it does not expire.

    ``owner`` is what rotation keeps of the key that made it.
    """

    id: str
    tenant: str
    owner: str
    purpose: str
    filename: str
    created_at: datetime
    bytes: int = 0
    expires_at: datetime | None = None
    batch: str = ""


class FileFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which files are listed; empty: of any. They come in the order of their ids, which is that of their creation."""

    tenant: str
    owner: str = ""
    purpose: str = ""
    after: str = ""
    descending: bool = True


class FileStore(Protocol):
    """Where files are kept, sealed. What is not published yet, has expired or was deleted is not there.

    Each method raises ``ServiceUnavailable`` where the database does not answer.
    """

    async def begin(self, file: KeptFile) -> None:
        """Make room for a file that nobody sees before it is published."""
        ...

    async def append(self, file: KeptFile, number: int, content: bytes) -> None:
        """Keep a piece, from 0 on; all but the last have ``CHUNK_BYTES``."""
        ...

    async def publish(self, file: KeptFile, size_bytes: int) -> KeptFile:
        """Have a file be there; return it."""
        ...

    async def discard(self, file: KeptFile) -> None:
        """Delete a file that was not published."""
        ...

    async def get(self, tenant: str, file_id: str, now: datetime) -> KeptFile | None:
        """Return a file."""
        ...

    async def piece(self, file: KeptFile, number: int) -> bytes | None:
        """Return a piece of a file, also of one that was deleted or has expired while a batch reads it; None behind the last."""
        ...

    async def list(self, wanted: FileFilter, limit: int, now: datetime) -> Sequence[KeptFile]:
        """Return files."""
        ...

    async def delete(self, tenant: str, file_id: str) -> bool:
        """Have a file be there no more; False where it is not. What a batch reads stays for it until it has ended."""
        ...

    async def stored_bytes(self, tenant: str) -> int:
        """Return how much a tenant's files take."""
        ...

    async def sweep(self, now: datetime, begun_before: datetime, limit: int) -> int:
        """Delete the contents of files that are there no more, or were begun before then and never published; return how many.

        What else writes meanwhile does not wait for all of it.
        """
        ...


def new_file_id(now: datetime) -> str:
    """Return an id that nobody can guess; ids sort by the time when they were made, also among those of vector stores."""
    nanoseconds = int(now.timestamp() * 1_000_000) * 1000
    return f"{_PREFIX}{nanoseconds:0{_MOMENT_DIGITS}x}{_MARK}{secrets.token_hex(_RANDOM_BYTES)}"


def is_here(file_id: str) -> bool:
    """Return whether an id is one of those that are made here."""
    return _ID.fullmatch(file_id) is not None


async def pieces_of(store: FileStore, file: KeptFile, first: int = 0) -> AsyncGenerator[bytes]:
    """Yield a file's pieces from that number on.

    Raises:
        ServiceUnavailable: if the file has become shorter: nobody is to take what came for all of it.
    """
    for number in range(first, -(-file.bytes // CHUNK_BYTES)):
        piece = await store.piece(file, number)
        if piece is None:
            raise ServiceUnavailable("The file was deleted while it was read.", service="sql")
        yield piece


class FileWriter:
    """Writes a file piece by piece; what it holds is less than two of them."""

    def __init__(self, store: FileStore, file: KeptFile) -> None:
        self.size_bytes = 0
        """Of all that was written."""
        self.file = file
        self._store = store
        self._held = bytearray()
        self._written = 0

    async def write(self, content: bytes) -> None:
        """Add bytes; pieces that are full are kept."""
        if not self.size_bytes and content:
            await self._store.begin(self.file)
        self.size_bytes += len(content)
        self._held += content
        while len(self._held) >= CHUNK_BYTES:
            await self._keep(bytes(self._held[:CHUNK_BYTES]))
            del self._held[:CHUNK_BYTES]

    async def close(self) -> None:
        """Keep what is left; the file is whole, and not published."""
        if self._held:
            await self._keep(bytes(self._held))
            self._held.clear()

    def expire_after(self, ttl: timedelta) -> None:
        """Have it expire so long after its creation."""
        self.file = msgspec.structs.replace(self.file, expires_at=self.file.created_at + ttl)

    async def discard(self) -> None:
        """Have nothing of it be left."""
        if self.size_bytes:
            await self._store.discard(self.file)

    async def _keep(self, piece: bytes) -> None:
        await self._store.append(self.file, self._written, piece)
        self._written += 1
