"""Key rings in files of one folder, or in this process's memory alone.

``<tenant hash>.keys`` is a ring, ``<tenant hash>.shredded`` the time of the last
shredding in Unix ms, ``root.keys`` what is common to all. The folder is 0700,
files are 0600, and each is replaced as a whole.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from penstock_cache.domain.envelope import ROOT, Kept
from penstock_cache.domain.secrecy import KeysUnavailable

_NOTHING = Kept(b"", 0)
_RING, _NOTE, _ROOT_STEM = ".keys", ".shredded", "root"


class FileRings:
    """A ``RingStore`` in a folder, which processes of one machine may share."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def read(self, name: str) -> Kept:
        """Return what lies under the name, as ``RingStore`` says."""
        with _answered():
            return Kept(_content(self._path(name, _RING)), int(_content(self._path(name, _NOTE)) or 0))

    async def replace(self, name: str, seen: bytes, ring: bytes) -> bool:
        """Put the ring where ``seen`` lies, as ``RingStore`` says."""
        with _answered(), self._locked():
            path = self._path(name, _RING)
            if _content(path) != seen:
                return False
            self._write(path, ring)
            return True

    async def shred(self, name: str, at_ms: int) -> None:
        """Delete the ring and note when, as ``RingStore`` says."""
        with _answered(), self._locked():
            note, ring = self._path(name, _NOTE), self._path(name, _RING)
            if int(_content(note) or 0) < at_ms:
                self._write(note, str(at_ms).encode())
            if ring.exists():
                # Where blocks are written in place, the wrapped keys go with them.
                with ring.open("r+b", buffering=0) as file:
                    file.write(bytes(os.fstat(file.fileno()).st_size))
                    os.fsync(file.fileno())
                ring.unlink()
                self._sync()

    async def names(self) -> list[str]:
        """Return the names of all rings, as ``RingStore`` says."""
        with _answered():
            if not self._folder.exists():
                return []
            return sorted(path.stem for path in self._folder.glob("*" + _RING) if path.stem != _ROOT_STEM)

    def _path(self, name: str, suffix: str) -> Path:
        return self._folder / ((_ROOT_STEM if name == ROOT else name) + suffix)

    def _write(self, path: Path, content: bytes) -> None:
        beside = path.with_suffix(path.suffix + ".new")
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
        self._sync()

    def _sync(self) -> None:
        folder = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    @contextmanager
    def _locked(self) -> Generator[None]:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(self._folder / "lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        try:
            # Held for as long as one write takes.
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


class MemoryRings:
    """A ``RingStore`` for as long as this process lives, where nothing it seals lives longer."""

    def __init__(self) -> None:
        self._kept: dict[str, Kept] = {}

    async def read(self, name: str) -> Kept:
        """Return what lies under the name, as ``RingStore`` says."""
        return self._kept.get(name, _NOTHING)

    async def replace(self, name: str, seen: bytes, ring: bytes) -> bool:
        """Put the ring where ``seen`` lies, as ``RingStore`` says."""
        kept = self._kept.get(name, _NOTHING)
        if kept.ring != seen:
            return False
        self._kept[name] = kept._replace(ring=ring)
        return True

    async def shred(self, name: str, at_ms: int) -> None:
        """Delete the ring and note when, as ``RingStore`` says."""
        self._kept[name] = Kept(b"", max(at_ms, self._kept.get(name, _NOTHING).shredded_ms))

    async def names(self) -> list[str]:
        """Return the names of all rings, as ``RingStore`` says."""
        return sorted(name for name, kept in self._kept.items() if kept.ring and name != ROOT)


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""


@contextmanager
def _answered() -> Generator[None]:
    try:
        yield
    except (OSError, ValueError) as error:
        raise KeysUnavailable(f"the folder of the cache's keys ('cache.key_dir'): {error}") from error
