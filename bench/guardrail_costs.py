"""What guardrails cost: CPU of the inline rules for 1,000 tokens, the classifier's time, and what a stream waits for its rules.

    python bench/guardrail_costs.py [--quick] [--json] [--only inline|classifier|streams]

Texts are this repository's own: its decisions as prose, its documentation, a program, YAML; and German prose that is put together
here. 1,000 tokens are 4,000 characters. Times are of the processor, the least of five rounds. Streams come in tokens
of four characters, each 20 ms after the one before, sixteen at a time, through the same code as in the gateway and without HTTP. A
token is handled once the next one is asked for; its delay is how long after it came it leaves; a gap is the time between two of a stream that leave, beside the same without
rules. No test: nothing fails on time.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import re
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from penstock_common.configuration import Configuration
from penstock_common.llm.types import Candidate, Finished, FinishReason, Started, TextDelta, Usage
from penstock_gateway.adapters.guardrails.beside import Threads
from penstock_gateway.app.guardrails import pipelines_of
from penstock_gateway.domain.guardrails.pipeline.answer import GuardedAnswer
from penstock_gateway.domain.guardrails.pipeline.guarding import Guarding, GuardParts
from penstock_gateway.domain.guardrails.pipeline.judging import Memo
from penstock_gateway.domain.guardrails.pipeline.rails import Rails
from penstock_gateway.domain.guardrails.pipeline.rule import Rule, Surface
from penstock_gateway.settings import Settings

ROOT = Path(__file__).resolve().parent.parent
THOUSAND_TOKENS = 4000
TOKEN, PACE, TOGETHER = 4, 0.02, 16
PHRASES = [
    "Acme Corp", "Wile E. Coyote", "project zeus", "Contoso", "Initech", "Globex", "Umbrella Corporation", "Hooli", "Vandelay",
    "Soylent", "Massive Dynamic", "Stark Industries", "Wonka", "Cyberdyne Systems", "Tyrell", "Oscorp", "Duff Beer", "Aperture",
    "Black Mesa", "Virtucon",
]  # fmt: skip
INLINE: dict[str, Any] = {
    "personal": {"kind": "pii"},
    "keys": {"kind": "secrets"},
    "steering": {"kind": "injection", "classifier": False, "surfaces": ["input", "document", "output"]},
    "leaks": {"kind": "exfiltration"},
    "rivals": {"kind": "words", "deny": PHRASES, "action": "redact"},
    "orders": {"kind": "pattern", "patterns": [r"\bORD-\d{4,8}\b", r"\b[A-Z]{2}\d{6}\b"], "action": "redact"},
}
BESIDE: dict[str, Any] = {
    "names": {"kind": "pii", "names": True, "types": ["person", "address"]},
}
GERMAN = (
    "Der Ausschuss hat am Dienstag getagt und nach langer Aussprache beschlossen, den Haushalt zu erhöhen.",
    "Wer das Haus verlässt, schließt bitte die Fenster und löscht das Licht im Flur.",
    "Die Brücke wird im Herbst gesperrt, weil ihre Lager erneuert werden müssen.",
    "Über die Größe der Räume gab es keinen Streit, wohl aber über ihre Lage.",
    "Im Sommer sind die Züge voll, und viele fahren lieber mit dem Rad.",
    "Niemand wusste, weshalb der Antrag so lange liegen geblieben war.",
)


def texts(count: int) -> dict[str, list[str]]:
    """Return texts of 1,000 tokens by kind."""
    chosen = random.Random(17)
    decisions = " ".join(one.read_text() for one in sorted((ROOT / "docs/adr").glob("*.md")))
    prose = re.sub(r"\s+", " ", re.sub(r"[^\w\s.,;:!?'-]|\d", " ", decisions))
    german = " ".join(chosen.choice(GERMAN) for _ in range(2 * THOUSAND_TOKENS))
    whole = {
        "prose": prose,
        "German prose": german,
        "Markdown": "\n".join(one.read_text() for one in sorted((ROOT / "docs").glob("*.md"))),
        "Python": "\n".join(
            one.read_text() for one in sorted((ROOT / "services/gateway/penstock_gateway/domain").rglob("*.py"))
        ),
        "YAML": "\n".join(one.read_text() for one in sorted((ROOT / "deploy").rglob("*.y*ml"))),
    }
    return {
        kind: [text[at : at + THOUSAND_TOKENS] for at in (chosen.randrange(len(text) - THOUSAND_TOKENS) for _ in range(count))]
        for kind, text in whole.items()
    }  # fmt: skip


def rails_of(rules: dict[str, Any]) -> Rails:
    section = {"rules": rules, "pipelines": [{"input": [*rules], "output": [*rules]}]}
    for name in ("leaks",):
        if name in rules:
            section["pipelines"][0]["input"].remove(name)
    return Rails(pipelines_of(Configuration({"guardrails": section}).settings(Settings)))


def least(look: Callable[[], object], times: int = 5) -> float:
    """Return the least CPU in microseconds."""
    taken: list[float] = []
    for _ in range(times):
        begun = time.process_time_ns()
        look()
        taken.append((time.process_time_ns() - begun) / 1000)
    return min(taken)


def percentile(figures: Sequence[float], part: float) -> float:
    ordered = sorted(figures)
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))]


def inline(of: dict[str, list[str]]) -> dict[str, Any]:
    """Return the CPU of each inline rule and of all, by surface and kind of text, in microseconds."""
    held = rails_of(INLINE).held("t", "m", "k")
    assert held is not None
    found: dict[str, Any] = {}
    for surface, by_surface in (
        (Surface.INPUT, held.input),
        (Surface.DOCUMENT, held.input),
        (Surface.OUTPUT, held.output),
    ):
        rules = by_surface[surface]
        for kind, those in of.items():
            costs: dict[str, list[float]] = {rule.name: [1e9] * len(those) for rule in rules}
            # Text after text, as rules remember what they saw last.
            for _ in range(5):
                for at, text in enumerate(those):
                    for rule in rules:
                        costs[rule.name][at] = min(costs[rule.name][at], least(_look(rule, text, surface), 1))
            whole = [sum(cost[at] for cost in costs.values()) for at in range(len(those))]
            found[f"{surface.value}: {kind}"] = {
                "p50": round(statistics.median(whole)), "p95": round(percentile(whole, 0.95)),
                "rules": {name: round(statistics.median(cost)) for name, cost in costs.items()},
            }  # fmt: skip
    return found


def _look(rule: Rule, text: str, surface: Surface) -> Callable[[], object]:
    return lambda: rule.look.found(text, surface)


def classifier(of: dict[str, list[str]]) -> dict[str, Any]:
    """Return the CPU of the classifier's look in milliseconds, and how long the loop stands while it looks in its thread."""
    (rule,) = rails_of({"attacks": {"kind": "injection"}}).held("t", "m", "k").input[Surface.INPUT]  # type: ignore[union-attr]
    found: dict[str, Any] = {}
    for kind, those in of.items():
        taken = [least(_look(rule, text, Surface.INPUT), 3) / 1000 for text in those]
        found[kind] = {"p50": round(statistics.median(taken), 1), "p95": round(percentile(taken, 0.95), 1)}
    found["the loop stands"] = asyncio.run(_stands(rule, [text for those in of.values() for text in those]))
    return found


