"""Lines on pages become headings, paragraphs and lists."""

from penstock_embedding.adapters.parsing.formats.page_lines import Line, LineCollector, write_pages
from penstock_embedding.domain.documents.draft import Draft
from penstock_embedding.domain.documents.limits import ParsingLimits

UNMOVED = (1, 0, 0, 1, 0, 0)


def blocks_of(*pages):
    draft = Draft(ParsingLimits())
    write_pages(pages, draft)
    parsed = draft.finish("application/pdf")
    return [(block.kind, block.level, parsed.text[block.start : block.end]) for block in parsed.blocks]


def test_larger_lines_are_headings_by_their_size():
    lines = [
        Line("Staff rules", 20, 700),
        Line("Overtime", 14, 660),
        Line("Two hours a week are paid,", 10, 630),
        Line("and no more.", 10, 618),
        Line("A third is not.", 10, 590),
        Line("Pay", 14, 560),
        Line("Monthly.", 10, 530),
    ]
    assert blocks_of(lines) == [
        ("heading", 1, "Staff rules"),
        ("heading", 2, "Overtime"),
        ("paragraph", 0, "Two hours a week are paid,\nand no more."),
        ("paragraph", 0, "A third is not."),
        ("heading", 2, "Pay"),
        ("paragraph", 0, "Monthly."),
    ]


def test_a_heading_on_two_lines_is_one():
    lines = [Line("Overtime in", 20, 700), Line("Lyon", 20, 678), Line("Two hours a week.", 10, 650)]
    assert blocks_of(lines)[0] == ("heading", 1, "Overtime in Lyon")


def test_what_stands_at_the_edge_of_many_pages_is_left_out_but_a_title():
    pages = [
        [Line("Staff rules", 10, 800), Line(f"Text {word}.", 10, 700), Line(f"Page {n}", 10, 20)]
        for n, word in enumerate("abc")
    ]
    title = [Line("Staff rules", 20, 800), Line("Text first.", 10, 700), Line("Page 9", 10, 20)]
    assert blocks_of(title, *pages) == [
        ("heading", 1, "Staff rules"),
        ("paragraph", 0, "Text first."),
        ("paragraph", 0, "Text a."),
        ("paragraph", 0, "Text b."),
        ("paragraph", 0, "Text c."),
    ]


def test_bullets_make_a_list_and_split_words_are_joined():
    lines = [Line("These:", 10, 700), Line("• over-", 10, 680), Line("time", 10, 668), Line("• pay", 10, 640)]
    assert blocks_of(lines) == [("paragraph", 0, "These:"), ("list", 0, "- overtime\n- pay")]


def test_pieces_on_one_height_are_a_line_as_large_as_the_largest():
    collector = LineCollector()
    collector.take("", UNMOVED, UNMOVED, None, 12)
    collector.take("•", UNMOVED, (1, 0, 0, 1, 90, 500), None, 8)
    collector.take(" one\ntwo", (2, 0, 0, 2, 0, 10), (1, 0, 0, 1, 95, 245), None, 10)
    collector.end_line()
    assert collector.lines == [Line("• one", 20, 500), Line("two", 20, 500)]
