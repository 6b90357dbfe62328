"""The words of the header ``x-penstock-cache`` in a request."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from penstock_common.errors import InvalidRequest
from penstock_gateway.domain.life.order import MAX_CACHE_AGE, MAX_CACHE_TAG_BYTES, MAX_CACHE_TAGS, CacheControl

_SECONDS = re.compile(r"[0-9]+")
_MOST_CACHE_SECONDS = MAX_CACHE_AGE // timedelta(seconds=1)
_CACHE_SWITCHES = {
    name: name.replace("-", "_") for name in ("no-store", "no-cache", "only-if-cached", "exact", "private")
}
_CACHE_TIMES = {"max-age": "max_age", "ttl": "ttl"}
_MOST_SHOWN = 64


def cache_control_in(headers: Mapping[str, str]) -> CacheControl:
    """Return what ``x-penstock-cache`` says.

    Raises:
        InvalidRequest: for a word that means nothing here, or an age out of bounds.
    """
    text = headers.get("x-penstock-cache")
    if text is None:
        return CacheControl()
    said: dict[str, Any] = {}
    tags: list[str] = []
    for word in filter(None, map(str.strip, text.split(","))):
        name, is_valued, value = word.partition("=")
        name = name.lower()
        if name in _CACHE_SWITCHES and not is_valued:
            said[_CACHE_SWITCHES[name]] = True
        elif name in _CACHE_TIMES and _SECONDS.fullmatch(value):
            said[_CACHE_TIMES[name]] = _cache_seconds(name, value)
        elif name == "tag" and value:
            tags.append(value)
        else:
            raise InvalidRequest(
                f"x-penstock-cache: '{word[:_MOST_SHOWN]}' is not one of no-store, no-cache, only-if-cached, exact, "
                "private, max-age=SECONDS, ttl=SECONDS, tag=NAME.",
                field="x-penstock-cache",
            )
    return CacheControl(**said, tags=checked_tags(tags, "x-penstock-cache"))


def checked_tags(tags: Sequence[str], field: str) -> tuple[str, ...]:
    """Return the tags of what is to be kept, each once.

    Raises:
        InvalidRequest: if they are too many, or one is too long.
    """
    kept = tuple(dict.fromkeys(tags))
    if len(kept) > MAX_CACHE_TAGS or any(not tag or len(tag.encode()) > MAX_CACHE_TAG_BYTES for tag in kept):
        raise InvalidRequest(
            f"{field}: at most {MAX_CACHE_TAGS} tags are kept, of 1 to {MAX_CACHE_TAG_BYTES} bytes each.", field=field
        )
    return kept


def _cache_seconds(name: str, seconds: str) -> timedelta:
    # Digits are counted first: of too many no number may be made.
    seconds = seconds.lstrip("0") or "0"
    if len(seconds) > len(str(_MOST_CACHE_SECONDS)) or int(seconds) > _MOST_CACHE_SECONDS:
        raise InvalidRequest(
            f"x-penstock-cache: {name} must be between 0 and {_MOST_CACHE_SECONDS} seconds.", field="x-penstock-cache"
        )
    return timedelta(seconds=int(seconds))
