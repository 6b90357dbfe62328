"""Taking files into a knowledge base: which are sent, which are there already, and what is left out and why."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote_from_bytes

import msgspec

from penstock_common.contract import knowledge_calls as calls
from penstock_common.contract.knowledge import Attribute, Document, IngestProgress
from penstock_suite.domain.failure import Misconfigured
from penstock_suite.domain.knowledge import Knowledge

MAX_FILE_BYTES = 31 * 1024 * 1024
"""A message that carries one has 32 MiB at most."""
_AT_ONCE = 4
_MAX_ID = 128
_ID_HEAD, _ID_HASH = 100, 24
_READABLE = "!()+,=@~"


class FoundFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file to take in: ``name`` is its path below the folder that was named, which its id is made of."""

    name: str
    id: str
    path: Path | None
    content: bytes = b""
    """Of what is no file."""


class LeftOut(msgspec.Struct, frozen=True):
    """What is not taken in: why in a word, and what to do about it."""

    name: str
    reason: str
    message: str
    place: str = ""


class Ignored(msgspec.Struct, frozen=True):
    """What a rule leaves out: ``hidden``, ``ignored`` by an ignore file, or a ``link``."""

    name: str
    rule: str


Found = FoundFile | LeftOut | Ignored


@dataclass(frozen=True, slots=True)
class FileRules:
    """What of a folder is taken."""

    hidden: bool = False
    """Also what begins with a dot."""
    follows_links: bool = False
    reads_ignore_files: bool = True


class Sent(msgspec.Struct, frozen=True):
    """So many of the files have been looked at."""

    files: int
    total: int


