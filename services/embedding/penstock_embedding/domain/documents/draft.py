"""A document's text while it is being read: block after block, within its limits."""

from __future__ import annotations

from penstock_embedding.domain.documents.cleaning import clean
from penstock_embedding.domain.documents.language import language_of
from penstock_embedding.domain.documents.limits import ParsingLimits
from penstock_embedding.domain.documents.parsed import Block, BlockKind, DocumentRefused, Parsed

_BETWEEN = "\n\n"
_TITLE_CHARACTERS = 200


class Draft:
    """Collects blocks; ``place`` says where the reader is, for what goes wrong."""

    def __init__(self, limits: ParsingLimits) -> None:
        self.limits = limits
        self.place = ""
        self.title = ""
        self.declared_language = ""
        self._pieces: list[str] = []
        self._blocks: list[Block] = []
        self._pages: list[int] = []
        self._length = 0

    @property
    def is_empty(self) -> bool:
        """Whether there is no text so far."""
        return not self._blocks

    def add(self, kind: BlockKind, text: str, level: int = 0) -> None:
        """Add a block, cleaned, without the blank around it; a blank one is left out.

        Raises:
            DocumentRefused: if the text is longer than is allowed, or has more blocks.
        """
        text = clean(text)
        text = text.strip("\n").rstrip() if kind == "code" else text.strip()
        if not text:
            return
        start = self._length + len(_BETWEEN) if self._blocks else 0
        if start + len(text) > self.limits.output_characters:
            self._refuse(f"Its text has more than {self.limits.output_characters} characters")
        if len(self._blocks) == self.limits.blocks:
            self._refuse(f"It has more than {self.limits.blocks} paragraphs, tables and the like")
        self._pieces.append(text)
        self._length = start + len(text)
        self._blocks.append(Block(kind, start, self._length, level))

    def heading(self, text: str, level: int) -> None:
        """Add a heading on one line."""
        self.add("heading", " ".join(text.split()), level)

    def begin_page(self) -> None:
        """Begin a page, slide or sheet where the next block stands.

        Raises:
            DocumentRefused: if there are more than is allowed.
        """
        if len(self._pages) == self.limits.pages:
            raise DocumentRefused(
                "too_many_pages", f"It has more than {self.limits.pages} pages. Split it.", self.place
            )
        self._pages.append(self._length + len(_BETWEEN) if self._blocks else 0)

    def finish(self, media_type: str) -> Parsed:
        """Return all of it.

        Raises:
            DocumentRefused: if there is no text.
        """
        if self.is_empty:
            raise DocumentRefused("no_text", "It has no text. Leave it out, or give it as text.", self.place)
        text = _BETWEEN.join(self._pieces)
        return Parsed(
            text=text,
            media_type=media_type,
            title=self._title(text),
            language=language_of(text) or self.declared_language,
            blocks=self._blocks,
            pages=[min(page, len(text)) for page in self._pages],
        )

    def _title(self, text: str) -> str:
        title = " ".join(clean(self.title).split())
        if not title:
            first = next((block for block in self._blocks if block.kind == "heading"), None)
            title = text[first.start : first.end] if first else ""
        return title[:_TITLE_CHARACTERS]

    def _refuse(self, what: str) -> None:
        raise DocumentRefused("too_large", f"{what}. Split it.", self.place)
