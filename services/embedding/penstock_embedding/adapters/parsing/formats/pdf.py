"""PDF: the text of each page. What is drawn, run or attached is not looked at."""

from __future__ import annotations

import logging
import re
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from io import BytesIO

from pypdf import PageObject, PdfReader
from pypdf.errors import DependencyError, FileNotDecryptedError, LimitReachedError, PyPdfError
from pypdf.generic import DictionaryObject

from penstock_embedding.adapters.parsing.formats.source import Source
from penstock_embedding.domain.documents.draft import Draft
from penstock_embedding.domain.documents.parsed import DocumentRefused

_BLANK_LINES = re.compile(r"\n[ \t]*\n\s*")
_SPLIT_WORD = re.compile(r"(?<=[^\W\d_])-\n(?=[^\W\d_A-ZÀ-Þ])")
_DAMAGED = "It is damaged. Open it, print it to a new PDF, and try again."

# A damaged file is worth a warning per object to it.
logging.getLogger("pypdf").setLevel(logging.CRITICAL)


def read(source: Source, draft: Draft) -> None:
    """Write it into the draft."""
    with _refusals(draft):
        draft.place = "cross-references"
        reader = PdfReader(BytesIO(source.content))
        if reader.is_encrypted and not reader.decrypt(""):
            raise DocumentRefused("encrypted", "It has a password. Save it without one.")
        if (properties := reader.metadata) is not None:
            draft.title = properties.title or ""
        for page in _pages(reader, draft):
            draft.begin_page()
            text = _SPLIT_WORD.sub("", page.extract_text())
            for paragraph in _BLANK_LINES.split(text):
                draft.add("paragraph", paragraph)
    if draft.is_empty:
        raise DocumentRefused("no_text", "It has pages without text: run OCR, and give the result.", "page 1")


def _pages(reader: PdfReader, draft: Draft) -> Iterator[PageObject]:
    draft.place = "pages"
    count = _page_count(reader, draft)
    if count == 0:
        raise DocumentRefused("broken", "It has no pages. Open it, print it to a new PDF, and try again.", draft.place)
    for index in range(count):
        draft.place = f"page {index + 1}"
        page = reader.pages[index]
        if (contents := page.get_contents()) is not None:
            # Where it explodes, this says so; extraction would find no text.
            contents.get_data()
        yield page


def _page_count(reader: PdfReader, draft: Draft) -> int:
    most = draft.limits.pages
    tree = reader.root_object["/Pages"]
    said = tree.get("/Count", 0) if isinstance(tree, DictionaryObject) else 0
    # What is said is found without looking at the pages.
    count = said if isinstance(said, int) and said > most else len(reader.pages)
    if count > most:
        raise DocumentRefused("too_many_pages", f"It has {count} pages, more than {most}. Split it.", draft.place)
    return count


@contextmanager
def _refusals(draft: Draft) -> Generator[None, None, None]:
    try:
        yield
    except (FileNotDecryptedError, DependencyError):
        raise DocumentRefused("encrypted", "It is encrypted. Save it without a password.", draft.place) from None
    except LimitReachedError:
        raise DocumentRefused(
            "bomb", "It grows without bounds when read. Print it to a new PDF.", draft.place
        ) from None
    except RecursionError:
        raise DocumentRefused("bomb", "Its objects are nested without end.", draft.place) from None
    except (PyPdfError, ValueError, TypeError, KeyError, AttributeError, IndexError, AssertionError, OSError) as error:
        is_endless = isinstance(error.__context__, RecursionError) or "cycl" in str(error)
        raise DocumentRefused("bomb" if is_endless else "broken", _DAMAGED, draft.place) from error