Show = Callable[[Sent | IngestProgress], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class IngestWish:
    """What is to become of the files. Labels and attributes that are None stay as they are in what is replaced."""

    tenant: str
    base: str
    labels: tuple[str, ...] | None = None
    attributes: tuple[Attribute, ...] | None = None
    prune: bool = False
    dry_run: bool = False
    waits: bool = True


@dataclass(slots=True)
class IngestReport:
    """What has become of them, by the documents' ids."""

    added: list[str] = field(default_factory=list[str])
    replaced: list[str] = field(default_factory=list[str])
    changed: list[str] = field(default_factory=list[str])
    """In labels or attributes alone."""
    unchanged: list[str] = field(default_factory=list[str])
    pruned: list[str] = field(default_factory=list[str])
    left_out: list[LeftOut] = field(default_factory=list[LeftOut])
    ignored: dict[str, int] = field(default_factory=dict[str, int])
    """Files and folders, by the rule."""
    chunks: int = 0
    """Of the knowledge base."""


def document_id(relative: bytes) -> str:
    """Return the id of a file by its path below the folder that was named: ``guide/start.md`` is ``guide:start.md``.

    What an id may not hold is percent-encoded, so that two paths never have one id;
    what is too long ends with a hash of all of it.
    """
    made = ":".join(quote_from_bytes(part, safe=_READABLE) for part in relative.split(b"/"))
    if len(made) <= _MAX_ID:
        return made
    return f"{made[:_ID_HEAD]}~{hashlib.sha256(relative).hexdigest()[:_ID_HASH]}"


async def ingest(knowledge: Knowledge, found: Iterable[Found], wish: IngestWish, show: Show) -> IngestReport:
    """Send what is new or changed, and wait until it is taken in.

    What was accepted is taken in, whatever becomes of the command: to run it again sends the rest.

    Raises:
        NotThere: if there is no such knowledge base.
        Misconfigured: if there is nothing to take in.
    """
    await knowledge.base(wish.tenant, wish.base)
    report, files = IngestReport(), _sorted_out(found)
    for ignored in files.ignored:
        report.ignored[ignored.rule] = report.ignored.get(ignored.rule, 0) + 1
    report.left_out += files.left_out
    if not files.files and not files.left_out:
        raise Misconfigured(f"there is nothing to take in{_told_ignored(report.ignored)}")
    listed = await knowledge.documents(calls.ListDocumentsRequest(wish.tenant, wish.base))
    there = {document.id: document for document in listed}
    await _Sender(knowledge, wish, there, report, show).send(files.files)
    # They were sent beside one another, and ended in any order.
    for sent in (report.added, report.replaced, report.unchanged, report.changed):
        sent.sort()
    if wish.prune:
        await _prune(knowledge, wish, files, there, report)
    if wish.waits and not wish.dry_run:
        await _wait(knowledge, wish, show)
        await _note_failures(knowledge, wish, {file.id: file.name for file in files.files}, report)
    return report


@dataclass(frozen=True, slots=True)
class _Files:
    files: Sequence[FoundFile]
    left_out: Sequence[LeftOut]
    ignored: Sequence[Ignored]


def _sorted_out(found: Iterable[Found]) -> _Files:
    files: dict[str, FoundFile] = {}
    left_out: list[LeftOut] = []
    ignored: list[Ignored] = []
    for one in found:
        if isinstance(one, LeftOut):
            left_out.append(one)
        elif isinstance(one, Ignored):
            ignored.append(one)
        elif one.id in files and files[one.id].path != one.path:
            why = f"{files[one.id].path} has the same id '{one.id}': name the folder that both are in."
            left_out.append(LeftOut(one.name, "same_id", why))
        else:
            files[one.id] = one
    return _Files(list(files.values()), left_out, ignored)


class _Sender:
    """Sends files, a few at once."""

    def __init__(
        self, knowledge: Knowledge, wish: IngestWish, there: Mapping[str, Document], report: IngestReport, show: Show
    ) -> None:
        self._knowledge = knowledge
        self._wish = wish
        self._there = there
        self._report = report
        self._show = show
        self._seen = 0

    async def send(self, files: Sequence[FoundFile]) -> None:
        """Return when each was sent, or is left out."""
        waiting = iter(files)

        async def work() -> None:
            for file in waiting:
                await self._one(file)
                self._seen += 1
                self._show(Sent(self._seen, len(files)))

        async with asyncio.TaskGroup() as group:
            for _ in range(_AT_ONCE):
                group.create_task(work())

    async def _one(self, file: FoundFile) -> None:
        try:
            content = file.content if file.path is None else await asyncio.to_thread(_content, file.path)
        except OSError as error:
            self._report.left_out.append(LeftOut(file.name, "unreadable", f"{error.strerror or error}."))
            return
        if len(content) > MAX_FILE_BYTES:
            why = f"It has more than {MAX_FILE_BYTES // 1024**2} MiB: take it apart."
            self._report.left_out.append(LeftOut(file.name, "too_large", why))
            return
        try:
            await self._send(file, content)
        except Misconfigured as error:
            self._report.left_out.append(LeftOut(file.name, "refused", str(error)))

    async def _send(self, file: FoundFile, content: bytes) -> None:
        known, wish, report = self._there.get(file.id), self._wish, self._report
        if known is not None and _is_there(known, content):
            changes = _changes(wish, known)
            (report.changed if changes is not None else report.unchanged).append(file.id)
            if changes is not None and not wish.dry_run:
                await self._knowledge.change_document(changes)
            return
        (report.added if known is None else report.replaced).append(file.id)
        if wish.dry_run:
            return
        kept_labels = () if known is None else known.labels
        kept_attributes = () if known is None else known.attributes
        await self._knowledge.put_document(
            calls.PutDocumentRequest(
                tenant=wish.tenant,
                base=wish.base,
                id=file.id,
                content=content,
                filename=file.name,
                # Who replaces a document that some alone may find says so, where others shall.
                labels=kept_labels if wish.labels is None else wish.labels,
                attributes=kept_attributes if wish.attributes is None else wish.attributes,
            )
        )


def _content(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(MAX_FILE_BYTES + 1)


def _is_there(known: Document, content: bytes) -> bool:
    """Return whether the same was taken in, or is about to be; what failed is sent again."""
    return known.state in ("ready", "pending") and known.content_hash == hashlib.sha256(content).hexdigest()


def _changes(wish: IngestWish, known: Document) -> calls.ChangeDocumentRequest | None:
    labels = wish.labels is not None and set(wish.labels) != set(known.labels)
    attributes = wish.attributes is not None and set(wish.attributes) != set(known.attributes)
    if not (labels or attributes):
        return None
    return calls.ChangeDocumentRequest(
        tenant=wish.tenant,
        base=wish.base,
        id=known.id,
        labels=(wish.labels or ()) if labels else (),
        replace_labels=labels,
        attributes=(wish.attributes or ()) if attributes else (),
        replace_attributes=attributes,
    )


async def _prune(
    knowledge: Knowledge, wish: IngestWish, files: _Files, there: Mapping[str, Document], report: IngestReport
) -> None:
    """Delete the documents that are no file here any more.

    Raises:
        Misconfigured: if something cannot be read, whose documents would be taken for gone.
    """
    unread = next((one for one in report.left_out if one.reason in ("unreadable", "loop")), None)
    if unread is not None or not files.files:
        name = "" if unread is None else f" {unread.name} cannot be read:"
        raise Misconfigured(f"nothing is pruned:{name} documents whose files cannot be seen would be deleted")
    here = {file.id for file in files.files} | {document_id(one.name.encode()) for one in files.left_out}
    for document in there:
        if document not in here:
            report.pruned.append(document)
            if not wish.dry_run:
                await knowledge.delete_document(wish.tenant, wish.base, document)


async def _wait(knowledge: Knowledge, wish: IngestWish, show: Show) -> None:
    async with knowledge.ingest_progress(wish.tenant, wish.base) as progress:
        async for told in progress:
            show(told)


async def _note_failures(
    knowledge: Knowledge, wish: IngestWish, names: Mapping[str, str], report: IngestReport
) -> None:
    """Take what the service could not take in from what was sent, and say why."""
    wanted = calls.ListDocumentsRequest(wish.tenant, wish.base, state="failed")
    for document in await knowledge.documents(wanted):
        if document.id not in names or document.state != "failed":
            continue
        for sent in (report.added, report.replaced, report.unchanged, report.changed):
            if document.id in sent:
                sent.remove(document.id)
        why = document.failure
        reason, message, place = ("failed", "", "") if why is None else (why.reason, why.message, why.place)
        report.left_out.append(LeftOut(names[document.id], reason, message, place))
    report.chunks = (await knowledge.base(wish.tenant, wish.base)).chunks


def _told_ignored(ignored: Mapping[str, int]) -> str:
    told = ", ".join(f"{count} {rule}" for rule, count in ignored.items())
    return f"; left out by rule: {told}" if told else ""
