"""How much one document may take of whoever reads it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ParsingLimits:
    """What a document beyond it is refused for, and how many are read at once."""

    seconds: float = 30
    """Of the clock, from when the reader has the document."""
    memory_bytes: int = 512 * 1024 * 1024
    """Of the reading process, its code included."""
    input_bytes: int = 32 * 1024 * 1024
    output_characters: int = 16 * 1024 * 1024
    blocks: int = 100_000
    pages: int = 2_000
    archive_entries: int = 2_000
    """Files within a DOCX, PPTX or XLSX."""
    archive_bytes: int = 200 * 1024 * 1024
    """Of them all, unpacked."""
    archive_ratio: int = 100
    """Of a file within, unpacked to packed; one of less than a mebibyte is let be."""
    nesting: int = 256
    """Of elements in HTML and XML, and of values in JSON."""
    mail_nesting: int = 5
    """Of parts within parts of a mail."""
    mail_parts: int = 200
    rows: int = 200_000
    """Of one table."""
    columns: int = 1_000
    workers: int = 2
    """Reading processes; the first document starts one."""
    waiting: int = 64
    """Documents that wait for a process; one more is Overloaded."""
    documents_per_worker: int = 200
    """Afterwards a fresh process takes over."""
    worker_bytes: int = 256 * 1024 * 1024
    """So does one when a process has once been as large as this."""
