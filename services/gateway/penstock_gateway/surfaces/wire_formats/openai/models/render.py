"""OpenAI's models format: the models that callers may name."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

_encode = msgspec.json.Encoder().encode


class Model(msgspec.Struct, kw_only=True):
    """A model that callers may name. ``created`` is in Unix seconds."""

    id: str
    object: str = "model"
    created: int
    owned_by: str = "penstock"


class ModelList(msgspec.Struct, kw_only=True):
    """Body of ``GET /v1/models``."""

    object: str = "list"
    data: list[Model]


def render_model(name: str, created: int) -> bytes:
    """Return the body of ``GET /v1/models/{id}``."""
    return _encode(Model(id=name, created=created))


def render_model_list(names: Iterable[str], created: int) -> bytes:
    """Return the body of ``GET /v1/models``, in the order given."""
    return _encode(ModelList(data=[Model(id=name, created=created) for name in names]))
