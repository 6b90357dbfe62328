"""Every fault at once: each request ends in one way, in the caller's eyes and in the ledger, and nothing is kept of it."""

from __future__ import annotations

import asyncio
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rounds import tell

from chaos.figures import Finding, Scale, ended_otherwise, told
from chaos.holdings import Holdings, excess, held, settled
from chaos.load import Answer, Load, percentile_ms
from chaos.parts import FAULTS, WELL, Cast
from chaos.players import PROBE, Account, Part
from chaos.stage import Stage, staged
from chaos.ways import Way
from penstock_faults.http.format import INPUT_TOKENS

NAME = "everything"
ABOUT = "every fault of the table at random on three replicas, Redis killed and back"
# Whom a question asks: each upstream first in turn, and now and then one alone.
MODELS = {"abc": "abc", "bca": "bca", "cab": "cab", "alone": "c"}
_REQUESTS, _PER_SECOND = 20_000, 20.0
_WITHOUT_REDIS_SECONDS = 10.0
_SPARE_DESCRIPTORS = 6
"""Of a kind of process, over all replicas: threads' sockets and files that are opened when first needed."""
_SETTLE_SECONDS = 120.0
_MOST_GROWN = 1.25
_TIMEOUTS = {"first_token": "1500ms", "whole": "2500ms", "idle": "1500ms"}
_UPSTREAMS = {
    "a": {"timeouts": _TIMEOUTS},
    "b": {"timeouts": _TIMEOUTS, "prefill": False},
    "c": {"timeouts": _TIMEOUTS, "window": 131_072},
}
# A minute's cool-down would be the rest of the run, of everybody.
_HEALTH = {"longest_cool_down": "1s", "probe_every": "2s", "probe_every_of_refused_key": "2s"}
_TYPED = {
    "UPSTREAM_FAILED", "UPSTREAM_TIMEOUT", "RATE_LIMITED", "CONTEXT_LENGTH_EXCEEDED", "CONTENT_REFUSED", "NO_HEALTHY_UPSTREAM",
}  # fmt: skip


async def run(scale: Scale, folder: Path) -> Finding:
    """Return what came of it."""
    cast, account = Cast(scale.seed), Account()
    requests = scale.requests or int(scale.of(_REQUESTS, 250))
    per_second = scale.per_second or _PER_SECOND
    async with staged(scale, folder, (cast.direct, account), MODELS, _UPSTREAMS, health=_HEALTH) as stage:
        await stage.crowd.ask(_load(scale.of(1000, 40), per_second))
        tell(f"{NAME}: {len(stage.fleet.replicas)} replicas are warm")
        before = await held(stage.fleet)
        answers = await _in_three(stage, requests, per_second, scale.of(_WITHOUT_REDIS_SECONDS, 1))
        tell(f"{NAME}: all is answered")
        after = await settled(stage.fleet, before, _SPARE_DESCRIPTORS, scale.of(_SETTLE_SECONDS, 60))
        rows = stage.fleet.ledger()
        figures = {**_figures(answers, account), "held before": _told_of(before), "held after": _told_of(after)}
    bills = {row["request_id"]: [] for row in rows}
    for row in rows:
        bills[row["request_id"]].append(row)
    judged = Judge(cast, account, bills)
    faults = [fault for answer in answers for fault in judged.faults(answer)]
    if scale.stories is not None:
        scale.stories.write_text("".join(f"{line}\n" for answer in answers for line in judged.story(answer)))
    figures["ledger"] = judged.sums(answers)
    grown = [f"{name} has {size} MiB, before {before.mib.get(name, 0)}" for name, size in after.mib.items()
             if size > _MOST_GROWN * before.mib.get(name, size) + 8]  # fmt: skip
    misses = [*told(faults), *judged.sum_faults(answers), *excess(before, after, _SPARE_DESCRIPTORS), *grown]
    return Finding(scenario=NAME, requests=len(answers), figures=figures, misses=misses)


async def _in_three(stage: Stage, requests: int, per_second: float, without_seconds: float) -> list[Answer]:
    """Ask; in the middle Redis is killed, and starts again empty while questions go on."""

    async def lose_redis() -> None:
        await asyncio.sleep(requests / per_second / 2)
        await asyncio.to_thread(stage.fleet.redis.crash)
        await asyncio.sleep(without_seconds)
        await asyncio.to_thread(stage.fleet.redis.start)

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(lose_redis())
        asking = tasks.create_task(stage.crowd.ask(_load(requests, per_second)))
    return asking.result()


