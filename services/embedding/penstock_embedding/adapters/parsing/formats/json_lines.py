"""JSON lines: a paragraph for each."""

from __future__ import annotations

from penstock_embedding.adapters.parsing.formats.json_text import json_value, outline, refuse_other_encodings
from penstock_embedding.adapters.parsing.formats.source import Source
from penstock_embedding.domain.documents.draft import Draft
from penstock_embedding.domain.documents.parsed import DocumentRefused


def read(source: Source, draft: Draft) -> None:
    """Write them into the draft."""
    refuse_other_encodings(source)
    for number, line in enumerate(source.text.split("\n"), 1):
        if not line.strip():
            continue
        draft.place = f"line {number}"
        draft.add("paragraph", _record(line, draft))


def _record(line: str, draft: Draft) -> str:
    try:
        value = json_value(line, draft.limits.nesting)
    except DocumentRefused as refused:
        column = refused.place.partition(", ")[2]
        within = f", {column}" if column else ""
        raise DocumentRefused(refused.reason, refused.message, f"{draft.place}{within}") from None
    return line if "\\u" not in line else outline(value)
