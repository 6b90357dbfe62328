"""What the service and a reading process say to one another, over a pipe."""

from __future__ import annotations

import struct

import msgspec

from penstock_embedding.domain.documents.parsed import Block, Parsed, Reason

LENGTH = struct.Struct("!I")
"""Stands before every message."""


class Ready(msgspec.Struct, tag=True, array_like=True):
    """The process is confined, and reads."""


class Job(msgspec.Struct, array_like=True):
    """A document."""

    content: bytes
    filename: str
    media_type: str


class Read(msgspec.Struct, tag=True, array_like=True):
    """Its text, and the most memory that the process has ever had."""

    text: str
    media_type: str
    title: str
    language: str
    blocks: list[Block]
    pages: list[int]
    peak_bytes: int

    @classmethod
    def of(cls, parsed: Parsed, peak_bytes: int) -> Read:
        """Return the same as a message."""
        return cls(
            parsed.text,
            parsed.media_type,
            parsed.title,
            parsed.language,
            list(parsed.blocks),
            list(parsed.pages),
            peak_bytes,
        )


class Refused(msgspec.Struct, tag=True, array_like=True):
    """Why there is none."""

    reason: Reason
    message: str
    place: str
    peak_bytes: int


Reply = Ready | Read | Refused
