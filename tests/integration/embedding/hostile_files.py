"""Files that are broken or mean harm, each with the reason and the place for which it is refused."""

import base64
import io
import random
import struct
import zipfile
import zlib
from collections.abc import Callable
from functools import cache
from typing import NamedTuple

from document_files import (
    HEALTHY,
    OFFICE,
    RELATIONS,
    TYPES,
    WORD,
    docx,
    eml,
    multipart,
    package,
    pdf,
    pdf_of,
    pdf_stream,
    pptx,
    shape,
    slide,
    words,
    xlsx,
)

MIB = 1024 * 1024


class Hostile(NamedTuple):
    filename: str
    make: Callable[[], bytes]
    reason: str
    place: str


def page_tree(pages: bytes, *further: bytes) -> bytes:
    return pdf_of([b"<</Type/Catalog/Pages 2 0 R>>", pages, *further])


def page(content: bytes) -> bytes:
    """Return a PDF whose only page is drawn by the stream."""
    return page_tree(
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 9 9]/Contents 4 0 R/Resources<<>>>>",
        content,
    )


@cache
def spaces() -> bytes:
    return zlib.compress(b" " * (80 * MIB), 1)


def object_stream_bomb() -> bytes:
    """Return a PDF whose catalogue is in a stream of objects that is 80 MiB when unpacked."""
    out = bytearray(b"%PDF-1.7\n")
    stream = len(out)
    out += b"2 0 obj\n%s\nendobj\n" % pdf_stream(spaces(), b"/Type/ObjStm/N 1/First 4/Filter/FlateDecode")
    start = len(out)
    table = b"".join(struct.pack(">BHB", *entry) for entry in ((0, 0, 255), (2, 2, 0), (1, stream, 0), (1, 0, 0)))
    out += b"3 0 obj\n%s\nendobj\n" % pdf_stream(table, b"/Type/XRef/Size 4/W[1 2 1]/Root 1 0 R")
    return bytes(out + b"startxref\n%d\n%%%%EOF\n" % start)


def encrypted_pdf() -> bytes:
    entries = b"<</Filter/Standard/V 1/R 2/O(%s)/U(%s)/P -4>>" % (b"o" * 32, b"u" * 32)
    return pdf_of(
        [b"<</Type/Catalog/Pages 2 0 R>>", b"<</Type/Pages/Kids[]/Count 0>>", entries],
        b"/Encrypt 3 0 R/ID[(0123456789abcdef)(0123456789abcdef)]",
    )


