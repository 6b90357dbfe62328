"""Tells what a document is by its content; its name and its type only decide between kinds of text."""

from __future__ import annotations

import re
from typing import NamedTuple

from penstock_embedding.adapters.parsing.formats.source import Source
from penstock_embedding.domain.documents.parsed import DocumentRefused


class Kind(NamedTuple):
    """Which module reads it."""

    module: str
    media_type: str


_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_ENCRYPTED_PACKAGE = "EncryptedPackage".encode("utf-16-le")
_UNSUPPORTED = (
    (b"\x89PNG", "a PNG picture"),
    (b"\xff\xd8\xff", "a JPEG picture"),
    (b"GIF8", "a GIF picture"),
    (b"II*\x00", "a TIFF picture"),
    (b"MM\x00*", "a TIFF picture"),
    (b"BM", "a BMP picture"),
    (b"\x1f\x8b", "packed by gzip"),
    (b"BZh", "packed by bzip2"),
    (b"\xfd7zXZ\x00", "packed by xz"),
    (b"\x28\xb5\x2f\xfd", "packed by zstd"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (b"Rar!", "a RAR archive"),
    (b"\x7fELF", "a program"),
    (b"MZ", "a program"),
    (b"\xca\xfe\xba\xbe", "a program"),
    (b"SQLite format 3\x00", "a database"),
    (b"{\\rtf", "RTF"),
    (b"%!PS", "PostScript"),
    (b"ID3", "a sound"),
    (b"OggS", "a sound"),
    (b"RIFF", "a sound, picture or film"),
)
_TEXT_MAGICS = frozenset({b"BM", b"MZ", b"ID3", b"BZh"})
_PDF = re.compile(rb"(?:\xef\xbb\xbf)?[\s\x00]{0,1024}%PDF-")
_CODE = {
    "py": "text/x-python", "pyi": "text/x-python", "js": "text/javascript", "mjs": "text/javascript",
    "cjs": "text/javascript", "jsx": "text/jsx", "ts": "text/x-typescript", "tsx": "text/x-typescript",
    "go": "text/x-go", "java": "text/x-java", "kt": "text/x-kotlin", "scala": "text/x-scala", "c": "text/x-c",
    "h": "text/x-c", "cc": "text/x-c++", "cpp": "text/x-c++", "cxx": "text/x-c++", "hpp": "text/x-c++",
    "cs": "text/x-csharp", "rs": "text/x-rust", "rb": "text/x-ruby", "php": "text/x-php", "swift": "text/x-swift",
    "sql": "text/x-sql", "sh": "text/x-shellscript", "bash": "text/x-shellscript", "zsh": "text/x-shellscript",
    "ps1": "text/x-powershell", "lua": "text/x-lua", "r": "text/x-r", "pl": "text/x-perl", "css": "text/css",
    "scss": "text/x-scss", "proto": "text/x-protobuf", "tf": "text/x-terraform", "toml": "application/toml",
    "ini": "text/x-ini", "cfg": "text/x-ini", "conf": "text/x-ini", "env": "text/x-ini", "xml": "application/xml",
    "yaml": "application/yaml", "yml": "application/yaml", "dockerfile": "text/x-dockerfile", "vue": "text/x-vue",
    "ex": "text/x-elixir", "dart": "text/x-dart", "m": "text/x-objective-c", "graphql": "text/x-graphql",
}  # fmt: skip
_INTERPRETERS = {
    "python": "text/x-python", "sh": "text/x-shellscript", "bash": "text/x-shellscript", "zsh": "text/x-shellscript",
    "node": "text/javascript", "ruby": "text/x-ruby", "perl": "text/x-perl", "php": "text/x-php",
}  # fmt: skip
_SHEBANG = re.compile(r"#!\S*?(?:/env\s+(?:-S\s+)?)?([a-z]+)[\d.]*(?:\s|$)")
_HTML_START = re.compile(
    r"\s*(?:<\?xml[^>]*>\s*)?(?:<!--.*?-->\s*)*<(?:!doctype\s+html|html|head|body)\b", re.IGNORECASE | re.DOTALL
)
_HTML_TAG = re.compile(r"<(?:!--|/?[a-zA-Z])")
_MAIL_HEADER = re.compile(r"([!-9;-~]+):")
_MAIL_HEADERS = frozenset({
    "from", "to", "cc", "subject", "date", "message-id", "received", "return-path", "mime-version", "reply-to",
    "content-type", "delivered-to", "dkim-signature", "x-mailer", "in-reply-to", "references", "sender",
})  # fmt: skip
_FEWEST_MAIL_HEADERS = 3
_MARKDOWN_SIGNS = re.compile(r"^(?:#{1,6} \S|```|\|[ :-]*-{3}|[-*] \S|> \S|\d+\. \S)", re.MULTILINE)
_MARKDOWN_HEADING = re.compile(r"^#{1,6} \S", re.MULTILINE)
_FEWEST_MARKDOWN_SIGNS = 2
_SAMPLE = 20_000
_FEWEST_ROWS = 4

_HTML = Kind("html", "text/html")
_MARKDOWN = Kind("markdown", "text/markdown")
_MAIL = Kind("mail", "message/rfc822")
_JSON = Kind("json_text", "application/json")
_JSON_LINES = Kind("json_lines", "application/jsonl")
_CSV = Kind("table_text", "text/csv")
_TSV = Kind("table_text", "text/tab-separated-values")
_PLAIN = Kind("plain", "text/plain")
_BY_HINT = {
    "md": _MARKDOWN, "markdown": _MARKDOWN, "mdx": _MARKDOWN, "text/markdown": _MARKDOWN,
    "csv": _CSV, "text/csv": _CSV, "tsv": _TSV, "tab": _TSV, "text/tab-separated-values": _TSV,
    "json": _JSON, "application/json": _JSON, "jsonl": _JSON_LINES, "ndjson": _JSON_LINES,
    "application/jsonl": _JSON_LINES, "application/x-ndjson": _JSON_LINES, "eml": _MAIL, "message/rfc822": _MAIL,
    "txt": _PLAIN, "text": _PLAIN, "log": _PLAIN,
}  # fmt: skip


def kind_of(source: Source) -> Kind:
    """Return what it is.

    Raises:
        DocumentRefused: if that is nothing which can be read.
    """
    content = source.content
    if _PDF.match(content):
        return Kind("pdf", "application/pdf")
    if content.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        from penstock_embedding.adapters.parsing.formats.office import kind_of_package

        return Kind(*kind_of_package(content))
    _refuse_known(content)
    return _text_kind(source)


def _refuse_known(content: bytes) -> None:
    if content.startswith(_OLE):
        if _ENCRYPTED_PACKAGE in content:
            raise DocumentRefused("encrypted", "It has a password. Save it without one.")
        raise DocumentRefused(
            "unsupported", "It is of the old binary Office format. Save it as DOCX, PPTX, XLSX or PDF."
        )
    for magic, what in _UNSUPPORTED:
        if content.startswith(magic) and (magic not in _TEXT_MAGICS or not content[:256].isascii() or 0 in content):
            raise DocumentRefused("unsupported", f"It is {what}, which cannot be read. Export it as PDF or text.")


def _text_kind(source: Source) -> Kind:
    text = source.text
    hint = _BY_HINT.get(source.extension) or _BY_HINT.get(source.media_type)
    if _HTML_START.match(text[:_SAMPLE]):
        return _HTML
    if source.extension in _CODE and hint is None:
        return Kind("code", _CODE[source.extension])
    if hint is not None and hint is not _PLAIN:
        return hint
    if source.extension in {"html", "htm", "xhtml"} or source.media_type == "text/html":
        return _HTML if _HTML_TAG.search(text) else _PLAIN
    return _kind_by_look(text, is_named_plain=hint is _PLAIN)


def _kind_by_look(text: str, *, is_named_plain: bool) -> Kind:
    if shebang := _SHEBANG.match(text):
        return Kind("code", _INTERPRETERS.get(shebang[1], "text/x-script"))
    if _looks_like_mail(text):
        return _MAIL
    if is_named_plain:
        return _PLAIN
    if text.lstrip()[:1] in {"{", "["}:
        return _json_kind(text)
    if text.startswith("<?xml"):
        return Kind("code", "application/xml")
    sample = text[:_SAMPLE]
    signs = len(_MARKDOWN_SIGNS.findall(sample))
    if signs >= _FEWEST_MARKDOWN_SIGNS and _MARKDOWN_HEADING.search(sample):
        return _MARKDOWN
    return _table_kind(sample)


def _looks_like_mail(text: str) -> bool:
    known: set[str] = set()
    for line in text[:_SAMPLE].split("\n"):
        if line[:1] in {" ", "\t"} and known:
            continue
        if not line or (header := _MAIL_HEADER.match(line)) is None:
            return not line and len(known) >= _FEWEST_MAIL_HEADERS and "from" in known
        if (name := header[1].lower()) in _MAIL_HEADERS:
            known.add(name)
    return len(known) >= _FEWEST_MAIL_HEADERS and "from" in known


def _json_kind(text: str) -> Kind:
    from penstock_embedding.adapters.parsing.formats.json_text import is_json

    if is_json(text):
        return _JSON
    lines = [line for line in text.split("\n", 3)[:2] if line.strip()]
    if len(lines) > 1 and all(is_json(line) for line in lines):
        return _JSON_LINES
    return _PLAIN


def _table_kind(sample: str) -> Kind:
    lines = sample.split("\n")[:-1][:20]
    for mark, kind in (("\t", _TSV), (";", _CSV), (",", _CSV)):
        counts = {line.count(mark) for line in lines}
        if len(lines) >= _FEWEST_ROWS and len(counts) == 1 and counts.pop() > 1:
            return kind
    return _PLAIN