async def _stands(rule: Rule, those: Sequence[str]) -> dict[str, float]:
    threads, late, over = Threads(2, 64), list[float](), asyncio.Event()

    async def watch() -> None:
        while not over.is_set():
            begun = time.perf_counter()
            await asyncio.sleep(0.001)
            late.append((time.perf_counter() - begun - 0.001) * 1000)

    async with asyncio.TaskGroup() as group:
        group.create_task(watch())
        for text in those:
            await threads.run(lambda text=text: rule.look.found(text, Surface.INPUT))
        over.set()
    threads.close()
    return {"p50": round(statistics.median(late), 1), "p99": round(percentile(late, 0.99), 1)}


BY = Candidate(upstream="u", model="m")


class Paced:
    """Gives a text in tokens, at a pace; knows when each came."""

    def __init__(self, text: str) -> None:
        self._pieces = [text[at : at + TOKEN] for at in range(0, len(text), TOKEN)]
        self._at = -1
        self.came: list[float] = []
        self.handled: list[float] = []
        self._due = 0.0

    def __aiter__(self) -> Paced:
        return self

    async def __anext__(self) -> tuple[Any, ...]:
        if self._at == len(self._pieces):
            raise StopAsyncIteration
        self._at += 1
        if self._at == 0:
            self._due = time.perf_counter() + random.random() * PACE
            return (Started(generation_id="g", answered_by=BY),)
        if self._at == len(self._pieces):
            return (Usage(), Finished(reason=FinishReason.STOP, answered_by=BY))
        if self.came:
            # Whoever reads is done with the token of before.
            self.handled.append((time.perf_counter() - self.came[-1]) * 1000)
        self._due += PACE
        await asyncio.sleep(max(0.0, self._due - time.perf_counter()))
        self.came += [time.perf_counter()] * len(self._pieces[self._at - 1])
        return (TextDelta(text=self._pieces[self._at - 1]),)

    async def aclose(self) -> None:
        pass


