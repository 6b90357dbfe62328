"""The documents that a user's turn quotes, and what of the turn are the user's own words: what stands before and behind."""

from __future__ import annotations

import re
from typing import NamedTuple

from penstock_gateway.domain.compression.documents import documents_in

_LAST_TAG = re.compile(r"^</[a-z_]+>[ \t]*$", re.MULTILINE | re.IGNORECASE)
_TAGS = re.compile(r"^</?[a-z_]+>[ \t]*$", re.MULTILINE | re.IGNORECASE)
_GAP = re.compile(r"\n[ \t]*\n")


class Quoted(NamedTuple):
    """Where the documents are in a text."""

    start: int
    end: int

    def question_in(self, text: str) -> str:
        """Return what stands around them; of a question before them the whole, and not what seems to follow."""
        before, behind = (_TAGS.sub("", words).strip() for words in (text[: self.start], text[self.end :]))
        return before if "?" in before else f"{before}\n{behind}".strip()


def quoted_in(text: str) -> Quoted | None:
    """Return where a text quotes documents; None where it does not say clearly where they begin and end.

    They begin with the first line that introduces one, and end with the last closing tag, or before the last paragraph,
    which is taken for the question.
    """
    introduced = [document for document in documents_in(text) if document.is_introduced]
    if not introduced:
        return None
    start, last = introduced[0].start, introduced[-1].body
    tags = [match.end() for match in _LAST_TAG.finditer(text, last)]
    gaps = [match.start() for match in _GAP.finditer(text, last, len(text.rstrip()))]
    ends = tags or gaps
    return Quoted(start, ends[-1]) if ends else None
