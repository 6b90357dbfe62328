"""DOCX, PPTX and XLSX: packages of XML."""

from __future__ import annotations

from penstock_embedding.adapters.parsing.formats.office.package import Package
from penstock_embedding.domain.documents.parsed import DocumentRefused

_OF_TYPE = "application/vnd.openxmlformats-officedocument."
_DOCX = ("office.docx", f"{_OF_TYPE}wordprocessingml.document")
_PPTX = ("office.pptx", f"{_OF_TYPE}presentationml.presentation")
_XLSX = ("office.xlsx", f"{_OF_TYPE}spreadsheetml.sheet")
_BY_FOLDER = {"word": _DOCX, "ppt": _PPTX, "xl": _XLSX}
_OTHER_PACKAGES = (b"mimetypeapplication/vnd.oasis.opendocument", b"mimetypeapplication/epub")


def kind_of_package(content: bytes) -> tuple[str, str]:
    """Return the module and the media type of a package.

    Raises:
        DocumentRefused: if it is an archive of something else.
    """
    if any(mark in content[:200] for mark in _OTHER_PACKAGES):
        raise DocumentRefused("unsupported", "It is an OpenDocument file or a book. Save it as DOCX, PPTX or PDF.")
    names = Package.names_in(content)
    if "[Content_Types].xml" in names:
        for folder, kind in _BY_FOLDER.items():
            if any(name.startswith(f"{folder}/") for name in names):
                return kind
    raise DocumentRefused("unsupported", "It is an archive of no kind that is read. Unpack it, and give what is in it.")
