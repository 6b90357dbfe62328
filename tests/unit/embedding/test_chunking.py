"""Cutting documents: what holds for every text, and where each splitter cuts."""

from __future__ import annotations

from array import array
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock_common.contract.knowledge import Splitter, SplitterKind
from penstock_common.errors import InvalidRequest
from penstock_embedding.adapters.model_files import ModelSource, find_tokenizer
from penstock_embedding.adapters.word_counter import WordCounter
from penstock_embedding.domain.chunking.chunker import StructureChunker
from penstock_embedding.domain.chunking.piece import MOST_PATH_BYTES, Measured, Piece, embedded_text, shortened
from penstock_embedding.domain.documents.parsed import Block, Parsed

TOKENIZER = find_tokenizer(ModelSource("all-MiniLM-L6-v2")).tokenizer
WINDOW = 256
COUNTER = WordCounter(TOKENIZER, WINDOW)
PREFIXED = WordCounter(TOKENIZER, WINDOW, "passage: ")


class TokenByToken:
    """A tokenizer of another kind, whose words cost more together than apart."""

    window_tokens = WINDOW

    def count(self, texts):
        return [len(text) // 2 + 3 for text in texts]

    def measure(self, text):
        starts = array("I", [0, *(index + 1 for index, sign in enumerate(text[:-1]) if sign == " ")])
        sums = array("I", [index for index, _ in enumerate(starts)])
        return Measured(array("I", [*starts, len(text)]), array("I", [*sums, len(starts)]), starts)


ALPHABETS = st.sampled_from(
    [
        "abc def, ghi. ",
        "Ärger über ßtraßen – „so“! ",
        "漢字かな交じり文。、「」",
        "مرحبا بالعالم؟ ",
        "नमस्ते दुनिया। ",
        "สวัสดีชาวโลก ",
        "한국어 문장. ",
        "😀👩‍👩‍👧 x\ufe0f ",
        "\t\n\r \u00a0\u2028\u200b\x0b\x00\x1c\u0301",
        "{}[]();=#/*`|-_~>",
        "x",
    ]
)
PARTS = st.one_of(
    ALPHABETS.flatmap(lambda letters: st.text(st.sampled_from(letters), max_size=400)),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=60),
    st.sampled_from(
        [
            "\n\n", "\n# Heading\n", "\n## " + "long " * 50 + "\n", "\n```\ncode\n\nmore\n```\n", "\n|a|b|\n|-|-|\n" + "|1|2|\n" * 60,
            "Title\n===\n", "\ndef f(x):\n    return 1\n", "\nclass A {\n", "z" * 130 + " ", "w" * 3000, " " * 5000, '"a\nb",c\n',
            "---\n", "~~~\n", "\n    def g(self):\n",
        ]
    ),
)  # fmt: skip
TEXTS = st.lists(PARTS, max_size=12).map("".join)
KINDS = st.sampled_from(["auto", "recursive", "markdown", "html", "code", "table"])
MEDIA_TYPES = st.sampled_from(
    ["text/plain", "text/markdown", "text/x-python", "text/x-java", "text/csv", "application/yaml"]
)
SIZES = st.sampled_from([(0, None), (256, 128), (100, 50), (48, 0)])


def cut(text: str, kind: SplitterKind = "auto", media_type: str = "text/plain", **splitter) -> list[Piece]:
    return StructureChunker().cut(Parsed(text, media_type), Splitter(kind, **splitter), COUNTER)


def texts_of(text: str, pieces: list[Piece]) -> list[str]:
    return [text[piece.start : piece.end] for piece in pieces]


def check(parsed: Parsed, splitter: Splitter, counter, changes=()) -> None:
    pieces = StructureChunker().cut(parsed, splitter, counter, changes)
    text, most = parsed.text, splitter.max_tokens or 192
    covered = 0
    for before, piece in zip([None, *pieces], pieces, strict=False):
        assert 0 <= piece.start < piece.end <= len(text)
        content = text[piece.start : piece.end]
        assert content == content.strip()
        assert not text[covered : piece.start].strip(), "nothing is left out"
        if before is not None:
            assert before.start < piece.start
            assert before.end < piece.end
        covered = piece.end
        assert [piece.tokens] == counter.count([embedded_text(parsed.title, piece, content)])
        assert piece.tokens <= most
        assert all(len(heading.encode()) <= MOST_PATH_BYTES for heading in piece.headings)
    assert not text[covered:].strip()
    assert pieces == StructureChunker().cut(parsed, splitter, counter, changes)


