"""What is read out of healthy files of every kind."""

import sys
from pathlib import Path

import pytest
import pytest_asyncio

sys.path.insert(0, str(Path(__file__).parent))

from document_files import HEALTHY, HTML, docx, eml, multipart, pdf, word_table, words  # noqa: E402

from penstock_embedding.adapters.parsing.parser import SandboxedParser  # noqa: E402
from penstock_embedding.domain.documents.limits import ParsingLimits  # noqa: E402
from penstock_embedding.domain.documents.parsed import DocumentRefused  # noqa: E402

TABLE = "| Day | Rate |\n| --- | --- |\n| Sunday | 200 % |"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def parser():
    async with SandboxedParser.open(ParsingLimits()) as opened:
        yield opened


pytestmark = pytest.mark.asyncio(loop_scope="module")

EXPECTED = {
    "a.txt": (
        "text/plain",
        "OVERTIME",
        [
            ("heading", 1, "OVERTIME"),
            ("paragraph", 0, "Two hours a week."),
            ("heading", 2, "Pay"),
            ("paragraph", 0, "It is paid at the end of the month."),
        ],
    ),
    "a.md": (
        "text/markdown",
        "Overtime in Lyon",
        [
            ("paragraph", 0, "Tags: pay, hours"),
            ("heading", 1, "Overtime"),
            ("paragraph", 0, "Two hours **a week**."),
            ("list", 0, "- one\n- two"),
            ("table", 0, "| Day | Rate |\n|---|---|\n| Sunday | 200 % |"),
            ("code", 0, "print(1)"),
            ("paragraph", 0, "The end."),
        ],
    ),
    "a.html": (
        "text/html",
        "Overtime in Lyon",
        [
            ("heading", 1, "Overtime"),
            ("paragraph", 0, "Two hours a week."),
            ("list", 0, "- one\n  - two"),
            ("table", 0, TABLE),
            ("code", 0, "a\n  b"),
            ("list", 0, "- Who: Ida"),
            ("paragraph", 0, "The end."),
        ],
    ),
    "a.pdf": (
        "application/pdf",
        "Overtime in Lyon",
        [("paragraph", 0, "Overtime\nTwo hours a week."), ("paragraph", 0, "Pay")],
    ),
    "a.docx": (
        "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        "Overtime in Lyon",
        [
            ("heading", 1, "Overtime"),
            ("paragraph", 0, "Two hours a week."),
            ("list", 0, "- one\n  - two"),
            ("heading", 2, "Pay"),
            ("table", 0, TABLE),
            ("paragraph", 0, "The end."),
        ],
    ),
    "a.pptx": (
        "application/vnd.openxmlformats-officedocument.presentationml.presentation",
        "Overtime in Lyon",
        [
            ("heading", 1, "Overtime"),
            ("list", 0, "- Two hours\n- Each week"),
            ("heading", 1, "Pay"),
            ("table", 0, TABLE),
        ],
    ),
    "a.xlsx": (
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        "Overtime in Lyon",
        [
            ("heading", 1, "Sheet 1"),
            ("table", 0, "| Day |  | Rate |\n| --- | --- | --- |\n| 2031-06-01 | TRUE | 1.5 |"),
        ],
    ),
    "a.py": (
        "text/x-python",
        "Reckons overtime.",
        [("code", 0, '"""Reckons overtime."""\n\n\ndef pay(hours):\n    return 2 * hours')],
    ),
    "a.csv": ("text/csv", "", [("table", 0, "| Day | Rate |\n| --- | --- |\n| Sunday | 200 %, paid |")]),
    "a.json": ("application/json", "Overtime", [("code", 0, '{"name": "Overtime", "hours": 2.50}')]),
    "a.jsonl": (
        "application/jsonl",
        "",
        [("paragraph", 0, '{"day": "Sunday"}'), ("paragraph", 0, '{"day": "Monday"}')],
    ),
    "a.yaml": ("application/yaml", "Overtime by day", [("code", 0, "# Overtime by day\nsunday: 200")]),
    "a.eml": (
        "message/rfc822",
        "Überstunden",
        [
            ("heading", 1, "Überstunden"),
            ("paragraph", 0, "From: Ida <ida@example.org>\nTo: hr@example.org\nDate: Mon, 02 Mar 2026 10:00:00 +0100"),
            ("paragraph", 0, "Zwei Stunden."),
            ("heading", 3, "Before"),
            ("paragraph", 0, "From: a@example.org"),
            ("paragraph", 0, "One hour."),
            ("paragraph", 0, "1 attachments: plan.pdf (application/pdf)"),
        ],
    ),
}


@pytest.mark.parametrize("name", HEALTHY)
async def test_a_healthy_file_is_read(parser, name):
    parsed = await parser.parse(HEALTHY[name], filename=name)

    media_type, title, blocks = EXPECTED[name]
    assert [(b.kind, b.level, parsed.text[b.start : b.end]) for b in parsed.blocks] == blocks
    assert parsed.media_type == media_type
    assert parsed.title == title


@pytest.mark.parametrize("name", [name for name in HEALTHY if name not in {"a.md", "a.py", "a.csv", "a.yaml"}])
async def test_content_tells_more_than_a_wrong_name(parser, name):
    for wrong in ("a", "a.bin", "a.docx"):
        assert (await parser.parse(HEALTHY[name], filename=wrong)).media_type == EXPECTED[name][0]


