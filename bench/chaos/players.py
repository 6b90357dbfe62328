"""Upstreams that play a part to each request by what it asks, and keep account of what they played to whom."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from penstock_faults.http.server import ScriptedUpstream
from penstock_faults.playback import Playback
from penstock_faults.record import Seen
from penstock_faults.reply import prefix_of
from penstock_faults.script import Script, Step

_SERIAL = re.compile(r"^Question (\d+)\.")
PROBE = -1
"""The serial of what no caller asked."""


@dataclass
class Part:
    """What one request met: ``serial`` is the caller's question, ``prefix`` what it was to go on from."""

    serial: int
    upstream: str
    script: Script
    seen: Seen
    prefix: str = ""
    at: float = field(default_factory=time.monotonic)
    """When it came, on the machine's clock, which all upstreams of a stage share."""

    @property
    def step(self) -> Step:
        """What was done."""
        return self.script.steps[0]


Direct = Callable[[str, int, Seen], Script]
"""Says what the request of an upstream's n-th asking of a question meets: a script of one step."""


@dataclass
class Account:
    """All parts that were played, by serial, in order."""

    parts: dict[int, list[Part]] = field(default_factory=dict[int, list[Part]])

    def of(self, serial: int) -> list[Part]:
        """Return the parts of a question."""
        return self.parts.get(serial, [])

    def add(self, part: Part) -> None:
        """Note one."""
        self.parts.setdefault(part.serial, []).append(part)


def question_text(serial: int) -> str:
    """Return what callers ask, from which an upstream knows them."""
    return f"Question {serial}. What follows?"


def serial_of(seen: Seen) -> int:
    """Return which question a request is about."""
    messages = seen.body.get("messages") or [{}]
    content = messages[0].get("content")
    if isinstance(content, list):
        content = "".join(str(part.get("text", "")) for part in content)
    found = _SERIAL.match(str(content))
    return int(found[1]) if found else PROBE


class Player(ScriptedUpstream):
    """An upstream by name, directed anew at each request."""

    def __init__(self, name: str, direct: Direct, account: Account) -> None:
        super().__init__(Script())
        self.name = name
        self._direct = direct
        self._account = account

    def playback_of(self, seen: Seen) -> Playback:
        """Return the part of a request, and note it."""
        serial = serial_of(seen)
        asked = sum(part.upstream == self.name for part in self._account.of(serial)) if serial != PROBE else 0
        script = self._direct(self.name, asked, seen)
        prefix = "" if serial == PROBE else prefix_of(seen.body.get("messages"))
        self._account.add(Part(serial, self.name, script, seen, prefix))
        return Playback(script)
