"""Files of every kind, made by hand: healthy ones, and the means to make others."""

import io
import zipfile
from collections.abc import Mapping, Sequence

OFFICE = "http://schemas.openxmlformats.org"
RELATIONS = f"{OFFICE}/officeDocument/2006/relationships"
WORD = f'xmlns:w="{OFFICE}/wordprocessingml/2006/main"'
SLIDE = f'xmlns:p="{OFFICE}/presentationml/2006/main" xmlns:a="{OFFICE}/drawingml/2006/main" xmlns:r="{RELATIONS}"'
SHEET = f'xmlns="{OFFICE}/spreadsheetml/2006/main" xmlns:r="{RELATIONS}"'
TYPES = f'<Types xmlns="{OFFICE}/package/2006/content-types"/>'
CORE = (
    f'<cp:coreProperties xmlns:cp="{OFFICE}/package/2006/metadata/core-properties" '
    'xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:title>Overtime in Lyon</dc:title></cp:coreProperties>'
)
STYLES = (
    f'<w:styles {WORD}><w:style w:styleId="Kop1"><w:name w:val="heading 1"/></w:style>'
    '<w:style w:styleId="Kop2"><w:name w:val="heading 2"/></w:style></w:styles>'
)


def pdf_of(objects: Sequence[bytes], trailer: bytes = b"") -> bytes:
    """Return a PDF whose first object is its catalogue."""
    out = bytearray(b"%PDF-1.7\n")
    offsets = []
    for number, body in enumerate(objects, 1):
        offsets.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    start = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    out += b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    out += b"trailer\n<</Size %d/Root 1 0 R%s>>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, trailer, start)
    return bytes(out)


def pdf_stream(content: bytes, entries: bytes = b"") -> bytes:
    return b"<</Length %d%s>>\nstream\n%s\nendstream" % (len(content), entries, content)


def pdf(*pages: Sequence[str], title: str = "Overtime in Lyon") -> bytes:
    """Return a PDF with lines on its pages; an empty string is a blank line."""
    kids = b" ".join(b"%d 0 R" % (5 + 2 * index) for index in range(len(pages)))
    objects = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[%s]/Count %d>>" % (kids, len(pages)),
        b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
        b"<</Title(%s)>>" % title.encode(),
    ]
    for lines in pages:
        drawn = b"BT /F1 12 Tf 14 TL 72 720 Td "
        drawn += b" ".join(b"(%s) Tj T*" % line.encode("latin-1") for line in lines) + b" ET"
        objects += [
            b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 612 792]/Resources<</Font<</F1 3 0 R>>>>/Contents %d 0 R>>"
            % (len(objects) + 2),
            pdf_stream(drawn),
        ]
    return pdf_of(objects, b"/Info 4 0 R")


def package(parts: Mapping[str, str | bytes], *, types: str = TYPES) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("[Content_Types].xml", types)
        for name, content in parts.items():
            archive.writestr(name, content)
    return out.getvalue()


def relations(*entries: tuple[str, str, str]) -> str:
    items = "".join(
        f'<Relationship Id="{key}" Type="{RELATIONS}/{kind}" Target="{target}"/>' for key, kind, target in entries
    )
    return f'<Relationships xmlns="{OFFICE}/package/2006/relationships">{items}</Relationships>'


def docx(body: str, **parts: str) -> bytes:
    return package(
        {
            "_rels/.rels": relations(("r1", "officeDocument", "word/document.xml")),
            "docProps/core.xml": CORE,
            "word/styles.xml": STYLES,
            "word/document.xml": f"<w:document {WORD}><w:body>{body}</w:body></w:document>",
            **{name.replace("__", "/").replace("_", "."): content for name, content in parts.items()},
        }
    )


def words(text: str, properties: str = "") -> str:
    return f"<w:p><w:pPr>{properties}</w:pPr><w:r><w:t>{text}</w:t></w:r></w:p>"