@settings(max_examples=50)
@given(
    text=TEXTS,
    kind=KINDS,
    media_type=MEDIA_TYPES,
    sizes=SIZES,
    title=st.sampled_from(["", "A title"]),
    prefixed=st.booleans(),
)
def test_pieces_cover_the_text_in_order_within_the_window(text, kind, media_type, sizes, title, prefixed) -> None:
    check(Parsed(text, media_type, title), Splitter(kind, *sizes), PREFIXED if prefixed else COUNTER)


@settings(max_examples=50)
@given(text=TEXTS, kind=KINDS)
def test_a_tokenizer_whose_words_do_not_add_up_is_asked_for_every_piece(text, kind) -> None:
    check(Parsed(text, "text/plain", "T"), Splitter(kind, 64), TokenByToken())


@settings(max_examples=50)
@given(
    text=TEXTS,
    places=st.lists(
        st.tuples(st.integers(0, 2000), st.sampled_from(["heading", "table", "code", "paragraph"])), max_size=8
    ),
)
def test_blocks_wherever_they_are_do_no_harm(text, places) -> None:
    ends = sorted({min(place, len(text)): kind for place, kind in places}.items())
    blocks = [Block(kind, start, end, 1) for (start, kind), (end, _) in zip(ends, ends[1:], strict=False)]
    check(Parsed(text, "text/html", "T", blocks=blocks), Splitter("html", 64), COUNTER)


@settings(max_examples=50)
@given(text=TEXTS)
def test_words_are_counted_as_the_tokenizer_counts_the_text(text) -> None:
    measured = COUNTER.measure(text)
    if not measured.doubtful:
        assert measured.sums[-1] + 2 == len(COUNTER._tokenizer.encode(text).ids)
    assert measured.starts[-1] == len(text)
    assert list(measured.starts) == sorted(set(measured.starts)) or len(measured.starts) < 2 or not text


SENTENCE = "The quick brown fox jumps over the lazy dog near the river bank. "
GUIDE = f"""---
title: Guide
---
# Guide

Words before.

## Install

{SENTENCE * 14}

### From source

```sh
make one

make two
```

Setext heading
--------------

| Code | Meaning |
|------|---------|
{"| 401 | who are you |" + chr(10)}{"".join(f"| {n} | a status of the kind {n} |{chr(10)}" for n in range(500, 540))}
After the table.
"""


def test_markdown_is_cut_at_headings_and_tells_what_is_above() -> None:
    pieces = cut(GUIDE, "auto", "text/markdown", max_tokens=100, overlap_tokens=20)
    texts = texts_of(GUIDE, pieces)
    begin = next(index for index, text in enumerate(texts) if text.startswith("## Install"))
    assert list(pieces[begin].headings) == ["Guide"]
    assert texts[begin + 1].startswith("The quick")
    assert list(pieces[begin + 1].headings) == ["Guide", "Install"]
    source = next(index for index, text in enumerate(texts) if text.startswith("### From source"))
    assert texts[source].endswith("make two\n```"), "code stays whole"
    assert list(pieces[source].headings) == ["Guide", "Install"]


def test_what_is_repeated_is_whole_sentences_and_within_the_bound() -> None:
    pieces = cut(GUIDE, "markdown", max_tokens=100, overlap_tokens=30)
    repeated = [
        GUIDE[after.start : before.end]
        for before, after in zip(pieces, pieces[1:], strict=False)
        if after.start < before.end
    ]
    assert repeated
    assert all(text in SENTENCE * 2 and text.startswith("The quick") for text in repeated)
    assert all(count - 2 <= 30 for count in COUNTER.count(repeated))


