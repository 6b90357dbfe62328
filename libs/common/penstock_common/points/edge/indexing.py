"""Indexing of a shard beside its use: a copy is indexed by another process, and takes the shard's place.

The engine would answer nothing meanwhile, and a graph of ten thousand vectors takes seconds.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections import deque
from pathlib import Path

import msgspec

from penstock_common.contract.points import Delete, Put, Question, SetPayload, Sweep
from penstock_common.points.edge.messages import QUESTION, Settings, packed
from penstock_common.points.edge.shard import Shard
from penstock_common.points.store import Collection

COPY, REPLACED = ".indexing", ".replaced"
"""What follows the folder's name while it is copied, and where it has been replaced."""
_BLOCK = bytes(64 * 1024)
_MODULE = "penstock_common.points.edge.indexing"
_MOST_LATE_POINTS = 50_000
_MOST_CHANGES = 50_000
_CHANGES_AT_ONCE = 2
"""At least; with one, writes could come as fast as they are caught up with."""
_BESIDE_OTHERS = 10


class Indexing:
    """One shard's, from the copy to the exchange. What changes the shard meanwhile is told to ``note``."""

    def __init__(self, collection: Collection, folder: Path, settings: Settings) -> None:
        """Copy the shard, which is flushed, and start."""
        self._folder = folder
        self._copy = folder.with_name(folder.name + COPY)
        self._collection = collection
        self._settings = settings
        self._changes: deque[bytes] = deque()
        self._indexed: Shard | None = None
        self.late_points = 0
        """How many came meanwhile, and are in no index."""
        forget(folder)
        copy_sparse(folder, self._copy)
        arguments = [str(self._copy), *(msgspec.json.encode(value).decode() for value in (collection, settings))]
        self._process = subprocess.Popen(  # noqa: S603 - this interpreter
            [sys.executable, "-m", _MODULE, *arguments], stdin=subprocess.DEVNULL, start_new_session=True
        )

    def note(self, question: Question) -> None:
        """Have what the shard has been told done to the copy, too."""
        if isinstance(question, Put | SetPayload | Delete | Sweep):
            # As bytes they take a quarter of the memory.
            self._changes.append(packed(question))
        if isinstance(question, Put):
            self.late_points += len(question.points)

    @property
    def has_ended(self) -> bool:
        """Whether the copy is indexed, or will not be."""
        return self._process.poll() is not None or self._is_too_late

    @property
    def _is_too_late(self) -> bool:
        return len(self._changes) > _MOST_CHANGES or self.late_points > _MOST_LATE_POINTS

    def catch_up(self, seconds: float) -> bool:
        """Do to the copy, once ``has_ended``, what has been done to the shard; return whether it is as the shard is.

        It goes on for so many seconds, so that somebody who asks meanwhile need not wait for all of it.

        Raises:
            IndexingFailed: if the copy is not indexed; the shard goes on.
        """
        if self._indexed is None:
            status = self._process.poll()
            if status != 0:
                raise IndexingFailed("too much came meanwhile" if status is None else f"status {status}")
            self._indexed = Shard(self._collection, self._copy, self._settings)
        until = time.monotonic() + seconds
        done = 0
        while self._changes and (done < _CHANGES_AT_ONCE or time.monotonic() < until):
            self._indexed.answer(QUESTION.decode(self._changes.popleft()))
            done += 1
        return not self._changes

    def exchange(self, shard: Shard) -> Shard:
        """Return the indexed shard, which has caught up, in the place of the one that is given, which is closed."""
        self._close_copy()
        shard.close()
        replaced = self._folder.with_name(self._folder.name + REPLACED)
        self._folder.rename(replaced)
        self._copy.rename(self._folder)
        shutil.rmtree(replaced)
        return Shard(self._collection, self._folder, self._settings)

    def stop(self) -> None:
        """End it, and leave no copy."""
        self._process.kill()
        self._process.wait()
        self._close_copy()
        shutil.rmtree(self._copy, ignore_errors=True)

    def _close_copy(self) -> None:
        if self._indexed is not None:
            self._indexed.close()
            self._indexed = None


class IndexingFailed(Exception):
    """The shard stays as it was; the text is why."""


def forget(folder: Path) -> None:
    """Clear up what a process that was killed has left, so that the folder is the whole shard."""
    replaced = folder.with_name(folder.name + REPLACED)
    if replaced.exists() and not folder.exists():
        # Between the two renames.
        replaced.rename(folder)
    for left in (replaced, folder.with_name(folder.name + COPY)):
        shutil.rmtree(left, ignore_errors=True)


def copy_sparse(source: Path, target: Path) -> None:
    """Copy a folder; what nobody has written of a file takes no room in the copy either."""
    for folder, _, files in os.walk(source):
        there = target / Path(folder).relative_to(source)
        there.mkdir(mode=0o700)
        for name in files:
            _copy_file(Path(folder) / name, there / name)


def _copy_file(source: Path, target: Path) -> None:
    with source.open("rb") as read, target.open("wb") as written:
        while block := read.read(len(_BLOCK)):
            if block == _BLOCK:
                written.seek(len(block), os.SEEK_CUR)
            else:
                written.write(block)
        written.truncate()


def main() -> None:
    """Index the shard: FOLDER COLLECTION SETTINGS, the latter as JSON."""
    os.nice(_BESIDE_OTHERS)
    collection = msgspec.json.decode(sys.argv[2], type=Collection)
    shard = Shard(collection, Path(sys.argv[1]), msgspec.json.decode(sys.argv[3], type=Settings))
    shard.optimize()
    shard.close()


if __name__ == "__main__":
    main()
