"""Has a rule look at a text within its time, and does as its setting says where it cannot."""

from __future__ import annotations

import asyncio
import hashlib
import secrets
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

import structlog

from penstock_gateway.domain.guardrails.pipeline.refusing import too_long, unavailable
from penstock_gateway.domain.guardrails.pipeline.rule import Found, Offline, OnFailure, Rule, Runs, Surface
from penstock_gateway.domain.guardrails.pipeline.told import Tally

# Longer texts are looked at beside the event loop, whoever looks; those of answers are looked at in parts (``lane``).
MOST_INLINE = 20_000
# Longer ones have threads of their own: what is late goes on, and short texts are not to wait for it.
MOST_SHORT = 65_536
MOST_LOOKED = 4_000_000
_PROCESS = secrets.token_bytes(32)
_log = structlog.get_logger(__name__)


class Beside(Protocol):
    """Does work beside the event loop."""

    def run(self, work: Callable[[], Sequence[Found]], *, is_long: bool = False) -> Awaitable[Sequence[Found]]:
        """Return what the work returns; what ``is_long`` never keeps other work from its turn.

        Raises:
            TooMuchWaits: if too much waits already.
        """
        ...


class TooMuchWaits(Exception):
    """No thread is free, and as many looks wait as may."""


class TooLong(Exception):
    """No rule looks at so much."""


class Memo:
    """What rules have found in texts: a conversation is sent again with each turn. Texts themselves are not kept.

    ``most`` looks, and ``most_found`` findings of all of them together (about 150 bytes each); a look with more than a
    sixteenth of these is not kept.
    """

    def __init__(self, most: int = 16_384, most_found: int = 65_536) -> None:
        self._most, self._most_found = most, most_found
        self._found: dict[bytes, Sequence[Found]] = {}
        self._findings = 0

    @property
    def findings(self) -> int:
        """How many findings are kept."""
        return self._findings

    def key_of(self, rule: Rule, text: str, surface: Surface) -> bytes:
        """Return what stands for a look; it changes with the rule's version."""
        said = f"{rule.name}\0{rule.version}\0{surface}\0{text}"
        return hashlib.blake2b(said.encode(errors="surrogatepass"), digest_size=16, key=_PROCESS).digest()

    def get(self, key: bytes) -> Sequence[Found] | None:
        """Return what was found; None where nobody has looked."""
        return self._found.get(key)

    def keep(self, key: bytes, found: Sequence[Found]) -> None:
        """Keep what was found; what was kept first goes first."""
        if len(found) * 16 > self._most_found:
            return
        self._findings += len(found) - len(self._found.pop(key, ()))
        self._found[key] = found
        while len(self._found) > self._most or self._findings > self._most_found:
            self._findings -= len(self._found.pop(next(iter(self._found))))


class Judge:
    """Has rules look; ``tally`` hears of it. None looks at a text of more than ``most`` characters."""

    def __init__(self, beside: Beside, tally: Tally, memo: Memo, most: int = MOST_LOOKED) -> None:
        self._beside, self._tally, self._memo, self._most = beside, tally, memo, most
        self._unseen = 0

    async def found(self, rule: Rule, text: str, surface: Surface) -> Sequence[Found]:
        """Return what a rule finds in a text; nothing where it failed and may.

        Raises:
            GuardrailUnavailable: if it failed, or was late, and must not.
            GuardrailRefused: if the text is too long for it, and it must look.
        """
        began = time.perf_counter()
        try:
            found = await self._remembered(rule, text, surface)
        except Exception as error:  # noqa: BLE001 - whatever a rule fails by, its setting says what follows
            self._failed(rule, surface, error, time.perf_counter() - began)
            return ()
        self._tally.note(rule, surface, found, time.perf_counter() - began)
        return found

    def found_now(self, rule: Rule, text: str, surface: Surface) -> Sequence[Found]:
        """Return the same of a rule that looks inline, without counting what it finds.

        Raises:
            GuardrailUnavailable: as above.
        """
        try:
            return rule.look.found(text, surface)
        except Exception as error:  # noqa: BLE001 - as above
            self._failed(rule, surface, error, 0.0)
            return ()

    async def found_quietly(self, rule: Rule, text: str, surface: Surface) -> Sequence[Found]:
        """Return what ``found`` does, without counting what it finds."""
        began = time.perf_counter()
        try:
            return await self._look(rule, text, surface)
        except Exception as error:  # noqa: BLE001 - as above
            self._failed(rule, surface, error, time.perf_counter() - began)
            return ()

    async def found_again(self, rule: Rule, text: str, surface: Surface) -> Sequence[Found]:
        """Return what ``found`` does, of what was looked at in another way before, without counting what it finds."""
        try:
            return await self._remembered(rule, text, surface)
        except Exception as error:  # noqa: BLE001 - as above
            self._failed(rule, surface, error, 0.0)
            return ()

    async def _remembered(self, rule: Rule, text: str, surface: Surface) -> Sequence[Found]:
        key = self._memo.key_of(rule, text, surface)
        found = self._memo.get(key)
        if found is None:
            found = await self._look(rule, text, surface)
            self._memo.keep(key, found)
        return found

    async def _look(self, rule: Rule, text: str, surface: Surface) -> Sequence[Found]:
        look = rule.look
        if len(text) > self._most:
            raise TooLong
        if look.runs is Runs.REMOTE:
            async with asyncio.timeout(rule.timeout):
                return await look.find(text, surface)
        if look.runs is Runs.INLINE and len(text) <= MOST_INLINE:
            self._unseen += len(text)
            if self._unseen > MOST_INLINE:
                # Others have their turn.
                self._unseen = 0
                await asyncio.sleep(0)
            return look.found(text, surface)
        async with asyncio.timeout(rule.timeout):
            return await self._beside.run(lambda: look.found(text, surface), is_long=len(text) > MOST_SHORT)

    def _failed(self, rule: Rule, surface: Surface, error: Exception, seconds: float) -> None:
        why = type(error).__name__
        self._tally.note_failure(rule, surface, why, seconds)
        if not isinstance(error, Offline):
            # Its message may say what it was looking at.
            _log.warning("guardrail_failed", rule=rule.name, surface=surface.value, reason=why)
        if rule.on_failure is OnFailure.CLOSED and rule.enforces:
            raise too_long(rule, self._most) if isinstance(error, TooLong) else unavailable(rule)
