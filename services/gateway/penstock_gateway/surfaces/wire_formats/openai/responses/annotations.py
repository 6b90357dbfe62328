"""What a text refers to, in OpenAI's words: its own stand as they are, those of others as far as it has words for them."""

from __future__ import annotations

from typing import Any, cast

import msgspec

_CITATIONS = msgspec.json.Decoder(list[Any])
_OWN = frozenset({"url_citation", "file_citation", "container_file_citation", "file_path"})
_PLACES = ("start_index", "end_index", "index")


def annotations_of(citations_json: str, start: int, end: int) -> list[dict[str, Any]]:
    """Return the annotations of the characters from ``start`` to ``end`` of a part."""
    told = [_annotation(citation, start, end) for citation in _CITATIONS.decode(citations_json)]
    return [annotation for annotation in told if annotation is not None]


def _annotation(citation: Any, start: int, end: int) -> dict[str, Any] | None:
    if not isinstance(citation, dict):
        return None
    said = cast("dict[str, Any]", citation)
    if said.get("type") in _OWN:
        # Counted from where its writer's part began.
        return {
            name: value + start if name in _PLACES and isinstance(value, int) else value for name, value in said.items()
        }
    if isinstance(said.get("url"), str):
        place = {"start_index": start, "end_index": end}
        return {"type": "url_citation", "url": said["url"], "title": _text(said.get("title")), **place}
    title = _text(said.get("document_title")) or _text(said.get("title"))
    if title or said.get("file_id"):
        return {"type": "file_citation", "file_id": _text(said.get("file_id")), "filename": title, "index": end}
    return None


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
