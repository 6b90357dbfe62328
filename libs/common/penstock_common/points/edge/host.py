"""The engine's process: holds a folder of shards, and answers one question after another until its owner is gone.

It is a process of its own because the engine holds the interpreter's lock while it works, and because a disk that fills
under its mapped files ends the process. A further one indexes.
"""

from __future__ import annotations

import fcntl
import os
import select
import shutil
import signal
import socket
import sys
import time
from collections import deque
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, TextIO

import msgspec

from penstock_common.contract.points import Put, Question, SetPayload
from penstock_common.points.edge.indexing import Indexing, forget
from penstock_common.points.edge.messages import QUESTIONS, Asked, Settings, Told, framed, frames_of, packed
from penstock_common.points.edge.shard import Shard
from penstock_common.points.store import Collection

_READ_BYTES = 1 << 20
_BLOCK_BYTES = 512
"""The unit of stat(2)."""
_LOOK_SECONDS = 0.2
_CATCH_UP_SECONDS = 0.02
"""At once; a question may wait so long."""
_KIBIBYTE = 1024
_FLOAT_BYTES = 4
_ROOM_PER_WRITTEN_BYTE = 4
_HEAVY_BACKLOG = 4
"""So many times the indexing threshold, and nobody waits for a quiet moment any more."""
_MOST_FAILED_OPENINGS = 3
_HANDOVER_SECONDS = 10.0
_HANDOVER_STEP_SECONDS = 0.02


class FolderHeld(Exception):
    """Another process has the folder; the text is its id, as far as it is known."""


class DiskFull(Exception):
    """Too little room is left to write safely."""