def test_a_table_that_is_too_long_is_cut_at_rows_under_its_head() -> None:
    pieces = cut(GUIDE, "markdown", max_tokens=100)
    rows = [piece for piece in pieces if "a status of the kind" in GUIDE[piece.start : piece.end]]
    assert len(rows) > 2
    assert all(GUIDE[piece.start] in "S|" for piece in rows)
    assert all(GUIDE[piece.end - 1] == "|" for piece in rows[:-1])
    for piece in rows[1:]:
        assert piece.headings[-1] == "| Code | Meaning |"
    after = pieces[-1]
    assert GUIDE[after.start : after.end].endswith("After the table.")


@pytest.mark.parametrize(("line", "heads"), [("| --- | --- |\n", {"| a | b |"}), ("", set())])
def test_a_table_of_html_has_the_head_that_is_drawn(line: str, heads: set[str]) -> None:
    text = "| a | b |\n" + line + "| one | two |\n" * 60
    parsed = Parsed(text, "text/html", blocks=[Block("table", 0, len(text))])
    pieces = StructureChunker().cut(parsed, Splitter(max_tokens=64), COUNTER)
    assert {heading for piece in pieces for heading in piece.headings} == heads


def test_a_table_that_fits_stays_whole() -> None:
    table = "| a | b |\n|---|---|\n" + "| one | two |\n" * 8
    text = SENTENCE * 4 + "\n\n" + table + "\n" + SENTENCE * 4
    pieces = cut(text, "markdown", max_tokens=100)
    assert sum(table.strip() in content for content in texts_of(text, pieces)) == 1


def test_rows_of_a_csv_stand_under_its_first_one() -> None:
    text = "id,name\n" + "".join(f'{n},"a name\nof two lines"\n' for n in range(60))
    pieces = cut(text, "auto", "text/csv", max_tokens=64)
    assert len(pieces) > 3
    assert not pieces[0].headings
    for piece in pieces[1:]:
        assert list(piece.headings) == ["id,name"]
        assert text[piece.start].isdigit()
        assert text[piece.end - 1] == '"'


CODE = {
    "text/x-python": (
        "import os\n\n\n@cached\ndef first(a):\n" + "    a = a + 1\n" * 12 + "\n\nclass Second:\n    def method(self):\n"
        + "        self.x = 1\n" * 30 + "\n\nLAST = 1\n",
        ["class Second", "def method(self)"],
    ),
    "text/x-typescript": (
        "import x from 'y'\n\nexport class Second {\n  method(a: string): void {\n" + "    this.count += 1;\n" * 40 + "  }\n}\n",
        ["export class Second", "method(a: string): void"],
    ),
    "text/x-go": ("package main\n\nfunc (s *Server) Serve(n int) error {\n" + "\ts.count++\n" * 60 + "}\n", ["func (s *Server) Serve(n int) error"]),
    "text/x-java": (
        "package a;\n\npublic final class Second {\n    private int count(String of) {\n" + "        total += 1;\n" * 50 + "    }\n}\n",
        ["public final class Second", "private int count(String of)"],
    ),
    "text/x-c": ("#include <a.h>\n\nstatic int second(int a)\n{\n" + "    a += 1;\n" * 60 + "}\n", ["static int second(int a)"]),
    "text/x-sql": ("SELECT 1;\nCREATE TABLE second (\n" + "    a_column integer NOT NULL,\n" * 40 + ");\n", ["CREATE TABLE second ("]),
    "text/x-shellscript": ("set -e\nsecond() {\n" + "  echo one two three\n" * 60 + "}\n", ["second()"]),
    "application/yaml": ("first: 1\nsecond:\n" + "  - a value\n" * 80, ["second"]),
    "application/json": ('{\n  "first": 1,\n  "second": [\n' + '    "a value",\n' * 80 + "  ]\n}\n", ['"second": [']),
}  # fmt: skip


@pytest.mark.parametrize("media_type", CODE)
def test_code_is_cut_at_definitions_and_tells_which_one_a_piece_is_in(media_type) -> None:
    text, inside = CODE[media_type]
    pieces = cut(text, "auto", media_type, max_tokens=100, overlap_tokens=0)
    assert len(pieces) > 2
    assert list(pieces[2].headings) == inside
    assert all(text[piece.start - 1 : piece.start] in ("", "\n", " ", "\t") for piece in pieces), "at lines"


