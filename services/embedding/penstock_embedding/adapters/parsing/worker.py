"""A reading process: ``python -m penstock_embedding.adapters.parsing.worker LIMITS PARENT``.

It takes documents from its standard input, one after another, and ends with it.
"""

from __future__ import annotations

import os
import sys
from typing import BinaryIO

import msgspec

from penstock_embedding.adapters.parsing.confinement import Forbidden, allow_seconds, confine
from penstock_embedding.adapters.parsing.formats import read
from penstock_embedding.adapters.parsing.memory import PeakMemory
from penstock_embedding.adapters.parsing.messages import LENGTH, NO_MEMORY_STATUS, Job, Read, Ready, Refused, Reply
from penstock_embedding.domain.documents.draft import Draft
from penstock_embedding.domain.documents.limits import ParsingLimits
from penstock_embedding.domain.documents.parsed import DocumentRefused


def main() -> None:
    """Read documents until there are no more."""
    limits = msgspec.json.decode(sys.argv[1], type=ParsingLimits)
    jobs, replies = _pipes()
    memory = PeakMemory()
    confine(limits.memory_bytes, parent=int(sys.argv[2]))
    _send(replies, Ready())
    try:
        while header := jobs.read(LENGTH.size):
            job = msgspec.msgpack.decode(jobs.read(*LENGTH.unpack(header)), type=Job)
            allow_seconds(limits.seconds)
            _send(replies, _answer(job, limits, memory))
    except MemoryError:
        # There was none left to say so, either.
        os._exit(NO_MEMORY_STATUS)


def _pipes() -> tuple[BinaryIO, BinaryIO]:
    """Return both ends, out of the way of whoever prints."""
    jobs, replies = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    os.dup2(nothing, 1)
    os.close(nothing)
    return jobs, replies


def _answer(job: Job, limits: ParsingLimits, memory: PeakMemory) -> Reply:
    draft = Draft(limits)
    try:
        return Read.of(read(job.content, job.filename, job.media_type, draft), memory.bytes_so_far())
    except DocumentRefused as refused:
        return Refused(refused.reason, refused.message, refused.place, memory.bytes_so_far())
    except MemoryError:
        reason, message = "out_of_memory", OUT_OF_MEMORY
    except Forbidden:
        reason, message = "forbidden_reference", FORBIDDEN
    except RecursionError:
        reason, message = "bomb", TOO_DEEP
    except Exception:  # noqa: BLE001 - what a library raises for a broken document has no common base
        reason, message = "broken", DAMAGED
    # Only here is the memory free again that the error held.
    return Refused(reason, message, draft.place, memory.bytes_so_far())


def _send(replies: BinaryIO, reply: Reply) -> None:
    message = msgspec.msgpack.encode(reply)
    replies.write(LENGTH.pack(len(message)))
    replies.write(message)
    replies.flush()


OUT_OF_MEMORY = "It takes more memory to read than is allowed. Split it, or save it in another format."
TOO_DEEP = "Its parts are nested too deeply to be read. Save it anew."
DAMAGED = "It is damaged. Open it, save it anew, and try again."
FORBIDDEN = "It refers to a file or an address outside of it, which nobody opens. Take that out."

if __name__ == "__main__":
    main()
