"""What a version of a prompt is made of, and how a request names one."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from penstock_common.llm.types import Role, SamplingParams

DEFAULT_LABEL = "production"
"""What a request means that names neither a version nor a label."""


class VariableType(StrEnum):
    """What a variable's value must be."""

    STRING = "string"
    INTEGER = "integer"
    NUMBER = "number"
    BOOLEAN = "boolean"
    ENUM = "enum"
    """One of the variable's ``values``."""
    JSON = "json"
    IMAGE_URL = "image_url"
    """An http(s) address; the image itself stands in the message."""


class Variable(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A place that a request fills. ``max_length``: characters of what is written there, 0 for the most there may be.

    Without a ``default`` (None: it has none) and not ``required`` it may be left empty.
    """

    name: str
    type: VariableType = VariableType.STRING
    required: bool = True
    default: str | int | float | bool | list[object] | dict[str, object] | None = None
    description: str = ""
    max_length: int = 0
    values: tuple[str, ...] = ()


class Turn(msgspec.Struct, frozen=True, kw_only=True):
    """A message of a template: a system's, a user's or an assistant's text, in which ``{{name}}`` is a variable's place."""

    role: Role
    text: str


class Template(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a version says. ``model`` and ``sampling`` hold where a request says nothing."""

    turns: tuple[Turn, ...]
    variables: tuple[Variable, ...] = ()
    model: str = ""
    sampling: SamplingParams = SamplingParams()


class PromptReference(msgspec.Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """How a request names a prompt: by its ``version``, or by a label where that is 0; and what it has for the variables.

    ``is_found``: the tenant has this version. Before that the name is any text of the caller's, and told to nobody.
    """

    name: str
    version: int = 0
    label: str = ""
    variables: dict[str, object] = {}
    is_found: bool = False

    @property
    def shown(self) -> str:
        """The version, as headers, traces and tags tell it: ``greeting@7``."""
        return f"{self.name}@{self.version}"