async def test_pages_begin_where_their_text_does(parser):
    parsed = await parser.parse(HEALTHY["a.pdf"])
    assert [parsed.text[page:].split("\n")[0] for page in parsed.pages] == ["Overtime", "Pay"]
    parsed = await parser.parse(HEALTHY["a.pptx"])
    assert [parsed.text[page:].split("\n")[0] for page in parsed.pages] == ["Overtime", "Pay"]


async def test_a_page_without_text_keeps_the_numbers_of_those_after_it(parser):
    parsed = await parser.parse(pdf(["one"], [""], ["three"]))
    assert parsed.pages == [0, 5, 5]
    assert parsed.text[5:] == "three"


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("Größe".encode("utf-8-sig"), "Größe"),
        ("Größe und Länge".encode("utf-16"), "Größe und Länge"),
        ("Größe und Länge".encode("utf-16-le"), "Größe und Länge"),
        ("Größe und Länge".encode("utf-16-be"), "Größe und Länge"),
        ("Größe und Länge sind fünf Meter, über alles gemessen".encode("latin-1"),) * 2,
        ("日本語の文書です。これは試験です。".encode("shift_jis"), "日本語の文書です。これは試験です。"),
        ("日本語の文書です。".encode("iso2022_jp"), "日本語の文書です。"),
        ("Это простой русский текст для проверки кодировки.".encode("cp1251"),) * 2,
    ],
)
async def test_an_encoding_is_found(parser, content, text):
    expected = text if isinstance(text, str) else None
    parsed = await parser.parse(content, filename="a.txt")
    assert parsed.text == (expected or parsed.text)
    assert "\ufffd" not in parsed.text


async def test_an_encoding_that_html_declares_is_taken(parser):
    html = '<html><head><meta charset="windows-1250"></head><body><p>Zażółć gęślą jaźń</p></body></html>'
    assert (await parser.parse(html.encode("cp1250"))).text == "Zażółć gęślą jaźń"


async def test_what_nobody_sees_goes():
    hidden = "pass\u200bword \U000e0041\U000e0042 in\u00advisible \u202egnp.exe a\u2060b می\u200cخواهم 👩\u200d💻 x\x07y\r\nz"
    async with SandboxedParser.open(ParsingLimits()) as parser:
        parsed = await parser.parse(hidden.encode(), filename="a.txt")
    assert parsed.text == "password  invisible gnp.exe ab می\u200cخواهم 👩\u200d💻 xy\nz"


async def test_entities_hide_nothing_either(parser):
    assert (await parser.parse(b"<html><p>pass&#8203;word&#xE0041;</html>")).text == "password"


async def test_small_json_in_one_line_stays_and_escapes_are_undone(parser):
    parsed = await parser.parse(b'{"name": "\\u00dcber", "list": [1, {"a": null}], "sum": 1.10}', filename="a.json")
    assert parsed.text == "name: Über\nlist:\n  - 1\n  -\n    a: null\nsum: 1.10"


async def test_of_a_mail_s_same_texts_the_plain_one_is_taken(parser):
    mail = multipart(
        "Content-Type: text/plain\r\n\r\nplain", "Content-Type: text/html\r\n\r\n<p>rich", kind="alternative"
    )
    parsed = await parser.parse(mail)
    assert "plain" in parsed.text
    assert "rich" not in parsed.text


async def test_a_mail_of_html_alone_is_read(parser):
    mail = eml("<html><p>rich<p hidden>unseen</html>", "MIME-Version: 1.0", "Content-Type: text/html; charset=utf-8")
    assert (await parser.parse(mail)).text.endswith("\n\nrich")


async def test_a_docx_refers_to_nothing_outside(parser):
    remote = (
        '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="r1" '
        'Type="x/attachedTemplate" Target="https://example.org/a.dotm" TargetMode="External"/></Relationships>'
    )
    content = docx(words("text"), word___rels__settings_xml_rels=remote)
    assert (await parser.parse(content)).text == "text"


async def test_a_table_within_a_cell_is_that_cell_s_text(parser):
    inner = f"<w:tbl><w:tr><w:tc>{word_table(('a', 'b'))}{words('c')}</w:tc></w:tr></w:tbl>"
    assert (await parser.parse(docx(inner))).text == "| a b c |\n| --- |"


async def test_a_page_s_language_is_that_of_its_words_before_what_it_declares(parser):
    assert (await parser.parse(HTML)).language == "en"
    german = b"<html lang=en><p>Das ist der Text, der nicht auf Englisch ist, und das sieht man auch.</html>"
    assert (await parser.parse(german)).language == "de"


async def test_markdown_without_a_name_is_known(parser):
    assert (await parser.parse(b"# One\n\nText.\n\n## Two\n\n- a\n- b\n")).media_type == "text/markdown"


async def test_a_known_binary_is_refused_by_its_name(parser):
    with pytest.raises(DocumentRefused, match="a PNG picture") as refused:
        await parser.parse(b"\x89PNG\r\n\x1a\n" + bytes(100), filename="a.txt")
    assert refused.value.reason == "unsupported"
