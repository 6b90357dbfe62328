"""Questions about Penstock's own documentation: what is quoted, no model asked, holds the answer.

Documents are found by words alone here, cut at paragraphs; `make bench-knowledge` asks a whole stack the same.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from pathlib import Path

import pytest

from penstock_common.contract.knowledge import Chunk, Hit
from penstock_gateway.domain.compression.words import words_of
from penstock_gateway.domain.knowledge_use.extract import MOST_CHARACTERS, extract_of
from penstock_gateway.domain.knowledge_use.passages import all_of

ROOT = Path(__file__).parents[4]
QUESTIONS = [json.loads(line) for line in (ROOT / "bench/knowledge/questions.jsonl").read_text().splitlines()]
ANSWERABLE = [one for one in QUESTIONS if "answers" in one]
HEADING = re.compile(r"^#+ (.*)", re.MULTILINE)
PIECE = re.compile(r"(?:[^\n]+\n?){1,6}")
LIMIT = 8
# Search by words is the least that a knowledge base does; the documents change, too.
LEAST_RIGHT = 35


def plain(text):
    """A text without its marks, so that one which a reader has taken away makes no difference."""
    return " ".join(re.sub(r"[^a-z0-9.,%]+", " ", text.lower()).split())


class ByWords:
    """BM25 over pieces of six lines, under their headings."""

    def __init__(self):
        self.pieces = []
        for path in sorted((ROOT / "docs").glob("*.md")):
            text = path.read_text()
            title = text.splitlines()[0].lstrip("# ")
            for match in PIECE.finditer(text):
                above = HEADING.findall(text, 0, match.end())[-1]
                self.pieces.append((path.name, f"{title} > {above}", text, *match.span()))
        self.words = [Counter(words_of(f"{title} {text[start:end]}")) for _, title, text, start, end in self.pieces]
        self.known = Counter(word for one in self.words for word in one)
        self.mean = sum(map(Counter.total, self.words)) / len(self.words)

    def hits(self, question):
        scores = [(self.score(set(words_of(question)), one), -at) for at, one in enumerate(self.words)]
        best = sorted(scores, reverse=True)[:LIMIT]
        return [self.hit(-at, score) for score, at in best if score]

    def score(self, wanted, words):
        count, norm = len(self.words), 1.2 * (0.25 + 0.75 * words.total() / self.mean)
        return sum(
            math.log(1 + (count - self.known[word] + 0.5) / (self.known[word] + 0.5))
            * words[word]
            / (words[word] + norm)
            for word in wanted & words.keys()
        )

    def hit(self, at, score):
        name, title, text, start, end = self.pieces[at]
        chunk = Chunk(
            id=str(at), document=name, document_version=1, ordinal=at, text=text[start:end], start=start, end=end
        )
        return Hit(chunk=chunk, knowledge_base="docs", title=title, filename=name, score=score)


@pytest.fixture(scope="module")
def search():
    return ByWords()


def test_there_are_enough_and_their_answers_stand_in_the_documents():
    kinds = Counter(one.get("kind", "answerable") for one in QUESTIONS)
    assert kinds == {"answerable": 40, "elsewhere": 10, "near": 20}
    for one in ANSWERABLE:
        assert plain(one["answers"][0]) in plain((ROOT / "docs" / one["document"]).read_text()), one


def test_what_is_quoted_holds_the_answer(search):
    missed = []
    for one in ANSWERABLE:
        extract = extract_of(all_of(search.hits(one["question"])), one["question"])
        quotes = [plain(cited.passage.text) for cited in extract.cited]
        assert sum(len(cited.passage.text) for cited in extract.cited) <= MOST_CHARACTERS
        if not any(plain(answer) in quote for answer in one["answers"] for quote in quotes):
            missed.append(one["question"])
    assert len(missed) <= len(ANSWERABLE) - LEAST_RIGHT, missed
