"""One chunk of a surface's requests: made by Hypothesis, sent, judged, and where something is wrong, made small."""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from cases import Case, Cases, Door
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.errors import Flaky
from surfaces import sources
from verdict import GONE, Fault, judge
from wire import Sender

# What takes the whole patience is not made smaller.
_SLOW = ("no answer in time", GONE)
_CASES_TOGETHER = 3
_REMEMBERED = 30


@dataclass(frozen=True)
class Chunk:
    """What is to be sent: so many requests of a source, the same for the same seed."""

    source: str
    requests: int
    seed: int


@dataclass(frozen=True)
class Finding:
    """A fault, and the smallest case that shows it."""

    surface: str
    kind: str
    told: str
    door: Door
    sent: bytes
    seed: int


@dataclass
class Tally:
    """What came of requests to one surface."""

    requests: int = 0
    answers: Counter[str] = field(default_factory=Counter)
    wrong: Counter[str] = field(default_factory=Counter)
    """Requests by the kind of their fault."""


@dataclass
class Outcome:
    """What came of a chunk: a tally for each surface, and one finding for each kind of fault."""

    tallies: defaultdict[str, Tally] = field(default_factory=lambda: defaultdict(Tally))
    findings: list[Finding] = field(default_factory=list)

    @property
    def requests(self) -> int:
        """How many were sent."""
        return sum(tally.requests for tally in self.tallies.values())


class _Found(Exception):
    """Hypothesis makes the case smaller for as long as this is raised."""

    def __init__(self, surface: str, fault: Fault, case: Case) -> None:
        super().__init__(fault.kind)
        self.surface = surface
        self.fault = fault
        self.case = case


class _Explorer:
    """Sends a chunk's cases, and stops at what is wrong and was not known."""

    def __init__(self, chunk: Chunk, addresses: Mapping[Door, str], known: Collection[tuple[str, str]]) -> None:
        self.outcome = Outcome()
        self._chunk = chunk
        self._sender = Sender(addresses)
        self._known = set(known)
        self._last: deque[bytes] = deque(maxlen=_REMEMBERED)
        """What was sent last, where nobody is left who could say what was wrong with it."""

    def explore(self, number: int) -> None:
        """Send what is left of the chunk, or as much of it as comes before the first fault that is new."""
        strategy, _ = sources()[self._chunk.source]
        left = self._chunk.requests - self.outcome.requests
        test = settings(
            max_examples=max(1, left // _CASES_TOGETHER),
            database=None,
            deadline=None,
            phases=(Phase.generate, Phase.shrink),
            report_multiple_bugs=False,
            suppress_health_check=list(HealthCheck),
            print_blob=False,
        )(seed(number)(given(strategy)(self._examine)))
        try:
            test()
        except _Found as found:
            self._note(found, number)
        except Flaky as flaky:
            # Wrong once, and not again: what it was is in the exceptions that Hypothesis has kept.
            for each in flaky.exceptions:
                if isinstance(each, _Found):
                    self._note(each, number)

    def _examine(self, cases: Cases) -> None:
        for surface, case in cases:
            self._last.append(case.sent)
            reply = self._sender.send(case)
            fault = judge(case, reply)
            tally = self.outcome.tallies[surface]
            tally.requests += 1
            tally.answers[reply.told] += 1
            if fault is None:
                continue
            tally.wrong[fault.kind] += 1
            if (surface, fault.kind) in self._known:
                continue
            found = _Found(surface, fault, case)
            if fault.kind not in _SLOW:
                raise found
            self._note(found, self._chunk.seed)

    def _note(self, found: _Found, number: int) -> None:
        fault, case = found.fault, found.case
        self._known.add((found.surface, fault.kind))
        told = fault.told or (repr(list(self._last)) if fault.kind == GONE else "")
        self.outcome.findings.append(Finding(found.surface, fault.kind, told, case.door, case.sent, number))


def run(chunk: Chunk, addresses: Mapping[Door, str], known: Collection[tuple[str, str]] = ()) -> Outcome:
    """Return what came of a chunk; faults that are ``known``, by surface and kind, are counted and not made small again."""
    explorer = _Explorer(chunk, addresses, known)
    number = chunk.seed
    while explorer.outcome.requests < chunk.requests:
        explorer.explore(number)
        number += 1
    return explorer.outcome
