"""Mail: what it says of itself, its texts, and what is attached by name alone."""

from __future__ import annotations

from email import policy
from email.errors import InvalidBase64CharactersDefect, InvalidBase64LengthDefect, InvalidBase64PaddingDefect
from email.message import EmailMessage
from email.parser import BytesParser
from typing import NoReturn

from penstock_embedding.adapters.parsing.formats import plain
from penstock_embedding.adapters.parsing.formats.html import read_html
from penstock_embedding.adapters.parsing.formats.source import Source, decoded
from penstock_embedding.domain.documents.draft import Draft
from penstock_embedding.domain.documents.parsed import DocumentRefused

_SHOWN_HEADERS = ("From", "To", "Cc", "Date")
_HEADER_BYTES = 256 * 1024
_HEADER_CHARACTERS = 1_000
_NOT_BASE64 = (InvalidBase64CharactersDefect, InvalidBase64LengthDefect, InvalidBase64PaddingDefect)


def read(source: Source, draft: Draft) -> None:
    """Write it into the draft."""
    _check_headers(source.content)
    if source.content.lower().count(b"boundary=") > draft.limits.mail_parts:
        # Each line of a part is compared to the boundaries of all around it.
        _refuse_nesting(draft, "part 1")
    try:
        mail = BytesParser(_class=EmailMessage, policy=policy.default).parsebytes(source.content)
    except RecursionError:
        _refuse_nesting(draft, "part 1")
    writer = _Writer(draft)
    draft.title = _header(mail, "Subject")
    writer.write_mail(mail, "", 1)
    if writer.attachments:
        draft.add("paragraph", f"{len(writer.attachments)} attachments: {', '.join(writer.attachments)}")


class _Writer:
    def __init__(self, draft: Draft) -> None:
        self._draft = draft
        self._parts = 0
        self.attachments: list[str] = []

    def write_mail(self, mail: EmailMessage, number: str, level: int) -> None:
        """Write a mail, or one within it."""
        self._draft.heading(_header(mail, "Subject"), level)
        shown = [f"{name}: {value}" for name in _SHOWN_HEADERS if (value := _header(mail, name))]
        self._draft.add("paragraph", "\n".join(shown))
        self._write_part(mail, number, level)

    def _write_part(self, part: EmailMessage, number: str, level: int) -> None:
        self._draft.place = f"part {number or '1'}"
        self._parts += 1
        if self._parts > self._draft.limits.mail_parts:
            raise DocumentRefused("bomb", f"It has more than {self._draft.limits.mail_parts} parts.", self._draft.place)
        if level > self._draft.limits.mail_nesting:
            _refuse_nesting(self._draft, self._draft.place)
        if part.is_multipart():
            self._write_parts(part, number, level)
        elif part.get_content_disposition() == "attachment" or part.get_content_maintype() != "text":
            self.attachments.append(_attachment(part))
        else:
            self._write_text(part)

    def _write_parts(self, whole: EmailMessage, number: str, level: int) -> None:
        parts = [part for part in whole.get_payload() if isinstance(part, EmailMessage)]
        if whole.get_content_maintype() == "message":
            for part in parts:
                self.write_mail(part, number, level + 1)
            return
        for index, part in enumerate(parts, 1):
            if whole.get_content_subtype() != "alternative" or part is _best(parts):
                self._write_part(part, f"{number}.{index}" if number else str(index), level + 1)

    def _write_text(self, part: EmailMessage) -> None:
        content = part.get_payload(decode=True)
        if any(isinstance(defect, _NOT_BASE64) for defect in part.defects):
            raise DocumentRefused("broken", "A text in it is no base64. Export the mail anew.", self._draft.place)
        assert isinstance(content, bytes)
        text = _text(content, part.get_content_charset(""), self._draft.place)
        if part.get_content_subtype() == "html":
            read_html(text, self._draft)
        else:
            plain.write_paragraphs(text, self._draft)


def _best(parts: list[EmailMessage]) -> EmailMessage:
    """Return the plain one of the same texts, or else the last, which is the richest."""
    plain_texts = (part for part in parts if part.get_content_type() == "text/plain" and part.get_payload())
    return next(plain_texts, parts[-1])


def _text(content: bytes, charset: str, place: str) -> str:
    try:
        return content.decode(charset)
    except (LookupError, UnicodeDecodeError):
        pass
    try:
        return decoded(content)
    except DocumentRefused as refused:
        raise DocumentRefused(refused.reason, refused.message, f"{place}, {refused.place}".rstrip(", ")) from None


def _header(mail: EmailMessage, name: str) -> str:
    try:
        return " ".join(str(mail.get(name, "")).split())[:_HEADER_CHARACTERS]
    except (ValueError, LookupError, AttributeError, TypeError, OverflowError):
        # Not every header is as its standard says, and the library trusts some.
        return ""


def _attachment(part: EmailMessage) -> str:
    name = " ".join((part.get_filename() or "unnamed").split())[:200]
    return f"{name} ({part.get_content_type()})"


def _check_headers(content: bytes) -> None:
    ends = [end for mark in (b"\n\n", b"\r\n\r\n") if (end := content.find(mark)) >= 0]
    if min(ends, default=len(content)) > _HEADER_BYTES:
        raise DocumentRefused("too_large", f"Its headers have more than {_HEADER_BYTES} bytes.", "headers")


def _refuse_nesting(draft: Draft, place: str) -> NoReturn:
    raise DocumentRefused("bomb", f"Its parts are nested more than {draft.limits.mail_nesting} deep.", place)