def word_table(*rows: Sequence[str]) -> str:
    cells = ("".join(f"<w:tc>{words(cell)}</w:tc>" for cell in row) for row in rows)
    return f"<w:tbl>{''.join(f'<w:tr>{row}</w:tr>' for row in cells)}</w:tbl>"


def healthy_docx() -> bytes:
    return docx(
        words("Overtime", '<w:pStyle w:val="Kop1"/>')
        + words("Two hours a week.")
        + words("one", '<w:numPr><w:ilvl w:val="0"/></w:numPr>')
        + words("two", '<w:numPr><w:ilvl w:val="1"/></w:numPr>')
        + words("Pay", '<w:pStyle w:val="Kop2"/>')
        + word_table(("Day", "Rate"), ("Sunday", "200 %"))
        + "<w:p><w:del><w:r><w:delText>struck</w:delText></w:r></w:del><w:r><w:rPr><w:vanish/></w:rPr>"
        "<w:t>unseen</w:t></w:r><w:r><w:t>The end.</w:t></w:r></w:p>"
    )


def shape(text: str, placeholder: str = "body") -> str:
    lines = "".join(f"<a:p><a:r><a:t>{line}</a:t></a:r></a:p>" for line in text.split("\n"))
    return (
        f'<p:sp><p:nvSpPr><p:nvPr><p:ph type="{placeholder}"/></p:nvPr></p:nvSpPr><p:txBody>{lines}</p:txBody></p:sp>'
    )


def slide(*shapes: str, attributes: str = "") -> str:
    return f"<p:sld {SLIDE} {attributes}><p:cSld><p:spTree>{''.join(shapes)}</p:spTree></p:cSld></p:sld>"


def pptx(*slides: str) -> bytes:
    numbers = range(1, len(slides) + 1)
    listed = "".join(f'<p:sldId id="{255 + number}" r:id="r{number}"/>' for number in numbers)
    return package(
        {
            "docProps/core.xml": CORE,
            "ppt/presentation.xml": f"<p:presentation {SLIDE}><p:sldIdLst>{listed}</p:sldIdLst></p:presentation>",
            "ppt/_rels/presentation.xml.rels": relations(
                *((f"r{number}", "slide", f"slides/slide{number}.xml") for number in numbers)
            ),
            **{f"ppt/slides/slide{number}.xml": text for number, text in zip(numbers, slides, strict=True)},
        }
    )


def healthy_pptx() -> bytes:
    return pptx(
        slide(shape("Overtime", "title"), shape("Two hours\nEach week"), shape("7", "sldNum")),
        slide(shape("Hidden", "title"), attributes='show="0"'),
        slide(
            shape("Pay", "title"),
            "<p:graphicFrame><a:tbl><a:tr><a:tc><a:p><a:r><a:t>Day</a:t></a:r></a:p></a:tc><a:tc><a:p><a:r><a:t>Rate"
            "</a:t></a:r></a:p></a:tc></a:tr><a:tr><a:tc><a:p><a:r><a:t>Sunday</a:t></a:r></a:p></a:tc><a:tc><a:p><a:r>"
            "<a:t>200 %</a:t></a:r></a:p></a:tc></a:tr></a:tbl></p:graphicFrame>",
        ),
    )


def xlsx(*sheets: str, strings: Sequence[str] = (), state: str = "visible") -> bytes:
    numbers = range(1, len(sheets) + 1)
    listed = "".join(f'<sheet name="Sheet {n}" sheetId="{n}" state="{state}" r:id="r{n}"/>' for n in numbers)
    return package(
        {
            "docProps/core.xml": CORE,
            "xl/workbook.xml": f"<workbook {SHEET}><sheets>{listed}</sheets></workbook>",
            "xl/_rels/workbook.xml.rels": relations(
                *((f"r{n}", "worksheet", f"worksheets/sheet{n}.xml") for n in numbers)
            ),
            "xl/styles.xml": f'<styleSheet {SHEET}><cellXfs><xf numFmtId="0"/><xf numFmtId="14"/></cellXfs></styleSheet>',
            "xl/sharedStrings.xml": f"<sst {SHEET}>{''.join(f'<si><t>{text}</t></si>' for text in strings)}</sst>",
            **{
                f"xl/worksheets/sheet{n}.xml": f"<worksheet {SHEET}><sheetData>{rows}</sheetData></worksheet>"
                for n, rows in zip(numbers, sheets, strict=True)
            },
        }
    )