def archive(*entries: tuple[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as made:
        made.writestr("[Content_Types].xml", TYPES)
        for name, content in entries:
            made.writestr(name, content)
    return out.getvalue()


def quine_like() -> bytes:
    inner = archive(("word/document.xml", b"x"))
    for _ in range(20):
        inner = archive(("inner.zip", inner))
    return inner


def overlapping() -> bytes:
    """Return an archive whose every entry has the same bytes, as the better bombs do."""
    data = zlib.compress(b"a" * 1000)[2:-4]
    local = struct.pack("<4sHHHHHIIIHH", b"PK\3\4", 20, 0, 8, 0, 0, zlib.crc32(b"a" * 1000), len(data), 1000, 1, 0)
    out = bytearray(local + b"a" + data)
    start = len(out)
    names = [b"[Content_Types].xml", *(b"word/%d.xml" % number for number in range(50))]
    for name in names:
        out += struct.pack(
            "<4sHHHHHHIIIHHHHHII",
            *(b"PK\1\2", 20, 20, 0, 8, 0, 0, zlib.crc32(b"a" * 1000), len(data), 1000, len(name)),
            *(0, 0, 0, 0, 0, 0),
        )
        out += name
    out += struct.pack("<4sHHHHIIH", b"PK\5\6", 0, 0, len(names), len(names), len(out) - start, start, 0)
    return bytes(out)


def lying_size() -> bytes:
    """Return an archive whose part is a thousand times as large as it says."""
    content = archive(("word/document.xml", b"a" * MIB))
    return content.replace(struct.pack("<I", MIB), struct.pack("<I", 1000))


def large_sum() -> bytes:
    """Return an archive whose parts are 35 MB each, as they say, and 210 MB together."""
    part = noise(400_001)
    content = archive(*((f"word/{number}.xml", part) for number in range(6)), method=zipfile.ZIP_STORED)
    head, tail = content[: -6 * 200], content[-6 * 200 :]
    return head + tail.replace(struct.pack("<II", 400_001, 400_001), struct.pack("<II", 400_001, 35_000_000))


def flagged(bit: int) -> bytes:
    content = bytearray(HEALTHY["a.docx"])
    at = content.index(b"PK\1\2") + 8
    content[at] |= bit
    return bytes(content)


def renamed(old: str, new: str) -> bytes:
    assert len(old) == len(new)
    return HEALTHY["a.docx"].replace(old.encode(), new.encode())


def word_xml(declaration: str, text: str) -> bytes:
    document = f'<?xml version="1.0"?>{declaration}<w:document {WORD}><w:body>{words(text)}</w:body></w:document>'
    return package({"word/document.xml": document})


def laughs() -> bytes:
    entities = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10 if n else "ha"}">' for n in range(10))
    return word_xml(f"<!DOCTYPE d [{entities}]>", "&l9;")


def ole(*marks: str) -> bytes:
    return b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(504) + b"".join(mark.encode("utf-16-le") for mark in marks)


def nested_mail(depth: int) -> bytes:
    text = "Content-Type: text/plain\r\n\r\ndeep"
    for level in range(depth):
        text = f'Content-Type: multipart/mixed; boundary="b{level}"\r\n\r\n--b{level}\r\n{text}\r\n--b{level}--\r\n'
    return f"From: a@example.org\r\nTo: b@example.org\r\nSubject: deep\r\nMIME-Version: 1.0\r\n{text}".encode()


def forwarded(depth: int) -> bytes:
    mail = "From: a@example.org\r\nSubject: last\r\n\r\ndeep"
    for _ in range(depth):
        mail = f"From: a@example.org\r\nTo: b@example.org\r\nSubject: on\r\nContent-Type: message/rfc822\r\n\r\n{mail}"
    return mail.encode()


def noise(size: int) -> bytes:
    return random.Random(13).randbytes(size)


BROKEN_XML = words("text").replace("</w:t>", "")

HOSTILE = {
    # PDF
    "pdf: nothing after the header": Hostile("a.pdf", lambda: b"%PDF-1.7\n", "broken", "cross-references"),
    "pdf: truncated": Hostile("a.pdf", lambda: pdf(["text"])[:200], "broken", "cross-references"),
    "pdf: noise": Hostile("a.pdf", lambda: b"%PDF-1.7\n" + noise(100_000), "broken", "cross-references"),
    "pdf: a page tree without end": Hostile(
        "a.pdf", lambda: page_tree(b"<</Type/Pages/Kids[2 0 R]/Count 1>>"), "bomb", "pages"
    ),
    "pdf: two page trees within each other": Hostile(
        "a.pdf",
        lambda: page_tree(b"<</Type/Pages/Kids[3 0 R]/Count 1>>", b"<</Type/Pages/Kids[2 0 R]/Count 1>>"),
        "bomb",
        "pages",
    ),
    "pdf: billions of pages": Hostile(
        "a.pdf", lambda: page_tree(b"<</Type/Pages/Kids[3 0 R]/Count 4000000000>>"), "too_many_pages", "pages"
    ),
    "pdf: more pages than are allowed": Hostile("a.pdf", lambda: pdf(*[["text"]] * 2001), "too_many_pages", "pages"),
    "pdf: no pages": Hostile("a.pdf", lambda: page_tree(b"<</Type/Pages/Kids[]/Count 0>>"), "broken", "pages"),
    "pdf: an object stream that explodes": Hostile("a.pdf", object_stream_bomb, "bomb", "pages"),
    "pdf: a page that explodes": Hostile(
        "a.pdf", lambda: page(pdf_stream(spaces(), b"/Filter/FlateDecode")), "bomb", "page 1"
    ),
    "pdf: a page that explodes twice": Hostile(
        "a.pdf",
        lambda: page(pdf_stream(zlib.compress(spaces()), b"/Filter[/FlateDecode/FlateDecode]")),
        "bomb",
        "page 1",
    ),
    "pdf: encrypted": Hostile("a.pdf", encrypted_pdf, "encrypted", ""),
    "pdf: arrays nested without end": Hostile("a.pdf", lambda: page(pdf_stream(b"[" * 100_000)), "no_text", "page 1"),
    "pdf: a catalogue nested without end": Hostile(
        "a.pdf", lambda: pdf_of([b"<</A " * 50_000 + b">>" * 50_000]), "broken", "pages"
    ),
    "pdf: references that lie": Hostile(
        "a.pdf", lambda: HEALTHY["a.pdf"].replace(b"/Pages 2 0 R", b"/Pages 9 9 R"), "broken", "pages"
    ),
    "pdf: a script alone": Hostile(
        "a.pdf",
        lambda: pdf_of(
            [
                b"<</Type/Catalog/Pages 2 0 R/OpenAction<</S/JavaScript/JS(app.alert\\(1\\))>>>>",
                b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
                b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 9 9]/Resources<<>>>>",
            ]
        ),
        "no_text",
        "page 1",
    ),
    "pdf: a scan": Hostile("a.pdf", lambda: page(pdf_stream(b"q 9 0 0 9 0 0 cm /Im0 Do Q")), "no_text", "page 1"),
    # Office
    "zip: nothing but a mark": Hostile("a.docx", lambda: b"PK\x03\x04", "broken", "archive"),
    "zip: truncated": Hostile("a.docx", lambda: HEALTHY["a.docx"][:-30], "broken", "archive"),
    "zip: empty": Hostile("a.docx", lambda: b"PK\x05\x06" + bytes(18), "unsupported", ""),
    "zip: of something else": Hostile("a.docx", lambda: package({"a": "b"}), "unsupported", ""),
    "zip: a bomb by its ratio": Hostile(
        "a.docx", lambda: archive(("word/document.xml", b"\0" * 20 * MIB)), "bomb", "word/document.xml"
    ),
    "zip: a bomb by its sum": Hostile("a.docx", large_sum, "bomb", "archive"),
    "zip: a bomb by its parts": Hostile(
        "a.docx", lambda: archive(*((f"word/{n}.xml", b"") for n in range(3000))), "bomb", "archive"
    ),
    "zip: archives within archives": Hostile("a.docx", quine_like, "unsupported", ""),
    "zip: parts that overlap": Hostile("a.docx", overlapping, "bomb", "word/0.xml"),
    "zip: a size that lies": Hostile("a.docx", lying_size, "broken", "word/document.xml"),
    "zip: a password": Hostile("a.docx", lambda: flagged(1), "encrypted", "[Content_Types].xml"),
    "zip: an absolute name": Hostile(
        "a.docx", lambda: renamed("word/styles.xml", "/etc/styles.xml"), "forbidden_reference", "/etc/styles.xml"
    ),
    "zip: a name that climbs": Hostile(
        "a.docx", lambda: renamed("word/styles.xml", "../d/styles.xml"), "forbidden_reference", "../d/styles.xml"
    ),
    "zip: a drive's name": Hostile(
        "a.docx", lambda: renamed("word/styles.xml", "C:/w/styles.xml"), "forbidden_reference", "C:/w/styles.xml"
    ),
    "zip: packed otherwise": Hostile(
        "a.docx",
        lambda: archive(("word/document.xml", b"a" * 100), method=zipfile.ZIP_LZMA),
        "unsupported",
        "[Content_Types].xml",
    ),
    "docx: a part is missing": Hostile(
        "a.docx", lambda: package({"word/styles.xml": "<s/>"}), "broken", "word/document.xml"
    ),
    "docx: a part is damaged": Hostile("a.docx", lambda: docx(BROKEN_XML), "broken", "word/document.xml, line 1"),
    "docx: no text": Hostile("a.docx", lambda: docx(words("")), "no_text", "word/document.xml"),
    "docx: nested without end": Hostile(
        "a.docx", lambda: docx("<w:sdt>" * 100_000 + "</w:sdt>" * 100_000), "bomb", "word/document.xml"
    ),
    "docx: an outside entity": Hostile(
        "a.docx",
        lambda: word_xml('<!DOCTYPE d [<!ENTITY x SYSTEM "file:///etc/passwd">]>', "&x;"),
        "forbidden_reference",
        "word/document.xml",
    ),
    "docx: an outside parameter entity": Hostile(
        "a.docx",
        lambda: word_xml('<!DOCTYPE d [<!ENTITY % x SYSTEM "http://127.0.0.1/x.dtd"> %x;]>', "text"),
        "forbidden_reference",
        "word/document.xml",
    ),
    "docx: an outside definition": Hostile(
        "a.docx",
        lambda: word_xml('<!DOCTYPE d SYSTEM "http://127.0.0.1/x.dtd">', "text"),
        "forbidden_reference",
        "word/document.xml",
    ),
    "docx: a billion laughs": Hostile("a.docx", laughs, "bomb", "word/document.xml"),
    "docx: entities that are not there": Hostile(
        "a.docx", lambda: word_xml("", "&nobody;"), "forbidden_reference", "word/document.xml"
    ),
    "docx: encrypted": Hostile("a.docx", lambda: ole("EncryptionInfo", "EncryptedPackage"), "encrypted", ""),
    "docx: of 1997": Hostile("a.doc", lambda: ole("WordDocument"), "unsupported", ""),
    "docx: a table of too many columns": Hostile(
        "a.docx", lambda: docx(f"<w:tbl><w:tr>{'<w:tc/>' * 2000}</w:tr></w:tbl>"), "too_large", "word/document.xml"
    ),
    "pptx: a slide is missing": Hostile(
        "a.pptx",
        lambda: package(
            {"ppt/presentation.xml": f'<p xmlns:r="{RELATIONS}"><sldIdLst><sldId r:id="r1"/></sldIdLst></p>'}
        ),
        "broken",
        "ppt/slides/missing.xml",
    ),
    "pptx: no slides": Hostile("a.pptx", lambda: pptx(), "no_text", "ppt/presentation.xml"),
    "pptx: pictures alone": Hostile("a.pptx", lambda: pptx(slide(), slide()), "no_text", "ppt/slides/slide2.xml"),
    "pptx: the same slide without end": Hostile(
        "a.pptx",
        lambda: package(
            {
                "ppt/presentation.xml": f'<p xmlns:r="{RELATIONS}">' + '<sldId r:id="r1"/>' * 5000 + "</p>",
                "ppt/_rels/presentation.xml.rels": f'<R xmlns="{OFFICE}"><Relationship Id="r1" Type="x/slide" '
                'Target="slides/slide1.xml"/></R>',
                "ppt/slides/slide1.xml": slide(shape("text")),
            }
        ),
        "too_many_pages",
        "ppt/slides/slide1.xml",
    ),
    "pptx: a slide out of the package": Hostile(
        "a.pptx",
        lambda: package(
            {
                "ppt/presentation.xml": f'<p xmlns:r="{RELATIONS}"><sldId r:id="r1"/></p>',
                "ppt/_rels/presentation.xml.rels": f'<R xmlns="{OFFICE}"><Relationship Id="r1" Type="x/slide" '
                'Target="../../../etc/passwd"/></R>',
            }
        ),
        "broken",
        "etc/passwd",
    ),
    "xlsx: a text that is not there": Hostile(
        "a.xlsx",
        lambda: xlsx('<row><c t="s"><v>7</v></c></row>', strings=("a",)),
        "broken",
        "xl/worksheets/sheet1.xml",
    ),
    "xlsx: a cell far out": Hostile(
        "a.xlsx", lambda: xlsx('<row><c r="XFD1"><v>7</v></c></row>'), "too_large", "xl/worksheets/sheet1.xml"
    ),
    "xlsx: rows without end": Hostile("a.xlsx", lambda: xlsx("<row/>" * 300_000), "bomb", "xl/worksheets/sheet1.xml"),
    "xlsx: all sheets hidden": Hostile(
        "a.xlsx", lambda: xlsx("<row><c><v>7</v></c></row>", state="hidden"), "no_text", "xl/workbook.xml"
    ),
    "xlsx: a workbook of noise": Hostile(
        "a.xlsx", lambda: package({"xl/workbook.xml": noise(1000)}), "broken", "xl/workbook.xml, line 1"
    ),
    # HTML
    "html: nested without end": Hostile("a.html", lambda: b"<html>" + b"<div>" * 100_000, "bomb", "line 1"),
    "html: bold without end": Hostile("a.html", lambda: b"<html>\n" + b"<b>" * 100_000 + b"x", "bomb", "line 2"),
    "html: a tag without end": Hostile("a.html", lambda: b"<html><p " + b"a" * 8 * MIB, "no_text", ""),
    "html: an attribute without end": Hostile("a.html", lambda: b'<html><p a="' + b"a>" * 4 * MIB, "no_text", ""),
    "html: a comment without end": Hostile("a.html", lambda: b"<html><!-- " + b"a" * 8 * MIB, "no_text", ""),
    "html: nothing shown": Hostile(
        "a.html", lambda: b"<html><script>x()</script><p hidden>a<p style='font-size:0'>b", "no_text", ""
    ),
    "html: NULs": Hostile("a.html", lambda: b"<html>" + b"text " * 50 + b"\0", "broken", "byte 256"),
    "html: a broken mark": Hostile("a.html", lambda: b"\xef\xbb\xbf<html><p>\xff\xfe\xff</html>", "broken", "byte 9"),
    "html: a table of too many columns": Hostile(
        "a.html", lambda: b"<html><table><tr>" + b"<td>a" * 5000, "too_large", ""
    ),
    # Tables
    "csv: a line without end": Hostile("a.csv", lambda: b"a" * 8 * MIB, "too_large", "line 1"),
    "csv: a million columns": Hostile("a.csv", lambda: b"a," * 1_000_000, "too_large", "row 1"),
    "csv: rows without end": Hostile("a.csv", lambda: b"a,b\n" * 300_000, "too_large", "row 200001"),
    "csv: a quote without end": Hostile("a.csv", lambda: b'a,b\n"' + b"c,d\n" * 100_000, "too_large", "line 43692"),
    "csv: NULs": Hostile("a.csv", lambda: b"a,b\n" * 50 + b"c,\0\n", "broken", "byte 202"),
    "csv: blank": Hostile("a.csv", lambda: b"\n\n ,, \n", "no_text", "row 1"),
    # JSON
    "json: nested without end": Hostile("a.json", lambda: b"[" * 100_000, "bomb", "line 1"),
    "json: objects nested without end": Hostile("a.json", lambda: b'{"a":\n' * 100_000, "bomb", "line 257"),
    "json: a number without end": Hostile(
        "a.json", lambda: b"[" + b"1" * 5 * MIB + b"]", "broken", "11111111111111111111…"
    ),
    "json: NaN": Hostile("a.json", lambda: b'{"a": NaN}', "broken", "NaN"),
    "json: a key twice": Hostile("a.json", lambda: b'{"a": 1, "a": 2}', "broken", "key 'a'"),
    "json: cut off": Hostile("a.json", lambda: b'{"a": 1,\n"b": ', "broken", "line 2, column 6"),
    "json: not UTF-8": Hostile("a.json", lambda: b'{"a": "\x81\x8d\x8f\x90\x9d"}', "broken", "byte 7"),
    "json: a string without end": Hostile(
        "a.json", lambda: b'{"a": "' + b'\\"' * 2 * MIB, "broken", "line 1, column 7"
    ),
    "jsonl: a line that is none": Hostile("a.jsonl", lambda: b'{"a": 1}\n{"b"}\n', "broken", "line 2, column 5"),
    "jsonl: a line nested without end": Hostile("a.jsonl", lambda: b'{"a": 1}\n' + b"[" * 10_000, "bomb", "line 2"),
    # Mail
    "eml: parts nested without end": Hostile("a.eml", lambda: nested_mail(1000), "bomb", "part 1"),
    "eml: parts nested more than is allowed": Hostile("a.eml", lambda: nested_mail(10), "bomb", "part 1.1.1.1.1"),
    "eml: mails within mails": Hostile("a.eml", lambda: forwarded(10), "bomb", "part 1"),
    "eml: mails within mails without end": Hostile("a.eml", lambda: forwarded(1500), "bomb", "part 1"),
    "eml: headers without end": Hostile(
        "a.eml", lambda: eml("text", *(f"X-{n}: y" for n in range(50_000))), "too_large", "headers"
    ),
    "eml: one header without end": Hostile(
        "a.eml", lambda: eml("text", "X-Y: " + "z" * 4 * MIB), "too_large", "headers"
    ),
    "eml: no base64": Hostile(
        "a.eml",
        lambda: multipart(
            "Content-Type: text/plain\r\n\r\nfirst",
            "Content-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n\r\n!!!!!?",
        ),
        "broken",
        "part 2",
    ),
    "eml: more parts than are allowed": Hostile(
        "a.eml", lambda: multipart(*["Content-Type: text/plain\r\n\r\na"] * 500), "bomb", "part 200"
    ),
    "eml: a text of noise": Hostile(
        "a.eml",
        lambda: multipart(
            "Content-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n\r\n"
            + base64.encodebytes(noise(3000)).decode()
        ),
        "unsupported",
        "part 1",
    ),
    # Text
    "text: empty": Hostile("a.txt", lambda: b"", "no_text", ""),
    "text: blank": Hostile("a.txt", lambda: b" \n\t\n" * 1000, "no_text", ""),
    "text: invisible": Hostile("a.txt", lambda: "\u200b\U000e0041\u2060".encode() * 1000, "no_text", ""),
    "text: noise": Hostile("a.txt", lambda: noise(100_000), "unsupported", ""),
    "text: NULs": Hostile("a.txt", lambda: b"text " * 100 + b"\0", "broken", "byte 500"),
    "text: half of UTF-16": Hostile(
        "a.txt", lambda: b"\xff\xfe" + "text".encode("utf-16-le") + b"\x00\xd8", "broken", "byte 10"
    ),
    "text: UTF-16 with a surrogate alone": Hostile(
        "a.txt", lambda: ("text " * 10).encode("utf-16-le") + b"\x00\xdc", "broken", "byte 100"
    ),
    "text: UTF-8 with surrogates": Hostile("a.txt", lambda: b"\xef\xbb\xbftext \xed\xa0\x80", "broken", "byte 5"),
    "text: too long": Hostile("a.txt", lambda: b"word " * 4 * MIB, "too_large", ""),
    "text: too many paragraphs": Hostile("a.txt", lambda: b"a\n\n" * 200_000, "too_large", ""),
    "text: too many bytes": Hostile("a.txt", lambda: b"a" * 33 * MIB, "too_large", ""),
    "text: a program": Hostile("a.txt", lambda: b"\x7fELF" + noise(1000), "unsupported", ""),
    "text: packed": Hostile("a.txt", lambda: b"\x1f\x8b" + noise(1000), "unsupported", ""),
    "markdown: nothing shown": Hostile("a.md", lambda: b"<div hidden>\n\nunseen\n\n</div>\n<!-- a -->", "no_text", ""),
    "code: blank": Hostile("a.py", lambda: b"\n" * 100, "no_text", ""),
}
