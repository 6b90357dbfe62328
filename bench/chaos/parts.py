"""The parts of the scenario in which everything fails: which one an attempt meets, decided by the seed alone."""

from __future__ import annotations

import random

import msgspec

from chaos.players import PROBE, serial_of
from penstock_faults.named import SCRIPTS
from penstock_faults.record import Seen
from penstock_faults.script import Answer, Pace, Prefill, Script, Step
from penstock_faults.table import ROWS

WELL = "good"
FAULTS = tuple(sorted({row.first.name for row in ROWS}))
"""Every fault of the table, but for the outage, which is a scenario of its own."""
# In the share that they have among attempts; what holds an upstream back for all, or costs the machine, is rarer.
_RARE = {"429": 0.2, "401": 0.1, "403": 0.1, "long-line": 0.1, "endless": 0.1, "gzip-bomb": 0.1}
_MOST_BODY_BYTES = 64 * 1024 * 1024
"""No client takes so much; to compress a gigabyte holds all upstreams up, which are one process here."""
_FAULT_RATIO = 0.25
_PROBE_FAULT_RATIO = 0.1
_OTHERWISE_RATIO = 0.1
"""Questions to which each upstream says something else."""
_PREFILLS: tuple[Prefill, ...] = ("continues", "refuses", "ignores")
_WORDS = [
    "pipe",
    "water",
    "turbine",
    "gate",
    "head",
    "shaft",
    "日本",
    "wörld",
    "👋🏽",
    "spill",
    "vane,",
    "weir.",
    "flow",
]


class Cast:
    """Deals the parts; the same question at the same upstream for the n-th time meets the same, whenever it comes."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._weights = [_RARE.get(name.partition("-")[0], _RARE.get(name, 1.0)) for name in FAULTS]
        self._probes = 0

    def answer_to(self, serial: int, upstream: str) -> str:
        """Return the text that an upstream answers a question with."""
        return "".join(self._tokens(serial, upstream))

    def differs(self, serial: int) -> bool:
        """Whether each upstream says something else."""
        return self._chance("differs", serial).random() < _OTHERWISE_RATIO

    def direct(self, upstream: str, asked: int, seen: Seen) -> Script:
        """Return what an attempt meets."""
        serial = serial_of(seen)
        if serial == PROBE:
            self._probes += 1
            is_well = self._chance("probe", upstream, self._probes).random() >= _PROBE_FAULT_RATIO
            return Script(name="probe", steps=(Step() if is_well else SCRIPTS["503"].steps[0],))
        chance = self._chance(serial, upstream, asked)
        name = WELL
        if chance.random() < _FAULT_RATIO:
            (name,) = chance.choices(FAULTS, self._weights)
        step = _lasting(SCRIPTS[name])
        if step.answer.tokens:
            tokens = self._tokens(serial, upstream)
            step = msgspec.structs.replace(step, answer=msgspec.structs.replace(step.answer, tokens=tokens))
        if name == WELL:
            step = msgspec.structs.replace(step, pace=Pace(token_seconds=chance.choice((0, 0, 0.002))))
        return Script(name=name, steps=(step,), prefill=self._prefill(serial, upstream))

    def _prefill(self, serial: int, upstream: str) -> Prefill:
        if self.differs(serial):
            # From what another has begun it would go on to what nobody has written, and nobody could tell.
            return "refuses"
        return self._chance("prefill", serial, upstream).choice(_PREFILLS)

    def _tokens(self, serial: int, upstream: str) -> tuple[str, ...]:
        chance = self._chance("tokens", serial)
        words = chance.choices(_WORDS, k=chance.randint(6, 16))
        own = f"by {upstream} " if self.differs(serial) else ""
        return (f"Answer {serial} {own}", *(f"{word} " for word in words))

    def _chance(self, *about: object) -> random.Random:
        return random.Random(f"{self._seed}/{'/'.join(map(str, about))}")


def _lasting(script: Script) -> Step:
    step = script.steps[0] if script.steps else Step(answer=Answer())
    if step.body is not None and step.body.gzip:
        step = msgspec.structs.replace(step, body=msgspec.structs.replace(step.body, fill_bytes=_MOST_BODY_BYTES))
    return msgspec.structs.replace(step, times=None, seconds=None)