async def _stream(
    text: str, rails: Rails | None, parts: GuardParts, gaps: list[float], delays: list[float], handled: list[float]
) -> None:
    upstream = Paced(text)
    answer: Any = upstream
    if rails is not None:
        order = SimpleNamespace(
            tenant="t", key_id="k", request_id="r", generation_id="g", input=SimpleNamespace(model="m"), context=SimpleNamespace(user="")
        )  # fmt: skip
        call: Any = SimpleNamespace(order=order, caller=SimpleNamespace(user_id="", key_id="k", counted_key_id="k"))
        held = rails.held("t", "m", "k")
        assert held is not None
        answer = GuardedAnswer(upstream, Guarding(held, call, parts))
    left, last = 0, 0.0
    async for batch in answer:
        said = "".join(one.text for one in batch if isinstance(one, TextDelta))
        if not said:
            continue
        now = time.perf_counter()
        if last:
            gaps.append((now - last) * 1000)
        last = now
        # Nothing in these texts is replaced by a length that would tell.
        delays += [(now - at) * 1000 for at in upstream.came[left : left + len(said)]]
        left += len(said)
    handled += upstream.handled


async def _streams(those: Sequence[str], rules: dict[str, Any] | None) -> dict[str, float]:
    gaps, delays, handled = list[float](), list[float](), list[float]()
    parts = GuardParts(Threads(2, 64), b"s" * 32, Memo())
    rails = None if rules is None else rails_of(rules)
    begun = time.process_time()
    await asyncio.gather(*[_stream(text, rails, parts, gaps, delays, handled) for text in those])
    cpu = time.process_time() - begun
    tokens = sum(len(text) for text in those) / TOKEN
    return {
        "gap p50": percentile(gaps, 0.5), "gap p99": percentile(gaps, 0.99), "delay p50": percentile(delays, 0.5),
        "delay p99": percentile(delays, 0.99), "handled p99": percentile(handled, 0.99), "CPU of a token": cpu / tokens * 1e6,
    }  # fmt: skip


def streams(of: dict[str, list[str]]) -> dict[str, Any]:
    """Return gaps and delays in milliseconds, and the CPU of a token in microseconds, by rules."""
    kinds = [kind for kind in of if kind in ("prose", "Markdown")]
    found: dict[str, Any] = {}
    words = {name: rule for name, rule in INLINE.items() if name != "steering"}
    for kind in kinds:
        those = [of[kind][at % len(of[kind])][: THOUSAND_TOKENS // 4] for at in range(TOGETHER)]
        for name, rules in (
            ("none", None),
            ("words", words),
            ("all inline", INLINE),
            ("and names", {**INLINE, **BESIDE}),
        ):
            figures = asyncio.run(_streams(those, rules))
            found[f"{kind}: {name}"] = {each: round(figure, 1) for each, figure in figures.items()}
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer texts")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--only", default="", choices=["", "inline", "classifier", "streams"])
    given = parser.parse_args()
    of = texts(8 if given.quick else 40)
    figures: dict[str, Any] = {"load": os.getloadavg()[0]}
    for name, measure in (("inline", inline), ("classifier", classifier), ("streams", streams)):
        if given.only in ("", name):
            figures[name] = measure(of)
    if given.json:
        print(json.dumps(figures, indent=1))
        return
    for name, rows in figures.items():
        for row, said in rows.items() if isinstance(rows, dict) else [(name, rows)]:
            print(f"{row:>22}: {said}")


if __name__ == "__main__":
    main()
