"""Labelled answers: the file of the development set, and our own in `data/`, where braces mark what is wrong in an answer."""

import json
import re
from pathlib import Path
from typing import NamedTuple

LABELS = {"G": "grounded", "P": "partly", "U": "ungrounded"}
# An id of a document is domain-subject-variant; a text of its own has none, and goes by its beginning.
_PARTS = 2
_BEGIN = 60
_LINE = re.compile(r"([GPU]) (\w+): (.*)")


class Answer(NamedTuple):
    """An answer over a context; ``wrong`` are the spans of it that are known to be wrong."""

    source: str
    group: str
    context: str
    text: str
    label: str
    kind: str
    wrong: tuple[tuple[int, int], ...]


def own_answers(folder: Path) -> list[Answer]:
    """Return the answers of `data/*.txt`."""
    found: list[Answer] = []
    for path in sorted(folder.glob("*.txt")):
        for block in re.split(r"^=== ", path.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]:
            name, _, rest = block.partition("\n")
            found += _answers_of("own:" + name, rest)
    return found


def _answers_of(group: str, block: str) -> list[Answer]:
    context, _, lines = block.partition("\n---\n")
    found: list[Answer] = []
    for line in lines.splitlines():
        match = _LINE.fullmatch(line)
        if match is None:
            raise ValueError(f"{group}: no answer: {line}")
        text, wrong = _marked(match[3])
        found.append(Answer("own", group, context, text, LABELS[match[1]], match[2], wrong))
    return found


def _marked(text: str) -> tuple[str, tuple[tuple[int, int], ...]]:
    plain, wrong = "", []
    for at, piece in enumerate(re.split(r"\{\{|\}\}", text)):
        if at % 2:
            wrong.append((len(plain), len(plain) + len(piece)))
        plain += piece
    return plain, tuple(wrong)


def judged_answers(path: Path) -> list[Answer]:
    """Return the answers of a file of the format of `penstock eval grounding`."""
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    return [
        Answer(
            "development",
            "dev:" + _subject(row.get("source", ""), row["context"]),
            row["context"],
            row["answer"],
            row["label"],
            row["kind"],
            (),
        )
        for row in rows
    ]


def _subject(source: str, context: str) -> str:
    """Return what an answer must not share with one that is judged: the subject of its first document, or its context."""
    first = source.partition(",")[0]
    return first.rpartition("-")[0] if first.count("-") >= _PARTS else context[:_BEGIN]
