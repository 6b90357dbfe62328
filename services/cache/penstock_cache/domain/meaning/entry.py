"""An entry that is matched by meaning: what the store sees of it, and what its tenant's key alone opens."""

from __future__ import annotations

import binascii
import uuid
from typing import Any, NamedTuple

import msgspec

from penstock_cache.domain.meaning.evidence import Evidence
from penstock_cache.domain.secrecy import TenantSecrets, Unreadable
from penstock_common.contract.cache import Origin, Scope
from penstock_common.llm.types import Finished, GenerationEvent, TextDelta, Usage
from penstock_common.points.store import Payload

SCHEMA = 1
KEYWORDS = ("group", "root", "model", "user", "tags")
NUMBERS = ("fresh_until", "kept_until")
_KIND = "meaning"
_HALF_VALUE_SECONDS = 6 * 3600.0
_BASE_NANO_USD = 100_000


class Body(msgspec.Struct, frozen=True, array_like=True):
    """What is sealed; an alias has no events: its answer is its root's."""

    tenant: str
    model: str
    question: str
    events: tuple[GenerationEvent, ...]
    tags: tuple[str, ...]
    user: str


class Card(msgspec.Struct, frozen=True, kw_only=True):
    """What the store sees: keyed hashes, numbers, and the sealed body.

    ``root`` is the entry whose answer it has, itself unless it is an alias.
    ``is_private`` and ``is_confirmed`` are 0 or 1, as no store takes a truth value.
    ``fresh_until`` is 0 for what was found wrong: it is kept for its evidence, and never served.
    """

    root: str
    group: str
    model: str
    user: str
    tags: tuple[str, ...]
    origin: str
    is_private: int
    is_confirmed: int
    created_at: float
    fresh_until: float
    kept_until: float
    hits: int = 0
    tokens: int = 0
    nano_usd: int = 0
    evidence: str = ""
    body: str = ""

    def payload(self) -> Payload:
        """Return it as what the store takes."""
        return msgspec.structs.asdict(self)


class MeaningEntry(NamedTuple):
    """An entry with its content."""

    id: str
    card: Card
    body: Body

    @property
    def is_alias(self) -> bool:
        """Whether the answer is another entry's."""
        return self.card.root != self.id

    @property
    def evidence(self) -> Evidence:
        """What its near misses have taught."""
        return Evidence.from_text(self.card.evidence)


class Group(NamedTuple):
    """Entries that may be compared with one another: of one model, fingerprint and audience."""

    digest: str
    is_private: bool


def group_of(keys: TenantSecrets, model: str, fingerprint: bytes, private_to: str | None) -> Group:
    """Return the group of a request; what is private to a user meets nothing else."""
    form = _ENCODER.encode((model, fingerprint, private_to))
    return Group(keys.digest("group", form), private_to is not None)


def entry_id_of(keys: TenantSecrets, group: Group, text: str) -> str:
    """Return the id of a wording: one wording has one entry in a group."""
    form = _ENCODER.encode((group.digest, " ".join(text.split())))
    return str(uuid.UUID(hex=keys.digest("entry", form)[:32]))


def sealed(keys: TenantSecrets, entry_id: str, body: Body) -> str:
    """Return the body as text that the tenant's key alone opens."""
    return binascii.b2a_base64(keys.seal(_KIND, entry_id, _ENCODER.encode(body)), newline=False).decode()


def opened(keys: TenantSecrets, tenant: str, entry_id: str, payload: Payload) -> MeaningEntry:
    """Return what lies in the store.

    Raises:
        Unreadable: if it is another tenant's, of another form, or was changed.
    """
    try:
        card = msgspec.convert(payload, Card)
        body = _DECODER.decode(keys.unseal(_KIND, entry_id, binascii.a2b_base64(card.body)))
        Evidence.from_text(card.evidence)
    except (msgspec.MsgspecError, ValueError) as error:
        raise Unreadable(str(error)) from None
    if body.tenant != tenant:
        raise Unreadable("an entry of another tenant")
    return MeaningEntry(entry_id, card, body)


def answer_text(events: tuple[GenerationEvent, ...]) -> str:
    """Return the text of an answer."""
    return "".join([event.text for event in events if isinstance(event, TextDelta)])


def spent(events: tuple[GenerationEvent, ...]) -> tuple[int, int]:
    """Return the tokens and nano-dollars that an answer took, which each hit saves."""
    tokens = sum(event.input_tokens + event.output_tokens for event in events if isinstance(event, Usage))
    return tokens, sum(event.cost_nano_usd for event in events if isinstance(event, Finished))


def worth(card: Card, now: float) -> float:
    """Return what an entry may be expected to save: by its hits, what each saves, and its age."""
    age_seconds = max(now - card.created_at, 0.0)
    return (card.hits + 1) * (card.nano_usd + _BASE_NANO_USD) / (age_seconds + _HALF_VALUE_SECONDS)


def scope_of(entry: MeaningEntry) -> Scope:
    """Return where an entry belongs."""
    return Scope(entry.body.tenant, entry.body.model)


def origin_of(card: Card) -> Origin:
    """Return where an entry comes from."""
    return Origin(card.origin)


_ENCODER: Any = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(Body)