def _load(requests: float, per_second: float) -> Load:
    return Load(requests=int(requests), per_second=per_second, model=_model_of)


def _model_of(serial: int) -> str:
    names = tuple(MODELS)
    return names[serial % 3] if serial % 10 else names[3]


class Judge:
    """Compares what a caller heard with what upstreams played, and with the ledger."""

    def __init__(self, cast: Cast, account: Account, bills: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
        self._cast = cast
        self._account = account
        self._bills = bills

    def faults(self, answer: Answer) -> Iterator[str]:
        """Yield what is wrong with one answer."""
        parts = self._account.of(answer.asked.serial)
        story = (
            f"{answer.asked.serial} ({answer.asked.way}; {', '.join(f'{p.upstream} {p.script.name}' for p in parts)})"
        )
        for fault in (*self._of_the_caller(answer, parts), *self._of_the_bill(answer, parts)):
            yield f"{story}: {fault}"

    def story(self, answer: Answer) -> Iterator[str]:
        """Yield in lines what became of one question, for whoever looks for a cause; times since it was asked."""
        heard, asked = answer.heard, answer.asked
        end = "whole" if heard.whole else heard.error or heard.cut
        yield f"{asked.serial} {asked.way} of {asked.model} at {answer.replica.number}: {end}, {heard.seconds:.3f} s"
        for part in self._account.of(asked.serial):
            seen = part.seen
            how = "left" if seen.left_at is not None else "open" if seen.ended_at is None else "played"
            since = part.at - heard.began
            yield f"  {since:.3f} {part.upstream} {part.script.name} {part.script.prefill} {how} {part.prefix!r}"
        yield from (f"  FAULT {fault}" for fault in self.faults(answer))

    def _of_the_caller(self, answer: Answer, parts: Sequence[Part]) -> Iterator[str]:
        heard, serial = answer.heard, answer.asked.serial
        if otherwise := ended_otherwise(heard):
            yield otherwise
            return
        texts = {self._cast.answer_to(serial, part.upstream) for part in parts}
        if heard.whole:
            if heard.text not in texts:
                yield f"the text is none that an upstream wrote: {heard.text[-60:]!r}"
            if not any(part.upstream == heard.upstream for part in parts):
                yield f"{heard.upstream} is named as who answered"
            return
        if heard.error not in _TYPED:
            yield f"the error {heard.error} {heard.message}"
        if not any(text.startswith(heard.text) for text in texts or {""}):
            yield f"before the error came {heard.text[-60:]!r}"
        if (
            parts
            and parts[-1].script.name == WELL
            and not self._cast.differs(serial)
            and parts[-1].seen.left_at is None
        ):
            yield f"the last upstream answered well, and {heard.error} was told: {heard.message}"

    def _of_the_bill(self, answer: Answer, parts: Sequence[Part]) -> Iterator[str]:
        bills = self._bills.get(answer.asked.request_id, ())
        if len(bills) != 1:
            yield f"there are {len(bills)} rows in the ledger"
            return
        (row,) = bills
        if (row["outcome"] == "ok") is not answer.heard.whole:
            yield f"the ledger says {row['outcome']}, and {answer.heard.error or 'a whole answer'} was heard"
        if not answer.heard.whole:
            return
        last = self._answering(answer)
        if last is None:
            yield f"the ledger names {row['upstream']} as who answered"
        if answer.heard.upstream != row["upstream"] and not _may_name_who_began(answer, parts):
            yield f"the caller is told of {answer.heard.upstream}, the ledger names {row['upstream']}"
        if last is not None and last.seen.left_at is not None and row["usage_estimated"]:
            # All was said, and the usage came later than anybody waits for it.
            return
        counted = self.counted(answer)
        billed = row["input_tokens"], row["output_tokens"]
        owed = row["cost_nano_usd"] - _cost_nano_usd(*billed)
        if owed < 0 or (owed and len(parts) == 1):
            # More than its tokens cost an answer only that somebody else had begun, who is owed for that.
            yield f"{billed} tokens cost {_cost_nano_usd(*billed)} nano-dollars, the ledger has {row['cost_nano_usd']}"
        if counted is None:
            if not row["usage_estimated"] or min(billed) < 1:
                yield f"the upstream counted nothing for it, and the ledger has {billed}, not as an estimate"
        elif billed != counted or row["usage_estimated"]:
            yield f"the upstream counted {counted}, the ledger has {billed}, {row['usage_estimated']}"

    def counted(self, answer: Answer) -> tuple[int, int] | None:
        """Return the tokens that the upstream which answered counted for all of the answer; None where it did not."""
        last = self._answering(answer)
        if last is None or last.step.answer.usage != "counted" or (last.prefix and last.script.prefill == "continues"):
            return None
        return INPUT_TOKENS, len(last.step.answer.tokens)

    def _answering(self, answer: Answer) -> Part | None:
        """Return the part that the answer ended with. Who was given up on a busy machine may come to read of it later."""
        (row, *_) = self._bills.get(answer.asked.request_id, ({"upstream": ""},))
        parts = reversed(self._account.of(answer.asked.serial))
        return next((part for part in parts if part.upstream == row["upstream"]), None)

    def sums(self, answers: Sequence[Answer]) -> dict[str, Any]:
        """Return the sums of what upstreams counted, and of the rows for it."""
        whole = [answer for answer in answers if answer.heard.whole]
        counted = {each.asked.request_id: self.counted(each) for each in whole}
        exact = {name: each for name, each in counted.items() if each is not None and not self._is_estimated(name)}
        rows = [row for name in exact for row in self._bills.get(name, ())]
        # Of others the cost is also of those who had begun the answer.
        alone = {each.asked.request_id for each in whole if len(self._account.of(each.asked.serial)) == 1}
        return {
            "rows": sum(map(len, self._bills.values())),
            "answers that were counted": len(exact),
            "upstreams' tokens": sum(map(sum, exact.values())),
            "their rows' tokens": sum(row["input_tokens"] + row["output_tokens"] for row in rows),
            "upstreams' nano-dollars": sum(_cost_nano_usd(*each) for name, each in exact.items() if name in alone),
            "their rows' nano-dollars": sum(row["cost_nano_usd"] for row in rows if row["request_id"] in alone),
            "answers estimated": len(counted) - len(exact),
        }

    def _is_estimated(self, request_id: str) -> bool:
        return any(row["usage_estimated"] for row in self._bills.get(request_id, ()))

    def sum_faults(self, answers: Sequence[Answer]) -> Iterator[str]:
        """Yield where the sums are not equal."""
        sums = self.sums(answers)
        for what in ("tokens", "nano-dollars"):
            if sums[f"upstreams' {what}"] != sums[f"their rows' {what}"]:
                yield f"the sums of {what} differ: {sums}"


def _cost_nano_usd(input_tokens: int, output_tokens: int) -> int:
    """Return what an upstream's bill has for so many tokens, at 1 and 2 dollars for a million."""
    return input_tokens * 1_000 + output_tokens * 2_000


def _may_name_who_began(answer: Answer, parts: Sequence[Part]) -> bool:
    """Return whether the name came in a head, which is sent before an answer can break off."""
    return answer.asked.way is Way.OPENAI_STREAM and len(parts) > 1


def _figures(answers: Sequence[Answer], account: Account) -> dict[str, Any]:
    parts = [part for serial, parts in account.parts.items() if serial != PROBE for part in parts]
    met = Counter(part.script.name for part in parts)
    ends = Counter("a whole answer" if answer.heard.whole else answer.heard.error or "cut" for answer in answers)
    continued = sum(1 for part in parts if part.prefix)
    return {
        "ended in": dict(ends.most_common()),
        "attempts": len(parts),
        "faults met": sum(met.values()) - met[WELL],
        "kinds of fault met": f"{len(set(met) & set(FAULTS))} of {len(FAULTS)}",
        "asked to go on from a beginning": continued,
        "p50 ms": percentile_ms(answers, 50),
        "p99 ms": percentile_ms(answers, 99),
        "longest s": math.ceil(max(answer.heard.seconds for answer in answers)),
    }


def _told_of(holdings: Holdings) -> dict[str, Any]:
    return {
        "descriptors": sum(holdings.descriptors.values()),
        "connections": sum(holdings.connections.values()),
        "MiB of the largest": holdings.mib,
    }