def test_a_decorator_goes_with_its_function() -> None:
    text, _ = CODE["text/x-python"]
    pieces = cut(text, "auto", "text/x-python", max_tokens=100, overlap_tokens=0)
    assert not any(content.endswith("@cached") for content in texts_of(text, pieces))
    assert not pieces[-1].headings or "LAST" not in text[pieces[-1].start :][:4]


def test_a_reader_who_knows_the_blocks_is_believed() -> None:
    parts = [
        ("heading", "Top"),
        ("paragraph", SENTENCE * 3),
        ("heading", "Sub"),
        ("code", "a\n\nb\n" * 4),
        ("paragraph", "End."),
    ]
    text, blocks = "", []
    for kind, content in parts:
        blocks.append(Block(kind, len(text), len(text) + len(content), {"Top": 1, "Sub": 2}.get(content, 0)))
        text += content + "\n\n"
    pieces = StructureChunker().cut(Parsed(text, "text/html", blocks=blocks, pages=[0, 150]), Splitter(), COUNTER)
    assert [list(piece.headings) for piece in pieces] == [[], ["Top"]]
    assert [piece.page for piece in pieces] == [1, 2]


def test_meaning_is_cut_where_it_changes_most() -> None:
    other = "Tax law changes in every year and in each of the regions. "
    text = SENTENCE * 3 + other * 3
    parsed, splitter = Parsed(text, "text/plain"), Splitter("semantic")
    sentences = StructureChunker().sentences(parsed, splitter)
    changes = [float(("fox" in one) != ("fox" in other)) for one, other in pairwise(sentences)]
    pieces = StructureChunker().cut(parsed, splitter, COUNTER, changes)
    assert texts_of(text, pieces) == [(SENTENCE * 3).strip(), (other * 3).strip()]


def test_a_long_text_is_cut_by_meaning_too_and_in_time_that_grows_with_its_length() -> None:
    text = SENTENCE * 3000
    parsed, splitter = Parsed(text, "text/plain"), Splitter("semantic", overlap_tokens=0)
    sentences = StructureChunker().sentences(parsed, splitter)
    # The worst there is: each change is larger than all before it, so that a cut takes the least from the end.
    counted = Counted([index / 3000 for index in range(len(sentences) - 1)])
    StructureChunker().cut(parsed, splitter, COUNTER, counted)
    assert counted.looks < 300 * len(sentences)


class Counted(list):
    """Changes; ``looks`` is how often one was looked at."""

    looks = 0

    def __getitem__(self, index):
        self.looks += 1
        return super().__getitem__(index)


@pytest.mark.parametrize(
    ("splitter", "says"),
    [
        ({"max_tokens": 257}, "256 tokens at once"),
        ({"max_tokens": 31}, "32 tokens at the least"),
        ({"max_tokens": 100, "overlap_tokens": 51}, "50 tokens"),
    ],
)
def test_what_the_window_does_not_hold_is_refused(splitter, says) -> None:
    with pytest.raises(InvalidRequest, match=says):
        cut("text", **splitter)


def test_a_title_that_leaves_no_room_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="title alone takes"):
        StructureChunker().cut(Parsed("text", "text/plain", "!" * 50), Splitter(max_tokens=48), COUNTER)


def test_headings_that_leave_little_room_are_left_out_from_the_outermost() -> None:
    text = "# " + "a! " * 40 + "\n## Inner\n" + SENTENCE * 20
    pieces = cut(text, "markdown", max_tokens=64)
    assert list(pieces[-1].headings) == ["Inner"]


def test_a_heading_is_shortened_to_whole_characters() -> None:
    assert shortened("漢" * 100).endswith("漢…")
    assert len(shortened("漢" * 100).encode()) <= MOST_PATH_BYTES
    assert shortened(" a \n b ") == "a b"


def test_a_file_without_a_tokenizer_is_told(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(Exception, match="is no tokenizer"):
        WordCounter(tmp_path / "tokenizer.json", WINDOW)
