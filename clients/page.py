"""docs/clients.md and docs/clients-snippets.md: what the clients did, and how each is told where Penstock is."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from catalogue import CLIENTS, Client
from client_stack import UPSTREAMS
from environments import ROOT, SNIPPETS
from outcome import Outcome

_TABLE = ROOT / "docs" / "clients.md"
_SNIPPETS = ROOT / "docs" / "clients-snippets.md"
_WRITTEN = "<!-- Written by `make clients ARGS=--publish`; do not edit. -->"
_LANGUAGES = {"py": "python", "mjs": "js", "sh": "sh"}
_ABSENT = (
    "| Cursor, GitHub Copilot, Windsurf, JetBrains AI | they are programs with a window, or ask through their vendor's own servers |",
    "| Claude Code | not part of the run; its requests are those of Anthropic's SDK ([format](anthropic.md)) |",
)


def write_pages(outcomes: Sequence[Outcome]) -> None:
    """Write both pages."""
    _TABLE.write_text(_table(outcomes))
    _SNIPPETS.write_text(_snippets())


def _table(outcomes: Sequence[Outcome]) -> str:
    ran = [client for client in CLIENTS if any(outcome.client == client for outcome in outcomes)]
    kinds = [kind for kind in UPSTREAMS if any(outcome.kind == kind for outcome in outcomes)]
    failed = [f"- {outcome.client.name}, `{outcome.kind}`: {line}" for outcome in outcomes for line in outcome.failures]
    return "\n".join(
        [
            "# Clients",
            "",
            _WRITTEN,
            "",
            "Clients as their registries have them, run against the real stack through its public ports: nothing of them was",
            "changed but the base URL, the key and the model. Each has a home of its own. Behind the stack stands a provider that is",
            f"played over a socket, once of each kind below. `make clients` runs them again; this is what it saw on {datetime.now(UTC):%Y-%m-%d}.",
            "[How each is told where Penstock is](clients-snippets.md).",
            "",
            f"| client | version | {' | '.join(f'`{kind}`' for kind in kinds)} |",
            f"|---|---|{'---|' * len(kinds)}",
            *(_row(client, kinds, outcomes) for client in ran),
            "",
            "## What failed",
            "",
            *(failed or ["Nothing."]),
            "",
            "## What was tried",
            "",
            "| client | checks |",
            "|---|---|",
            *(f"| {client.name} | {', '.join(_checks(client, outcomes))} |" for client in ran),
            "",
            "## What is not run",
            "",
            "| client | why |",
            "|---|---|",
            *_ABSENT,
            "",
        ]
    )


def _row(client: Client, kinds: Sequence[str], outcomes: Sequence[Outcome]) -> str:
    said = {outcome.kind: outcome.said for outcome in outcomes if outcome.client == client}
    return f"| {client.name} | {client.version} | {' | '.join(said.get(kind, '') for kind in kinds)} |"


def _checks(client: Client, outcomes: Sequence[Outcome]) -> list[str]:
    return list(next(outcome.checks for outcome in outcomes if outcome.client == client))


def _snippets() -> str:
    parts = [_snippet(client, SNIPPETS / client.snippet) for client in CLIENTS if client.snippet]
    return "\n".join(
        [
            "# How clients are told where Penstock is",
            "",
            _WRITTEN,
            "",
            "Every text below is a file under [`clients/snippets`](../clients/snippets) and was run as it stands by `make clients`",
            "([what else was tried](clients.md)). `PENSTOCK_KEY` is one of your keys, `penstock-demo` a public model of yours.",
            "",
            *parts,
        ]
    )


def _snippet(client: Client, file: Path) -> str:
    return f"## {client.name}\n\n```{_LANGUAGES[file.suffix[1:]]}\n{file.read_text().strip()}\n```\n"
