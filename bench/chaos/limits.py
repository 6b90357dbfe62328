"""A storm of 429, with every form of when to come again: nobody asks before the time, and callers get answers or are told when."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import msgspec

from chaos.figures import Finding, Scale, ended_otherwise, told
from chaos.load import Answer, at_once, even
from chaos.players import Account
from chaos.stage import Stage, staged
from penstock_faults.named import limited
from penstock_faults.record import Seen
from penstock_faults.script import Pace, Script, Step

NAME = "limits"
ABOUT = "429 with every form of Retry-After, over 200 requests each, elsewhere and alone, on three replicas"
WELL = "well"
_REQUESTS = 200
_PAUSE_SECONDS = 0.1
"""Each storm's second half waits for so much longer than that of the storm before."""
_REST_SECONDS = 3.0
_REFUSAL_SECONDS = 0.05
_UNTOLD_SECONDS = 1.0
_UNHEARD_SECONDS = 1.5
"""How long after the first refusal the last replica may ask that has not heard of it: two exchanges through Redis, and their way."""
_LONGEST_WAIT_SECONDS = 8.0
_SPARE_SECONDS = 2.0


@dataclass(frozen=True)
class Form:
    """What an upstream says, and how many seconds that is; it refuses for as long."""

    name: str
    retry_after: str
    seconds: float
    is_told: bool = True

    def upstream(self, *, alone: bool) -> str:
        """Return who says it, where another could be asked or where none can."""
        return f"{self.name}-alone" if alone else self.name


FORMS = (
    Form("one-second", "1", 1.0),
    Form("a-minute", "60", 60.0),
    Form("an-hour", "3600", 3600.0),
    # Of whole seconds, and so up to one shorter.
    Form("a-date", "date+60", 59.0),
    Form("garbage", "soon", _UNTOLD_SECONDS, is_told=False),
    Form("negative", "-1", _UNTOLD_SECONDS, is_told=False),
    Form("none", "", _UNTOLD_SECONDS, is_told=False),
)
_ALONE = (False, True)


class Limits:
    """Refuses from the first request on, for as long as it says."""

    def __init__(self, account: Account) -> None:
        self._forms = {form.upstream(alone=alone): form for form in FORMS for alone in _ALONE}
        self._account = account
        self._until: dict[str, float] = {}

    def direct(self, upstream: str, asked: int, seen: Seen) -> Script:
        """Return what a request meets."""
        form = self._forms.get(upstream)
        now = asyncio.get_running_loop().time()
        if form is None or now >= self._until.setdefault(upstream, now + form.seconds):
            return Script(name=WELL, steps=(Step(),))
        step = msgspec.structs.replace(limited(form.retry_after), pace=Pace(headers_seconds=_REFUSAL_SECONDS))
        return Script(name="refused", steps=(step,))


async def run(scale: Scale, folder: Path) -> Finding:
    """Return what came of it."""
    account = Account()
    models = {
        form.upstream(alone=alone): (form.upstream(alone=alone), *(() if alone else (WELL,)))
        for form in FORMS
        for alone in _ALONE
    }
    figures: dict[str, Any] = {}
    misses: list[str] = []
    late: list[str] = []
    requests = 0
    async with staged(scale, folder, (Limits(account).direct, account), models) as stage:
        for number, (alone, form) in enumerate(product(_ALONE, FORMS[:: 2 if scale.short else 1])):
            answers = await _storm(stage, form.upstream(alone=alone), _PAUSE_SECONDS * (1 + number), scale)
            requests += len(answers)
            storm = Storm(form, alone, answers, account)
            figures[form.upstream(alone=alone)] = storm.figures()
            misses += told(list(storm.faults()))
            late += storm.late()
    return Finding(scenario=NAME, requests=requests, figures=figures, misses=misses, late=late)


