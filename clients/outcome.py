"""What came of running a client, and what came of it the last time."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field

from catalogue import CLIENTS, Client
from environments import HERE

_KEPT = HERE / "outcomes.json"


@dataclass
class Outcome:
    """What a client did before a kind of provider: its checks with their errors, "" where one passed; or why it did not run."""

    client: Client
    kind: str
    checks: dict[str, str] = field(default_factory=dict)
    not_run: str = ""
    log: str = ""

    @property
    def passed(self) -> bool:
        """Whether it ran, and everything passed."""
        return not self.not_run and bool(self.checks) and not any(self.checks.values())

    @property
    def said(self) -> str:
        """What the table says of it."""
        if self.not_run:
            return "not run"
        return f"{sum(not error for error in self.checks.values())} of {len(self.checks)}"

    @property
    def failures(self) -> list[str]:
        """What went wrong, a line each."""
        if self.not_run:
            return [f"not run: {self.not_run}"]
        return [f"{name}: {error}" for name, error in self.checks.items() if error]


def kept_with(outcomes: Iterable[Outcome]) -> list[Outcome]:
    """Return these and what is known of earlier runs of the same versions, and keep it all for the next."""
    kept = json.loads(_KEPT.read_text()) if _KEPT.is_file() else {}
    for outcome in outcomes:
        key = f"{outcome.kind} {outcome.client.name} {outcome.client.version}"
        kept[key] = {"checks": outcome.checks, "not_run": outcome.not_run}
    HERE.mkdir(exist_ok=True)
    _KEPT.write_text(json.dumps(kept))
    return [
        Outcome(client, key.partition(" ")[0], **known)
        for client in CLIENTS
        for key, known in kept.items()
        if key.partition(" ")[2] == f"{client.name} {client.version}"
    ]