def hold(folder: Path, owner: int) -> TextIO:
    """Return the open lock of the folder; the kernel lets go of it however this process ends.

    The engine of an owner that was killed needs a moment to see it; so long one waits.

    Raises:
        FolderHeld: if another engine has it.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = (folder / "lock").open("a+", encoding="ascii")
    until = time.monotonic() + _HANDOVER_SECONDS
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except BlockingIOError:
            lock.seek(0)
            holder = lock.read().strip()
            if _lives(holder) or time.monotonic() > until:
                raise FolderHeld(holder) from None
            time.sleep(_HANDOVER_STEP_SECONDS)
    lock.seek(0)
    lock.truncate()
    lock.write(str(owner))
    lock.flush()
    return lock


def _lives(process: str) -> bool:
    try:
        os.kill(int(process), 0)
    except ProcessLookupError:
        return False
    except (PermissionError, ValueError):
        return True
    return True


class Host:
    """The shards of a folder, opened when they are first asked for."""

    def __init__(self, folder: Path, settings: Settings) -> None:
        self._folder = folder
        self._settings = settings
        self._shards: dict[str, Shard] = {}
        self._unindexed: dict[str, int] = {}
        self._indexing: dict[str, Indexing] = {}
        self._last_flush = time.monotonic()
        self.notes: list[str] = []
        """What the owner should log."""

    def answer(self, question: Question) -> Any:
        """Return the answer.

        Raises:
            DiskFull: if it would write, and little room is left.
        """
        shard = self._shard(question.collection)
        if isinstance(question, Put):
            self._check_room(len(question.points) * question.collection.dimension * _FLOAT_BYTES)
            self._unindexed[question.collection.name] += len(question.points)
        elif isinstance(question, SetPayload):
            self._check_room(0)
        answer = shard.answer(question)
        if (indexing := self._indexing.get(question.collection.name)) is not None:
            indexing.note(question)
        return answer

    def patience(self) -> float | None:
        """Return for how long a pause must last until ``rest`` has something to do, in seconds; None is for ever."""
        if self._indexing:
            return 0.0 if self.is_catching_up else _LOOK_SECONDS
        if self._backlog():
            return self._settings.quiet_seconds
        changed = any(shard.is_changed for shard in self._shards.values())
        return max(self._last_flush + self._settings.flush_seconds - time.monotonic(), 0.0) if changed else None

    def flush_if_due(self) -> None:
        """Flush what has been written some seconds ago."""
        if time.monotonic() < self._last_flush + self._settings.flush_seconds:
            return
        self._last_flush = time.monotonic()
        for name, shard in self._shards.items():
            if shard.is_changed:
                self._try(f"{name} is not flushed", shard.flush)

    def index(self, *, is_quiet: bool) -> None:
        """Begin to index what waits for it, in a quiet moment or where searches suffer; and end what was begun."""
        for name in [name for name, indexing in self._indexing.items() if indexing.has_ended]:
            self._try(f"{name} is not indexed", partial(self._catch_up, name))
        for name in self._backlog(1 if is_quiet else _HEAVY_BACKLOG):
            # What fails is tried again when as much has come.
            self._unindexed[name] = 0
            self._try(f"{name} is not indexed", partial(self._begin, name))

    @property
    def is_indexing(self) -> bool:
        """Whether a copy of a shard is being indexed."""
        return bool(self._indexing)

    @property
    def is_catching_up(self) -> bool:
        """Whether a copy has been indexed, and what came meanwhile is being done to it."""
        return any(indexing.has_ended for indexing in self._indexing.values())

    def _begin(self, name: str) -> None:
        shard, folder = self._shards[name], self._folder / name
        shard.flush()
        self._check_room(sum(file.stat().st_blocks for file in folder.rglob("*")) * _BLOCK_BYTES, times=2)
        self._indexing[name] = Indexing(shard.collection, folder, self._settings)

    def _catch_up(self, name: str) -> None:
        indexing = self._indexing[name]
        try:
            if not indexing.catch_up(_CATCH_UP_SECONDS):
                return
        except BaseException:
            indexing.stop()
            self._end(name)
            raise
        self._end(name)
        self._shards[name] = indexing.exchange(self._shards[name])

    def _end(self, name: str) -> None:
        self._unindexed[name] = self._indexing.pop(name).late_points

    def close(self) -> None:
        """Flush and let go."""
        for indexing in self._indexing.values():
            indexing.stop()
        for shard in self._shards.values():
            shard.close()

    def _try(self, failing: str, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception as error:  # noqa: BLE001 - the engine's own have no kinds
            self.notes.append(f"{failing}: {error}")

    def _backlog(self, times: int = 1) -> list[str]:
        least = self._settings.indexing_threshold_kilobytes * _KIBIBYTE * times
        waiting = [name for name in self._unindexed if name not in self._indexing]
        return [name for name in waiting if self._unindexed[name] * self._bytes_of_a_vector(name) >= least]

    def _bytes_of_a_vector(self, name: str) -> int:
        return self._shards[name].collection.dimension * _FLOAT_BYTES

    def _check_room(self, more_bytes: int, times: int = _ROOM_PER_WRITTEN_BYTE) -> None:
        disk = os.statvfs(self._folder)
        free = disk.f_bavail * disk.f_frsize
        if free < self._settings.least_free_bytes + more_bytes * times:
            raise DiskFull(f"the disk of {self._folder} has only {free // _KIBIBYTE**2} MiB left")

    def _shard(self, collection: Collection) -> Shard:
        name = collection.name
        shard = self._shards.get(name)
        if shard is None:
            shard = self._shards[name] = self._opened(collection)
            self._unindexed[name] = shard.unindexed
        return shard

    def _opened(self, collection: Collection) -> Shard:
        folder = self._folder / collection.name
        forget(folder)
        attempts = self._folder / f"{collection.name}.opening"
        failed = int(attempts.read_text() or 0) if attempts.exists() else 0
        if failed >= _MOST_FAILED_OPENINGS:
            # A disk that is full ends the engine, too, and says nothing of the data.
            self._check_room(0)
            self._set_aside(folder, f"opening it ended the engine {failed} times")
        attempts.write_text(str(failed + 1))
        try:
            shard = Shard(collection, folder, self._settings)
        except BaseException as error:
            # The engine's own have no kinds, and its panics are no Exception.
            if not folder.exists():
                raise
            # Healthy data must not be given up because there is no room to open them.
            self._check_room(0)
            self._set_aside(folder, str(error))
            shard = Shard(collection, folder, self._settings)
        attempts.unlink()
        return shard

    def _set_aside(self, folder: Path, reason: str) -> None:
        if not folder.exists():
            return
        aside = folder.with_name(f"{folder.name}.broken")
        # The latest is kept, to be looked at; all of them would fill the disk.
        shutil.rmtree(aside, ignore_errors=True)
        folder.rename(aside)
        self.notes.append(f"{folder.name} cannot be read and begins anew; the old one is {aside}: {reason}")


def serve(connection: socket.socket, host: Host) -> None:
    """Answer until the other side is gone."""
    buffer = bytearray()
    waiting: deque[bytes] = deque()
    while True:
        readable, _, _ = select.select([connection], [], [], 0 if waiting else host.patience())
        if readable:
            data = connection.recv(_READ_BYTES)
            if not data:
                return
            buffer += data
            waiting.extend(frames_of(buffer))
        if waiting:
            _answer(connection, host, QUESTIONS.decode(waiting.popleft()))
        host.index(is_quiet=not readable and not waiting and not host.is_catching_up)
        host.flush_if_due()
        for note in host.notes:
            _tell(connection, 0, "note", note)
        host.notes.clear()


def _answer(connection: socket.socket, host: Host, asked: Asked) -> None:
    if time.monotonic() > asked.deadline:
        return
    try:
        kind, answer = "", host.answer(asked.question)
    except Exception as error:  # noqa: BLE001 - the engine's own have no kinds
        kind, answer = "unavailable", str(error)
    _tell(connection, asked.number, kind, answer)


def _tell(connection: socket.socket, number: int, kind: str, answer: Any) -> None:
    connection.sendall(framed(Told(number, kind, msgspec.Raw(packed(answer)))))


def main() -> None:
    """Serve the socket that standard input is: FOLDER OWNER SETTINGS, as JSON."""
    # Whoever owns it decides when it ends: then the socket does.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    folder, owner = Path(sys.argv[1]), int(sys.argv[2])
    settings = msgspec.json.decode(sys.argv[3], type=Settings)
    connection = socket.socket(fileno=os.dup(0))
    try:
        lock = hold(folder, owner)
    except FolderHeld as error:
        _tell(connection, 0, "held", str(error))
        return
    except OSError as error:
        _tell(connection, 0, "refused", f"{folder}: {error.strerror}")
        return
    with lock:
        host = Host(folder, settings)
        try:
            _tell(connection, 0, "ready", None)
            serve(connection, host)
        except (BrokenPipeError, ConnectionResetError):
            # The owner is gone, before it heard of it or in the middle of an answer.
            pass
        finally:
            host.close()


if __name__ == "__main__":
    main()
