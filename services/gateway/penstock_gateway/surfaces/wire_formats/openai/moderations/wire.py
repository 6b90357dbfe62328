"""``POST /v1/moderations``: the request's fields, and the objects of its answer.

https://platform.openai.com/docs/api-reference/moderations, as read from the types of openai-python 3.52.
"""

from __future__ import annotations

import msgspec

from penstock_gateway.surfaces.wire_formats.openai.wire import WireObject


class TextPart(WireObject, tag="text"):
    """A text among parts."""

    text: str


class ImageUrl(WireObject):
    """Where an image is."""

    url: str


class ImagePart(WireObject, tag="image_url"):
    """An image among parts."""

    image_url: ImageUrl


class ModerationRequest(WireObject, kw_only=True):
    """Body of the request; a field that is not here is refused. ``input`` is read apart: its elements decide its kind."""

    input: msgspec.Raw
    model: str | None = None


class ModerationResult(msgspec.Struct):
    """One verdict."""

    flagged: bool
    categories: dict[str, bool]
    category_scores: dict[str, float]
    category_applied_input_types: dict[str, tuple[str, ...]]


class Moderation(msgspec.Struct):
    """Body of the answer."""

    id: str
    model: str
    results: list[ModerationResult]
