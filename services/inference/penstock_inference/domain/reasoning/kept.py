"""Reasoning that callers cannot carry, kept until their tools have answered: per tenant, bounded, and for a while.

OpenAI's format has no place for a signature, and most loops send back the calls and their ids alone. So what came with
an answer that asks for calls is found again by those ids, and by the turn before them, as some servers count their calls
from one in every answer. What is used lives on, so that all of one conversation is there, or none.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from hashlib import blake2b
from typing import Protocol

import msgspec

from penstock_common.llm.types import Message
from penstock_common.rpc.scope import CURRENT_SCOPE
from penstock_inference.domain.reasoning.turns import DIGEST_BYTES, KeptTurn, told_of

_MOST_REFUSED = 20_000
_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(KeptTurn)


class KeepingRules(msgspec.Struct, frozen=True):
    """For how long, and how much of it in this process; 0 entries keep nothing."""

    seconds: float = 3600.0
    entries: int = 20_000
    most_bytes: int = 64 * 1024 * 1024
    most_bytes_of_one: int = 2 * 1024 * 1024
    """A turn that is larger is not kept."""


class SharedTurns(Protocol):
    """What several processes keep together; does without where nobody answers, and never raises."""

    async def read(self, tenant: str, keys: Sequence[str], seconds: float) -> Sequence[bytes | None]:
        """Return what is kept under each key, which lives for so long from now on."""
        ...

    def write(self, tenant: str, key: str, content: bytes, seconds: float) -> None:
        """Keep it, and return at once."""
        ...


class KeptReasoning:
    """What this process keeps, and what it shares; one object, which outlives a change of the configuration."""

    def __init__(
        self,
        rules: KeepingRules | None = None,
        shared: SharedTurns | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.rules = rules or KeepingRules()
        self.shared = shared
        self._clock = clock
        # In the order of their last use, with when each is over.
        self._turns: OrderedDict[str, tuple[float, bytes]] = OrderedDict()
        self._bytes = 0
        # By tenant, too: what stands beside calls may be the same for many.
        self._refused: OrderedDict[tuple[str, bytes], None] = OrderedDict()

    @property
    def entries(self) -> int:
        """How many turns are kept here."""
        return len(self._turns)

    @property
    def kept_bytes(self) -> int:
        """How many bytes they have."""
        return self._bytes

    def keep(self, asked: Sequence[Message], answer: Message, kept: KeptTurn, *, is_shared: bool) -> None:
        """Keep what an answer to such a conversation, as the caller wrote it, had beside its calls."""
        tenant = CURRENT_SCOPE.get().tenant
        key, content = key_of(tenant, asked[-1], answer), _ENCODER.encode(kept)
        if len(content) > self.rules.most_bytes_of_one or self.rules.entries <= 0:
            return
        self._put(key, content)
        if is_shared and self.shared is not None:
            self.shared.write(tenant, key, content, self.rules.seconds)

    async def find(self, messages: Sequence[Message], places: Iterable[int], *, is_shared: bool) -> dict[int, KeptTurn]:
        """Return what is kept of the turns at these places of a conversation, as far as anything is."""
        tenant = CURRENT_SCOPE.get().tenant
        keys = {place: key_of(tenant, messages[place - 1], messages[place]) for place in places if place}
        found = {place: self._get(key) for place, key in keys.items()}
        missing = [place for place, content in found.items() if content is None]
        if missing and is_shared and self.shared is not None:
            elsewhere = await self.shared.read(tenant, [keys[place] for place in missing], self.rules.seconds)
            for place, content in zip(missing, elsewhere, strict=True):
                found[place] = content
                if content is not None:
                    self._put(keys[place], content)
        return {place: turn for place, content in found.items() if content and (turn := _turn_in(content)) is not None}

    def refused(self, signs: Iterable[bytes]) -> None:
        """Note what a candidate does not read although it should: it is not sent again for this tenant."""
        tenant = CURRENT_SCOPE.get().tenant
        for sign in signs:
            self._refused[tenant, sign] = None
        while len(self._refused) > _MOST_REFUSED:
            self._refused.popitem(last=False)

    def is_refused(self, sign: bytes) -> bool:
        """Return whether that was noted."""
        return (CURRENT_SCOPE.get().tenant, sign) in self._refused

    @property
    def has_refused(self) -> bool:
        """Whether anything was ever noted."""
        return bool(self._refused)

    def _get(self, key: str) -> bytes | None:
        known = self._turns.pop(key, None)
        if known is None:
            return None
        over_at, content = known
        now = self._clock()
        if over_at <= now:
            self._bytes -= len(content)
            return None
        self._turns[key] = now + self.rules.seconds, content
        return content

    def _put(self, key: str, content: bytes) -> None:
        before = self._turns.pop(key, None)
        if before is not None:
            self._bytes -= len(before[1])
        now = self._clock()
        self._turns[key] = now + self.rules.seconds, content
        self._bytes += len(content)
        while self._turns and self._is_too_much(now):
            _, (_, oldest) = self._turns.popitem(last=False)
            self._bytes -= len(oldest)

    def _is_too_much(self, now: float) -> bool:
        rules = self.rules
        oldest_over_at, _ = next(iter(self._turns.values()))
        return len(self._turns) > rules.entries or self._bytes > rules.most_bytes or oldest_over_at <= now


def key_of(tenant: str, before: Message, answer: Message) -> str:
    """Return what a tenant's turn is found by: its calls' ids, and the turn before it."""
    digest = blake2b(tenant.encode(), digest_size=DIGEST_BYTES)
    digest.update(b"\0" + told_of(before))
    digest.update(_ENCODER.encode([(call.id, call.name) for call in answer.tool_calls]))
    return digest.hexdigest()


def _turn_in(content: bytes) -> KeptTurn | None:
    try:
        return _DECODER.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError):
        # A later version's.
        return None