async def _storm(stage: Stage, model: str, pause: float, scale: Scale) -> list[Answer]:
    """Ask: half at once of one replica, and after a pause the rest of all, who may have heard of the refusals meanwhile."""
    requests, seconds = int(scale.of(_REQUESTS, 20)), scale.of(_REST_SECONDS, 1)
    rest = requests // 2

    async def later() -> list[Answer]:
        await asyncio.sleep(pause)
        return await stage.crowd.ask(even(rest, rest / seconds, model))

    first, second = await asyncio.gather(stage.crowd.ask(at_once(requests - rest, model, replicas=(1,))), later())
    return [*first, *second]


class Storm:
    """What came of one form, compared on all sides. Times are of the machine's clock, which all sides share."""

    def __init__(self, form: Form, alone: bool, answers: Sequence[Answer], account: Account) -> None:
        self._form = form
        self._alone = alone
        self._answers = answers
        name = form.upstream(alone=alone)
        self._parts = {
            answer.asked.serial: [part for part in account.of(answer.asked.serial) if part.upstream == name]
            for answer in answers
        }
        refusals = [part for parts in self._parts.values() for part in parts if part.script.name == "refused"]
        self._first_heard = min((part.at for part in refusals), default=0.0) + _REFUSAL_SECONDS

    def figures(self) -> dict[str, Any]:
        """Return how many reached the upstream before the time, how late the last, and what callers heard."""
        too_soon = self._too_soon()
        ends = Counter("answered" if answer.heard.whole else answer.heard.error for answer in self._answers)
        return {
            "after the first refusal was heard": len(too_soon),
            "the last of them after s": round(max(too_soon, default=0.0), 2),
            **ends,
        }

    def _too_soon(self) -> list[float]:
        """Return how long after the first refusal was heard those came that came before the time it gave."""
        sinces = [part.at - self._first_heard for parts in self._parts.values() for part in parts]
        return [since for since in sinces if 0 < since < self._form.seconds - _REFUSAL_SECONDS]

    def late(self) -> Iterator[str]:
        """Yield what replicas asked that should have heard."""
        last = max(self._too_soon(), default=0.0)
        if last > min(_UNHEARD_SECONDS, self._form.seconds):
            yield f"{self._name}: somebody asked {last:.2f} s after the first refusal was heard"

    def faults(self) -> Iterator[str]:
        """Yield what must not be, whatever the time."""
        for answer in self._answers:
            for fault in (ended_otherwise(answer.heard), self._of_the_caller(answer)):
                if fault:
                    yield f"{self._name}, {answer.asked.serial} ({answer.asked.way}): {fault}"
        yield from (f"{self._name}: {fault}" for fault in self._asked_in_spite_of_knowing())

    @property
    def _name(self) -> str:
        return self._form.upstream(alone=self._alone)

    def _of_the_caller(self, answer: Answer) -> str:
        heard = answer.heard
        if heard.whole:
            return ""
        if not self._alone or heard.error != "RATE_LIMITED":
            return f"{heard.error}: {heard.message}"
        if self._form.is_told and self._form.seconds < _LONGEST_WAIT_SECONDS:
            return f"it is over so soon, and {heard.error} was told"
        told_seconds = heard.retry_after_seconds
        if told_seconds is None:
            return "nobody is told when to come again"
        left = self._first_heard + self._form.seconds - heard.ended
        if self._form.is_told and not left - _SPARE_SECONDS <= told_seconds <= self._form.seconds + _SPARE_SECONDS:
            return f"to come again after {told_seconds:.0f} s was told, {left:.0f} s before the time"
        return ""

    def _asked_in_spite_of_knowing(self) -> Iterator[str]:
        """Yield the questions that began once their replica had given an answer after a refusal, and were sent there too soon."""
        known: defaultdict[int, list[tuple[float, float]]] = defaultdict(list)
        for answer in self._answers:
            for part in self._parts[answer.asked.serial]:
                if part.script.name == "refused":
                    known[answer.replica.number].append((answer.heard.ended, part.at + self._form.seconds))
        for answer in self._answers:
            told_ends = [until for heard, until in known[answer.replica.number] if heard <= answer.heard.began]
            for part in self._parts[answer.asked.serial]:
                if part.at < max(told_ends, default=0.0):
                    yield f"{answer.asked.serial} was sent there {max(told_ends) - part.at:.2f} s too soon"
