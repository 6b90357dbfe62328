"""A package: a ZIP archive of parts, none of which is believed to be as large as it says."""

from __future__ import annotations

import posixpath
import re
import zlib
from collections.abc import Iterator
from io import BytesIO
from itertools import pairwise
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile, ZipInfo

from penstock_embedding.adapters.parsing.formats.office.xml import Attributes, Item, items_of
from penstock_embedding.domain.documents.draft import Draft
from penstock_embedding.domain.documents.limits import ParsingLimits
from penstock_embedding.domain.documents.parsed import DocumentRefused

_ENTRY = b"PK\x01\x02"
_LOCAL_HEADER_BYTES = 30
_ENCRYPTED = 1
_SMALL_BYTES = 1024 * 1024
_DAMAGED = "Its archive is damaged. Open it, save it anew, and try again."
_OUTSIDE = re.compile(r"^[/\\]|^[A-Za-z]:|(?:^|[/\\])\.\.(?:[/\\]|$)")


class Package:
    """The parts of a document. Nothing outside of it is ever looked for."""

    def __init__(self, content: bytes, draft: Draft) -> None:
        self._draft = draft
        self._archive = _opened(content)
        _check(self._archive.infolist(), draft.limits)
        self._names = {info.filename: info for info in self._archive.infolist()}

    @staticmethod
    def names_in(content: bytes) -> list[str]:
        """Return what is in an archive.

        Raises:
            DocumentRefused: if it is damaged.
        """
        return _opened(content).namelist()

    def __contains__(self, name: str) -> bool:
        return name in self._names

    def part(self, name: str) -> bytes:
        """Return a part; the draft is at that place from now on.

        Raises:
            DocumentRefused: if it is missing or damaged.
        """
        self._draft.place = name
        if name not in self._names:
            raise DocumentRefused("broken", "A part of it is missing. Open it, save it anew, and try again.", name)
        try:
            return self._archive.read(self._names[name])
        except (BadZipFile, zlib.error, EOFError, NotImplementedError, OSError, ValueError) as error:
            raise DocumentRefused("broken", _DAMAGED, name) from error

    def elements(self, name: str) -> Iterator[Item]:
        """Return what is in a part of XML."""
        return items_of(self.part(name), name, self._draft.limits.nesting)

    def relations(self, name: str) -> dict[str, tuple[str, str]]:
        """Return what a part refers to within the package: by id, its kind and its name."""
        folder, base = posixpath.split(name)
        rels = posixpath.join(folder, "_rels", f"{base}.rels")
        if rels not in self:
            return {}
        return {
            item.attributes.get("Id", ""): _relation(folder, item.attributes)
            for item in self.elements(rels)
            if item.kind == "start" and item.name == "Relationship" and item.attributes.get("TargetMode") != "External"
        }

    def title(self) -> str:
        """Return what the document's properties call it."""
        if "docProps/core.xml" not in self:
            return ""
        is_within = False
        for item in self.elements("docProps/core.xml"):
            if item.kind == "text" and is_within:
                return item.name
            is_within = item.kind == "start" and item.name == "title"
        return ""


def _opened(content: bytes) -> ZipFile:
    try:
        return ZipFile(BytesIO(content))
    except (BadZipFile, ValueError, OSError, EOFError, NotImplementedError, UnicodeDecodeError) as error:
        raise DocumentRefused("broken", _DAMAGED, "archive") from error


def _check(parts: list[ZipInfo], limits: ParsingLimits) -> None:
    """Raise DocumentRefused if what the archive says of itself is too much, or impossible."""
    if len(parts) > limits.archive_entries:
        raise DocumentRefused("bomb", f"It has more than {limits.archive_entries} parts.", "archive")
    seen: set[str] = set()
    for part in parts:
        _check_part(part, limits)
        if part.filename in seen:
            raise DocumentRefused("broken", "It has a part twice. Open it, save it anew.", part.filename)
        seen.add(part.filename)
    for part, following in pairwise(sorted(parts, key=lambda part: part.header_offset)):
        end = part.header_offset + _LOCAL_HEADER_BYTES + len(part.orig_filename.encode()) + part.compress_size
        if end > following.header_offset:
            raise DocumentRefused("bomb", "Its parts overlap, as those of a bomb do.", following.filename)
    if sum(part.file_size for part in parts) > limits.archive_bytes:
        raise DocumentRefused("bomb", f"Unpacked it has more than {limits.archive_bytes} bytes. Split it.", "archive")


def _check_part(part: ZipInfo, limits: ParsingLimits) -> None:
    name = part.filename
    if part.flag_bits & _ENCRYPTED:
        raise DocumentRefused("encrypted", "It has a password. Save it without one.", name)
    if _OUTSIDE.search(part.orig_filename):
        raise DocumentRefused("forbidden_reference", "A part's name points out of the archive.", name)
    if part.compress_type not in {ZIP_STORED, ZIP_DEFLATED}:
        raise DocumentRefused("unsupported", "A part is packed as office programs do not. Save it anew.", name)
    if part.file_size > _SMALL_BYTES and part.file_size > limits.archive_ratio * part.compress_size:
        raise DocumentRefused("bomb", f"A part grows more than {limits.archive_ratio} times when unpacked.", name)


def _relation(folder: str, attributes: Attributes) -> tuple[str, str]:
    kind = attributes.get("Type", "").rpartition("/")[2]
    target = attributes.get("Target", "")
    return kind, posixpath.normpath(posixpath.join("/", folder, target)).lstrip("/")
