"""A reading process: ``python -m penstock_embedding.adapters.parsing.worker LIMITS PARENT``.

It takes documents from its standard input, one after another, and ends with it.
"""

from __future__ import annotations

import os
import sys
from typing import BinaryIO

import msgspec

from penstock_embedding.adapters.parsing.confinement import Forbidden, allow_seconds, confine, peak_bytes
from penstock_embedding.adapters.parsing.formats import read
from penstock_embedding.adapters.parsing.messages import LENGTH, Job, Read, Ready, Refused, Reply
from penstock_embedding.domain.documents.draft import Draft
from penstock_embedding.domain.documents.limits import ParsingLimits
from penstock_embedding.domain.documents.parsed import DocumentRefused


def main() -> None:
    """Read documents until there are no more."""
    limits = msgspec.json.decode(sys.argv[1], type=ParsingLimits)
    jobs, replies = _pipes()
    confine(limits.memory_bytes, parent=int(sys.argv[2]))
    _send(replies, Ready())
    jobs_decoder = msgspec.msgpack.Decoder(Job)
    while header := jobs.read(LENGTH.size):
        job = jobs_decoder.decode(jobs.read(*LENGTH.unpack(header)))
        allow_seconds(limits.seconds)
        _send(replies, _answer(job, limits))


def _pipes() -> tuple[BinaryIO, BinaryIO]:
    """Return both ends, out of the way of whoever prints."""
    jobs, replies = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    os.dup2(nothing, 1)
    return jobs, replies


def _answer(job: Job, limits: ParsingLimits) -> Reply:
    draft = Draft(limits)
    try:
        return Read.of(read(job.content, job.filename, job.media_type, draft), peak_bytes())
    except DocumentRefused as refused:
        return Refused(refused.reason, refused.message, refused.place, peak_bytes())
    except MemoryError:
        del job
        return Refused("out_of_memory", OUT_OF_MEMORY, draft.place, peak_bytes())
    except Forbidden:
        return Refused("forbidden_reference", FORBIDDEN, draft.place, peak_bytes())
    except RecursionError:
        return Refused("bomb", "Its parts are nested too deeply to be read. Save it anew.", draft.place, peak_bytes())
    except Exception:  # noqa: BLE001 - what a library raises for a broken document has no common base
        return Refused("broken", "It is damaged. Open it, save it anew, and try again.", draft.place, peak_bytes())


def _send(replies: BinaryIO, reply: Reply) -> None:
    message = msgspec.msgpack.encode(reply)
    replies.write(LENGTH.pack(len(message)))
    replies.write(message)
    replies.flush()


OUT_OF_MEMORY = "It takes more memory to read than is allowed. Split it, or save it in another format."
FORBIDDEN = "It refers to a file or an address outside of it, which nobody opens. Take that out."

if __name__ == "__main__":
    main()
