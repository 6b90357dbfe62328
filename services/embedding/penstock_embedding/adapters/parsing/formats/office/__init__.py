"""DOCX, PPTX and XLSX: packages of XML."""

from __future__ import annotations

from penstock_embedding.domain.documents.parsed import DocumentRefused


def kind_of_package(content: bytes) -> tuple[str, str]:
    """Return the module and the media type of a package.

    Raises:
        DocumentRefused: if it is an archive of something else.
    """
    del content
    raise DocumentRefused("unsupported", "It is an archive. Unpack it, and give what is in it.")
