"""XML as a stream of what begins, what ends and what is said: no tree, no DTD, no entity, nothing from outside."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Literal, NamedTuple, NoReturn
from xml.parsers import expat

from penstock_embedding.domain.documents.parsed import DocumentRefused

Attributes = Mapping[str, str]
_CHUNK_BYTES = 65_536
_RELATIONSHIPS = "/relationships"
_UNDEFINED_ENTITY = 11
_NONE: Attributes = {}


class Item(NamedTuple):
    """What comes next. Names are without their namespaces; attributes of relationships begin with ``r:``."""

    kind: Literal["start", "end", "text"]
    name: str
    """The text itself, of a text."""
    attributes: Attributes = _NONE


def items_of(content: bytes, place: str, nesting: int) -> Iterator[Item]:
    """Yield what is in a document.

    Raises:
        DocumentRefused: if it is no XML, declares or refers to anything, or is nested more deeply than is allowed.
    """
    stream = _Stream(place, nesting)
    for start in range(0, len(content), _CHUNK_BYTES):
        yield from stream.take(content[start : start + _CHUNK_BYTES], is_last=False)
    yield from stream.take(b"", is_last=True)


class _Stream:
    def __init__(self, place: str, nesting: int) -> None:
        self._place = place
        self._nesting = nesting
        self._depth = 0
        self._items: list[Item] = []
        self._parser = parser = expat.ParserCreate(namespace_separator="}")
        parser.buffer_text = True
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text
        parser.StartDoctypeDeclHandler = self._doctype
        parser.EntityDeclHandler = self._entity
        parser.EndDoctypeDeclHandler = self._refuse_doctype

    def take(self, chunk: bytes, *, is_last: bool) -> list[Item]:
        """Return what a chunk adds."""
        self._items = []
        try:
            self._parser.Parse(chunk, is_last)
        except expat.ExpatError as error:
            if error.code == _UNDEFINED_ENTITY:
                self._refuse_doctype()
            what = expat.errors.messages.get(error.code, "damaged")
            raise DocumentRefused(
                "broken", f"Its XML is damaged: {what}. Open it, save it anew.", f"{self._place}, line {error.lineno}"
            ) from None
        return self._items

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        if self._depth > self._nesting:
            raise DocumentRefused("bomb", f"Its XML is nested more than {self._nesting} deep.", self._place)
        named = {_attribute(key): value for key, value in attributes.items()}
        self._items.append(Item("start", name.rpartition("}")[2], named))

    def _end(self, name: str) -> None:
        self._depth -= 1
        self._items.append(Item("end", name.rpartition("}")[2]))

    def _text(self, text: str) -> None:
        self._items.append(Item("text", text))

    def _doctype(self, _name: str, system_id: str | None, public_id: str | None, _has_subset: int) -> None:
        if system_id or public_id:
            self._refuse_doctype()

    def _entity(self, _name: str, _is_parameter: int, value: str | None, *_: object) -> None:
        if value is None:
            self._refuse_doctype()
        raise DocumentRefused("bomb", "Its XML defines entities, which can grow without end.", self._place)

    def _refuse_doctype(self) -> NoReturn:
        raise DocumentRefused(
            "forbidden_reference", "Its XML refers to what is outside of it, or declares a type.", self._place
        )


def _attribute(name: str) -> str:
    namespace, _, local = name.rpartition("}")
    return f"r:{local}" if namespace.endswith(_RELATIONSHIPS) else local
