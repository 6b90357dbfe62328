"""What retrieval is judged by: documents, and questions with the documents that answer them."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, TypeVar

import msgspec

from penstock_suite.domain.failure import Misconfigured

_EXTENSIONS = {"python": "py", "typescript": "ts", "javascript": "js", "markdown": "md", "text": "txt"}
LineT = TypeVar("LineT", bound=msgspec.Struct)


class CorpusDocument(msgspec.Struct, frozen=True):
    """A document as the corpus has it; ``format`` is how its file's name ends."""

    id: Annotated[str, msgspec.Meta(min_length=1)]
    text: str
    title: str = ""
    format: str = "txt"

    @property
    def filename(self) -> str:
        """The name of a file that holds it."""
        return f"{self.id}.{_EXTENSIONS.get(self.format, self.format)}"


class Relevant(msgspec.Struct, frozen=True):
    """A document that answers: 3 whole, 2 in part, 1 is background."""

    doc: str
    grade: Annotated[int, msgspec.Meta(ge=0, le=3)] = 1


class Question(msgspec.Struct, frozen=True):
    """A question; ``kind`` is what makes it hard."""

    query: Annotated[str, msgspec.Meta(min_length=1)]
    relevant: Annotated[list[Relevant], msgspec.Meta(min_length=1)]
    id: str = ""
    kind: str = ""

    @property
    def grades(self) -> dict[str, int]:
        """The grade of each document that answers."""
        return {one.doc: one.grade for one in self.relevant if one.grade}


def read_corpus(path: Path) -> list[CorpusDocument]:
    """Return the documents of a file of JSON lines, or those that are files below a folder, named by their stems.

    Raises:
        Misconfigured: if it cannot be read, or for the first line that is no document.
    """
    try:
        documents = list(_files(path)) if path.is_dir() else _lines(path, CorpusDocument, "document")
    except OSError as error:
        raise Misconfigured(f"{path} cannot be read: {error.strerror}") from None
    twice = [name for name, count in Counter(document.id for document in documents).items() if count > 1]
    if twice:
        raise Misconfigured(f"{path}: the id '{twice[0]}' is there twice")
    if not documents:
        raise Misconfigured(f"{path} has no documents")
    return documents


def read_queries(path: Path, known: Sequence[CorpusDocument]) -> list[Question]:
    """Return the questions of a file of JSON lines.

    Raises:
        Misconfigured: if it cannot be read, or for the first line that is no question, or names a document that is not there.
    """
    try:
        questions = _lines(path, Question, "question with its relevant documents")
    except OSError as error:
        raise Misconfigured(f"{path} cannot be read: {error.strerror}") from None
    if not questions:
        raise Misconfigured(f"{path} has no questions")
    ids = {document.id for document in known}
    for number, question in enumerate(questions, 1):
        name = question.id or f"number {number}"
        if missing := [one.doc for one in question.relevant if one.doc not in ids]:
            raise Misconfigured(f"{path}: question {name} names '{missing[0]}', which the corpus does not have")
        if not question.grades:
            raise Misconfigured(f"{path}: no document answers question {name}: one needs a grade above 0")
    return questions


def digest_of(questions: Sequence[Question]) -> str:
    """Return what tells this set of questions and grades from another, in hexadecimal."""
    judged = sorted((one.query, sorted(one.grades.items())) for one in questions)
    return hashlib.sha256(msgspec.json.encode(judged)).hexdigest()[:16]


def subjects_of(documents: Sequence[CorpusDocument]) -> Mapping[str, str]:
    """Return the subject of each document whose id tells it: what stands before the last hyphen, where others share it."""
    before = {document.id: document.id.rpartition("-")[0] for document in documents}
    shared = Counter(before.values())
    return {name: subject for name, subject in before.items() if subject and shared[subject] > 1}


def _files(folder: Path) -> Iterator[CorpusDocument]:
    for file in sorted(folder.rglob("*")):
        if file.is_file():
            text = file.read_bytes().decode("utf-8", "replace")
            yield CorpusDocument(id=file.stem, text=text, format=file.suffix.lstrip(".") or "txt")


def _lines(path: Path, kind: type[LineT], said: str) -> list[LineT]:
    found: list[LineT] = []
    for line, text in enumerate(path.read_bytes().removeprefix(b"\xef\xbb\xbf").split(b"\n"), 1):
        if not text.strip():
            continue
        try:
            found.append(msgspec.json.decode(text, type=kind))
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise Misconfigured(f"{path}, line {line} is no {said}: {error}") from None
    return found
