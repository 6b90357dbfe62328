"""The bounds of what administration takes; those of the contract's comments."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence
from datetime import timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from penstock_common.contract.cache import MAX_MEANING_CHARACTERS
from penstock_common.contract.inference import MAX_EJECTION
from penstock_common.errors import InvalidRequest, ModelNotFound
from penstock_gateway.domain.access.networks import Network, read_network
from penstock_gateway.domain.life.order import MAX_CACHE_TAG_BYTES, MAX_CACHE_TAGS
from penstock_gateway.domain.life.validation import MAX_USER_LENGTH

MAX_MODELS = 256
MAX_REGIONS = 64
MAX_NETWORKS = 64
MAX_LABELS = 64
"""Of one key, or one document."""
MAX_CONTENT_CHARACTERS = 262_144
"""Of an imported answer, or the system prompt of the requests that it answers."""
MAX_SUBJECT_LENGTH = 256
"""Of what tokens name somebody by, and of an issuer."""
MAX_LIFETIME = timedelta(days=3653)
MAX_OVERLAP = timedelta(days=90)
DEFAULT_OVERLAP = timedelta(days=1)

_MAX_NAME_LENGTH = 128
_MAX_USER_NAME_LENGTH = 256
_MAX_LABEL_LENGTH = 128
_MAX_TIME_ZONE_LENGTH = 64
_MAX_REASON_LENGTH = 256
_TENANT_NAME = re.compile(r"[A-Za-z0-9._-]{1,128}")
LABEL = r"[A-Za-z0-9][A-Za-z0-9._:-]{0,63}"
"""What an access label is made of."""
_LABEL = re.compile(LABEL)
_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")


def tenant_name(name: str, field: str = "name") -> str:
    """Return the name if it may be a tenant's."""
    if not may_be_tenant(name):
        raise InvalidRequest(f"{field} must have 1 to 128 characters of A-Z a-z 0-9 . _ -", field=field)
    return name


def team_name(name: str, field: str) -> str:
    """Return the name if it may be a team's."""
    return tenant_name(name, field)


def time_zone(name: str) -> str:
    """Return the IANA name of a time zone; UTC where none is named."""
    if len(name) > _MAX_TIME_ZONE_LENGTH or (name and not is_time_zone(name)):
        raise InvalidRequest(f"There is no time zone '{name[:64]}': an IANA name is expected.", field="time_zone")
    return name or "UTC"


def is_time_zone(name: str) -> bool:
    """Return whether there is a time zone of this IANA name."""
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True


def named_tenant(name: str) -> str:
    """Return the name of a tenant that a request means, empty where it means none."""
    return tenant_name(name, "tenant") if name else name


def required_tenant(name: str) -> str:
    """Return the name of the tenant that a request must mean."""
    if not name:
        raise InvalidRequest("tenant must be named: an operator's key has none of its own.", field="tenant")
    return tenant_name(name, "tenant")


def may_be_tenant(name: str) -> bool:
    """Return whether there may be a tenant of this name; others are not looked for."""
    return _TENANT_NAME.fullmatch(name) is not None


def may_be_id(text: str) -> bool:
    """Return whether there may be a key or user of this id; others are not looked for."""
    return _ID.fullmatch(text) is not None


def user_name(name: str) -> str:
    """Return the name if it may be a user's."""
    return _text("name", name, 1, _MAX_USER_NAME_LENGTH)


def subject(text: str) -> str:
    """Return the text if tokens may name somebody by it."""
    return _text("subject", text, 1, MAX_SUBJECT_LENGTH)


def issuer(text: str) -> str:
    """Return the text if it may be an issuer's, empty where every one is meant."""
    if "|" in text:
        raise InvalidRequest("issuer must be a URL.", field="issuer")
    return _text("issuer", text, 0, MAX_SUBJECT_LENGTH)


def label(text: str) -> str:
    """Return the label if it may be a key's."""
    return _text("label", text, 0, _MAX_LABEL_LENGTH)


_PASSES = "passthrough:"


def models(names: Iterable[str]) -> frozenset[str]:
    """Return the names of models, each once."""
    found = frozenset(names)
    _at_most("models", len(found), MAX_MODELS)
    return frozenset(_text("models", name, 1, _MAX_NAME_LENGTH) for name in found)


def model(name: str) -> str:
    """Return the name if it may be a model's, empty where none is named."""
    return _text("model", name, 0, _MAX_NAME_LENGTH)


def known_models(names: Iterable[str], known: frozenset[str], *, may_see_all: bool) -> frozenset[str]:
    """Return the names of models that there are; ``known`` empty means that nobody knows.

    Raises:
        ModelNotFound: if there is none of a name; who sees all is told the nearest.
    """
    found = models(names)
    # Which upstreams are open to what passes as it is, inference alone knows.
    named = {name for name in found if not name.startswith(_PASSES)}
    missing = min(named - known, default="") if known else ""
    if missing:
        near = difflib.get_close_matches(missing, known, n=1) if may_see_all else []
        hint = f" Did you mean '{near[0]}'?" if near else ""
        raise ModelNotFound(f"There is no model '{missing[:64]}'.{hint}", model=missing)
    return found


