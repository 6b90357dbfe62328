"""What is asked of the ledger: which rows, and by what their sums are told apart."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from penstock_common.errors import InvalidRequest
from penstock_gateway.domain.life.validation import MAX_TAG_KEY_LENGTH
from penstock_gateway.domain.usage.calendar import Step

MAX_GROUPS = 6
TAG = "tag:"
CHAT, EMBEDDINGS = "chat", "embeddings"
"""The operations."""
JOB, REQUEST = "job", "request"
"""What a row was run as."""
_QUOTES = frozenset('"\\')
_STEPS = {step.value: step for step in Step}


class Dimension(StrEnum):
    """What a line of a report may be about. Every row has one value of each; an empty one is a group, too."""

    TENANT = "tenant"
    TEAM = "team"
    USER = "user"
    """The owner of the key, or the subject of the token."""
    END_USER = "end_user"
    """Whom the request's body names."""
    KEY = "key"
    FEATURE = "feature"
    MODEL = "model"
    """The upstream's own name of the model that answered."""
    REQUESTED_MODEL = "requested_model"
    """The public model that was asked for."""
    UPSTREAM = "upstream"
    SURFACE = "surface"
    PROMPT = "prompt"
    PROMPT_VERSION = "prompt_version"
    EXPERIMENT = "experiment"
    VARIANT = "variant"
    TASK = "task"
    OPERATION = "operation"
    """chat or embeddings."""
    OUTCOME = "outcome"
    CACHE = "cache"
    SOURCE = "usage_source"
    """Who counted the tokens."""
    RUN_AS = "run_as"
    """job, of what a worker has run and of what was sent under an Idempotency-Key; else request."""


_DIMENSIONS = frozenset(dimension.value for dimension in Dimension)


@dataclass(frozen=True, slots=True)
class Group:
    """A dimension, or the value that a tag has; ``tag`` is empty for a dimension."""

    name: str
    tag: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Which rows count: those that fit all that is set. ``tenant`` None means every tenant.

    ``where`` holds the values that a dimension may have, of which an empty text means those that have none.
    """

    tenant: str | None = None
    where: Mapping[Dimension, tuple[str, ...]] = field(default_factory=dict[Dimension, "tuple[str, ...]"])
    tags: Mapping[str, str] = field(default_factory=dict[str, str])
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """A report: lines for each group, and for each turn of a calendar where there is a ``step``."""

    filter: Filter
    by: tuple[Group, ...] = ()
    step: Step | None = None
    zone: str = "UTC"


def groups_of(words: Iterable[str], field_name: str = "by") -> tuple[tuple[Group, ...], Step | None]:
    """Return the groups and the step of a calendar that words name, each once.

    Raises:
        InvalidRequest: if one is none that is known, there are too many, or more than one step.
    """
    groups: list[Group] = []
    steps: list[Step] = []
    for word in dict.fromkeys(words):
        if word in _STEPS:
            steps.append(_STEPS[word])
        else:
            groups.append(_group(word, field_name))
    if len(groups) > MAX_GROUPS:
        raise InvalidRequest(f"{field_name} may name at most {MAX_GROUPS} groups.", field=field_name)
    if len(steps) > 1:
        both = " and ".join(steps)
        raise InvalidRequest(f"{field_name} may name one step of the calendar, not {both}.", field=field_name)
    return tuple(groups), steps[0] if steps else None


def _group(word: str, field_name: str) -> Group:
    if word.startswith(TAG):
        return Group(word, tag_key(word.removeprefix(TAG), field_name))
    if word not in _DIMENSIONS:
        known = ", ".join((*Dimension, "tag:KEY", *Step))
        raise InvalidRequest(f"{field_name}: there is no '{word[:64]}'; there are {known}.", field=field_name)
    return Group(word)


def tag_key(key: str, field_name: str) -> str:
    """Return the key if rows can be found by it.

    Raises:
        InvalidRequest: if no tag has such a key.
    """
    if not 0 < len(key) <= MAX_TAG_KEY_LENGTH or not key.isprintable() or not _QUOTES.isdisjoint(key):
        raise InvalidRequest(
            f"{field_name}: a tag's key has 1 to {MAX_TAG_KEY_LENGTH} characters, no quotes among them.",
            field=field_name,
        )
    return key
