"""One module for each kind of document; what a kind needs is imported with its first document."""

from __future__ import annotations

from importlib import import_module

from penstock_embedding.adapters.parsing.formats.sniffing import kind_of
from penstock_embedding.adapters.parsing.formats.source import Source
from penstock_embedding.domain.documents.draft import Draft
from penstock_embedding.domain.documents.parsed import Parsed


def read(content: bytes, filename: str, media_type: str, draft: Draft) -> Parsed:
    """Return what is in a document, written into the draft.

    Raises:
        DocumentRefused: if there is none to be had.
        Exception: whatever a library raises for a broken document.
    """
    source = Source(content, filename, media_type)
    kind = kind_of(source)
    module = import_module(f"{__name__}.{kind.module}")
    module.read(source, draft)
    return draft.finish(kind.media_type)