def regions(names: Iterable[str]) -> tuple[str, ...]:
    """Return the regions in order, each once."""
    found = tuple(dict.fromkeys(names))
    _at_most("regions", len(found), MAX_REGIONS)
    return tuple(_text("regions", name, 1, _MAX_NAME_LENGTH) for name in found)


def networks(texts: Sequence[str]) -> tuple[Network, ...]:
    """Return the networks in order, each once."""
    _at_most("allowed_networks", len(texts), MAX_NETWORKS)
    found = (read_network(text, f"allowed_networks[{index}]") for index, text in enumerate(texts))
    return tuple(dict.fromkeys(found))


def labels(texts: Iterable[str]) -> frozenset[str]:
    """Return the access labels, each once."""
    found = frozenset(texts)
    _at_most("labels", len(found), MAX_LABELS)
    for text in found:
        if not _LABEL.fullmatch(text):
            raise InvalidRequest(
                f"labels: '{text[:64]}' must have 1 to 64 characters of A-Z a-z 0-9 . _ : -, the first a letter or digit.",
                field="labels",
            )
    return found


def lifetime(value: timedelta | None) -> timedelta | None:
    """Return how long a key is accepted."""
    if value is not None and not timedelta() < value <= MAX_LIFETIME:
        raise InvalidRequest("lifetime must be longer than 0 and at most ten years.", field="lifetime")
    return value


def overlap(value: timedelta | None) -> timedelta:
    """Return how long a rotated key stays valid."""
    if value is None:
        return DEFAULT_OVERLAP
    if not timedelta() <= value <= MAX_OVERLAP:
        raise InvalidRequest(f"overlap must be between 0 and {MAX_OVERLAP.days} days.", field="overlap")
    return value


def ejection(value: timedelta | None) -> timedelta | None:
    """Return how long an upstream is left out."""
    if value is not None and not timedelta() < value <= MAX_EJECTION:
        raise InvalidRequest(f"duration must be longer than 0 and at most {MAX_EJECTION.days} days.", field="duration")
    return value


def reason(text: str) -> str:
    """Return the reason if people can read it."""
    return _text("reason", text, 0, _MAX_REASON_LENGTH)


def note(text: str) -> str:
    """Return the note if people can read it."""
    return _text("note", text, 0, _MAX_REASON_LENGTH)


def question(text: str, field: str) -> str:
    """Return the text if it may be matched by meaning."""
    return _content(field, text, 1, MAX_MEANING_CHARACTERS)


def answer(text: str) -> str:
    """Return the text if it may be imported as an answer."""
    return _content("answer", text, 1, MAX_CONTENT_CHARACTERS)


def system_prompt(text: str) -> str:
    """Return the text if it may be the system prompt of an imported answer."""
    return _content("system", text, 0, MAX_CONTENT_CHARACTERS)


def tag(text: str) -> str:
    """Return the tag if a cache entry may have it, empty where none is named."""
    if len(text.encode(errors="replace")) > MAX_CACHE_TAG_BYTES:
        raise InvalidRequest(f"tag must have at most {MAX_CACHE_TAG_BYTES} bytes.", field="tag")
    return _text("tag", text, 0, MAX_CACHE_TAG_BYTES)


def tags(found: Sequence[str]) -> None:
    """Check what is to be the tags of a cache entry."""
    _at_most("tags", len(found), MAX_CACHE_TAGS)
    for text in found:
        if not tag(text):
            raise InvalidRequest("tags must not be empty.", field="tags")


def end_user(text: str) -> str:
    """Return for whom callers may speak, empty where nobody is named."""
    return _text("user", text, 0, MAX_USER_LENGTH)


def readable(field: str, value: str, least: int, most: int) -> str:
    """Return the value of a field if it has so many characters, and people can read them."""
    return _text(field, value, least, most)


def _content(field: str, value: str, least: int, most: int) -> str:
    if not least <= len(value) <= most or (least and not value.strip()):
        raise InvalidRequest(f"{field} must have {least} to {most} characters, not {len(value.strip())}.", field=field)
    return value


def _text(field: str, value: str, least: int, most: int) -> str:
    if not least <= len(value) <= most:
        raise InvalidRequest(f"{field} must have {least} to {most} characters, not {len(value)}.", field=field)
    if _CONTROL.search(value):
        raise InvalidRequest(f"{field} must not hold control characters.", field=field)
    return value


def _at_most(field: str, count: int, most: int) -> None:
    if count > most:
        raise InvalidRequest(f"{field} may hold at most {most} entries, not {count}.", field=field)
