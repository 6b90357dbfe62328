"""Sends nonsense to every surface of a running stack, and says what is wrong with the answers.

Requests are valid ones that Hypothesis changes, from the contract's descriptors, the OpenAPI document and examples of
OpenAI's formats, down to bytes that are no request. No answer may be a server's error, but for those that verdict.py
lists; every error has our form; nothing may grow. The same ``--seed`` sends the same. Exit 1 where something is wrong.
"""

from __future__ import annotations

import argparse
import json
import math
import multiprocessing
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from campaign import Chunk, Finding, Outcome, Tally, run
from growth import Holding, grown
from stack import Stack, running
from surfaces import sources

_CHUNK_REQUESTS = 400
_WARM_RATIO = 0.1
_REST_SECONDS = 3.0
_TOLD_EVERY = 5_000
_SHOWN_BYTES = 1500


@dataclass
class Campaign:
    """All that was sent, and what was found."""

    ends_at: float = math.inf
    """When no more work is begun, by the monotonic clock."""

    tallies: dict[str, Tally] = field(default_factory=dict)
    findings: dict[tuple[str, str], Finding] = field(default_factory=dict)

    def take(self, outcome: Outcome) -> None:
        """Add what came of a chunk."""
        for surface, tally in outcome.tallies.items():
            own = self.tallies.setdefault(surface, Tally())
            own.requests += tally.requests
            own.answers += tally.answers
            own.wrong += tally.wrong
        total = sum(tally.requests for tally in self.tallies.values())
        if total // _TOLD_EVERY > (total - outcome.requests) // _TOLD_EVERY:
            print(f"{total} requests, {len(self.findings)} kinds of fault", flush=True)
        for each in outcome.findings:
            old = self.findings.get((each.surface, each.kind))
            if old is None:
                _tell(each)
            if old is None or len(each.sent) < len(old.sent):
                self.findings[each.surface, each.kind] = each


def chunks(requests: int, seed: int, share: float, first: int) -> Iterator[Chunk]:
    """Yield the work for a ``share`` of all requests, the sources in turn; chunks are numbered from ``first``."""
    left = {name: max(1, round(requests * percent / 100 * share)) for name, (_, percent) in sources().items()}
    number = first
    while any(left.values()):
        for at, name in enumerate(left):
            size = min(_CHUNK_REQUESTS, left[name])
            left[name] -= size
            if size:
                yield Chunk(name, size, seed * 1_000_003 + number * 101 + at * 10_007)
        number += 1


def send(campaign: Campaign, work: Iterator[Chunk], stack: Stack, workers: int) -> None:
    """Send all of the work, in so many processes."""
    spawning = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=spawning) as pool:
        running_now = set()
        for chunk in work:
            running_now.add(pool.submit(run, chunk, stack.addresses, list(campaign.findings)))
            if len(running_now) >= workers:
                done, running_now = wait(running_now, return_when=FIRST_COMPLETED)
                for each in done:
                    campaign.take(each.result())
                if not stack.is_alive() or time.monotonic() > campaign.ends_at:
                    break
        for each in running_now:
            campaign.take(each.result())


def table(campaign: Campaign) -> str:
    """Return what was sent and answered, a line for each surface."""
    lines = ["| surface | requests | answers | wrong |", "|---|---|---|---|"]
    for name, tally in sorted(campaign.tallies.items()):
        answers = ", ".join(f"{count} × {told}" for told, count in tally.answers.most_common())
        wrong = ", ".join(f"{count} × {kind}" for kind, count in tally.wrong.most_common()) or "nothing"
        lines.append(f"| {name} | {tally.requests} | {answers} | {wrong} |")
    total = sum(tally.requests for tally in campaign.tallies.values())
    wrong = sum(sum(tally.wrong.values()) for tally in campaign.tallies.values())
    return "\n".join([*lines, f"| all | {total} | | {wrong or 'nothing'} |"])


def _tell(finding: Finding) -> None:
    print(f"\n✗ {finding.surface}: {finding.kind} (seed {finding.seed}, door {finding.door})\n  {finding.told}")
    print(f"  sent: {finding.sent[:_SHOWN_BYTES]!r}", flush=True)


def _figures(campaign: Campaign, arguments: Any, seconds: float, holdings: list[dict[str, Holding]]) -> dict[str, Any]:
    return {
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "seed": arguments.seed,
        "seconds": round(seconds),
        "surfaces": {
            name: {"requests": tally.requests, "answers": dict(tally.answers.most_common()), "wrong": dict(tally.wrong)}
            for name, tally in sorted(campaign.tallies.items())
        },
        "holdings": [{name: asdict(held) for name, held in each.items()} for each in holdings],
    }


def _holdings_table(before: Mapping[str, Holding], after: Mapping[str, Holding]) -> str:
    lines = [f"  {name}: {before[name]}\n    then {after[name]}" for name in before]
    return "\n".join(lines)


def main() -> int:
    """Send, tell, and publish if asked to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=4, help="processes that send at once")
    parser.add_argument("--minutes", type=float, default=120, help="end then, whatever has been sent")
    parser.add_argument("--source", choices=tuple(sources()), help="only what comes from there")
    parser.add_argument("--output", type=Path, help="write the figures there as JSON, such as bench/results/fuzz.json")
    arguments = parser.parse_args()
    campaign, began = Campaign(), time.monotonic()
    campaign.ends_at = began + arguments.minutes * 60
    with tempfile.TemporaryDirectory(prefix="pf-") as folder, running(Path(folder)) as stack:
        holdings: list[dict[str, Holding]] = []
        for share, first in ((_WARM_RATIO, 0), (1 - _WARM_RATIO, 100_000)):
            work = chunks(arguments.requests, arguments.seed, share, first)
            send(campaign, (each for each in work if arguments.source in (None, each.source)), stack, arguments.workers)
            if not stack.is_alive():
                print(*stack.trouble(), stack.last_words(), sep="\n")
                return 1
            time.sleep(_REST_SECONDS)
            holdings.append(stack.holdings())
        troubles = [*grown(*holdings), *stack.trouble()]
        if not stack.answers():
            troubles.append("an honest request had no answer afterwards")
    print("\n" + table(campaign))
    print("\nheld after the first tenth, and in the end:\n" + _holdings_table(*holdings))
    for trouble in troubles:
        print(f"✗ {trouble}", flush=True)
    if arguments.output:
        figures = _figures(campaign, arguments, time.monotonic() - began, holdings)
        arguments.output.write_text(json.dumps({**figures, "troubles": troubles}, indent=1) + "\n")
    return int(bool(campaign.findings or troubles))


if __name__ == "__main__":
    sys.exit(main())