def healthy_xlsx() -> bytes:
    return xlsx(
        '<row><c r="A1" t="s"><v>0</v></c><c r="C1" t="s"><v>1</v></c></row>'
        '<row><c r="A2" s="1"><v>48000</v></c><c r="B2" t="b"><v>1</v></c><c r="C2"><v>1.5</v></c></row>',
        strings=("Day", "Rate"),
    )


def eml(body: str, *headers: str) -> bytes:
    lines = ["From: Ida <ida@example.org>", "To: hr@example.org", "Date: Mon, 2 Mar 2026 10:00:00 +0100"]
    return "\r\n".join([*lines, "Subject: =?utf-8?q?=C3=9Cberstunden?=", *headers, "", body]).encode()


def multipart(*parts: str, kind: str = "mixed", boundary: str = "b") -> bytes:
    body = "".join(f"--{boundary}\r\n{part}\r\n" for part in parts) + f"--{boundary}--\r\n"
    return eml(body, "MIME-Version: 1.0", f'Content-Type: multipart/{kind}; boundary="{boundary}"')


def healthy_eml() -> bytes:
    return multipart(
        "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\nWndlaSBTdHVuZGVuLg==",
        "Content-Type: application/pdf\r\nContent-Disposition: attachment; filename=plan.pdf\r\n\r\n%PDF-",
        "Content-Type: message/rfc822\r\n\r\nFrom: a@example.org\r\nSubject: Before\r\n\r\nOne hour.",
    )


HTML = (
    b'<!doctype html><html lang="en"><head><title>Overtime in Lyon</title><style>p{}</style></head><body><h1>Overtime</h1>'
    b"<!-- comment --><p>Two hours <b>a week</b>.<p hidden>unseen<p style='display: none'>unseen</p><ul><li>one<ul><li>two"
    b"</ul></ul><table><tr><th>Day<th>Rate<tr><td>Sunday<td>200 %</table><pre>a\n  b</pre><dl><dt>Who<dd>Ida</dl>"
    b"<script>unseen()</script><p aria-hidden=true>unseen</p><p>The&nbsp;end.</body></html>"
)
MARKDOWN = (
    b"---\ntitle: Overtime in Lyon\nsecret: unseen\ntags: [pay, hours]\n---\n# Overtime\n\nTwo hours **a week**.<!-- unseen -->"
    b"\n\n- one\n- two\n\n| Day | Rate |\n|---|---|\n| Sunday | 200 % |\n\n```py\nprint(1)\n```\n\n<div hidden>\n\nunseen\n\n"
    b"</div>\n\nThe end.\n"
)
HEALTHY = {
    "a.txt": b"OVERTIME\n\nTwo hours a week.\n\nPay\n\nIt is paid at the end of the month.\n",
    "a.md": MARKDOWN,
    "a.html": HTML,
    "a.pdf": pdf(["Overtime", "", "Two hours a week."], ["Pay"]),
    "a.docx": healthy_docx(),
    "a.pptx": healthy_pptx(),
    "a.xlsx": healthy_xlsx(),
    "a.py": b'"""Reckons overtime."""\n\n\ndef pay(hours):\n    return 2 * hours\n',
    "a.csv": b'Day,Rate\nSunday,"200 %, paid"\n',
    "a.json": b'{"name": "Overtime", "hours": 2.50}',
    "a.jsonl": b'{"day": "Sunday"}\n{"day": "Monday"}\n',
    "a.yaml": b"# Overtime by day\nsunday: 200\n",
    "a.eml": healthy_eml(),
}
