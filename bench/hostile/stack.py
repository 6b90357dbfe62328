"""The stack under attack: how it is configured, who has keys, and where it listens."""

from __future__ import annotations

import subprocess
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from programs import CHECKOUT
from shapes import EDGE, GRPC, HERE, ONE_PROCESS, running

from hostile.attacks import ATTACKS, LIMITED
from hostile.job import Target
from penstock_common.testing.certificates import CertificateFiles

HONEST = "honest"
HONEST_MODEL, ATTACKED_MODEL = "bench", "attacked"
KEYS = {
    name: f"key-of-{name}-key-of-{name}" for name in (HONEST, *{name for attack in ATTACKS for name in attack.tenants})
}
_PLENTY = {"requests_per_minute": 100_000_000, "concurrent_requests": 100_000}
_LIMITED = {"requests_per_minute": 5}


@dataclass(frozen=True)
class Stack:
    """A stack that runs."""

    pid: int
    target: Target
    state: Path
    created_keys: tuple[str, ...]
    """Of the honest tenant, in the database."""


def configuration(honest: str, attacked: str, certificates: CertificateFiles | None) -> dict[str, Any]:
    """Return the configuration over two providers at host:port: what attackers send must not slow the honest's down."""
    listen: dict[str, Any] = {"http": "127.0.0.1:0", "grpc": "127.0.0.1:0"}
    if certificates is not None:
        listen["tls"] = {"cert_file": str(certificates.cert), "key_file": str(certificates.key)}
    providers = {HONEST_MODEL: honest, ATTACKED_MODEL: attacked}
    return {
        "listen": listen,
        "upstreams": [
            {
                "name": name, "provider": "openai_compatible", "base_url": f"http://{address}/v1", "api_key": "sk-bench",
                "models": [{
                    "name": name, "context_window": 100_000_000, "capabilities": ["chat", "vision"],
                    "price": {"input": 1, "output": 2},
                }],
            }
            for name, address in providers.items()
        ],
        "models": [{"name": name, "candidates": [f"{name}/{name}"]} for name in providers],
        "tenants": [
            {"name": name, "tier": _LIMITED if name.startswith(LIMITED) else _PLENTY, "keys": [key]} for name, key in KEYS.items()
        ],
    }  # fmt: skip


@contextmanager
def stack(folder: Path, honest: str, attacked: str, *, over_tls: bool, created_keys: int) -> Generator[Stack]:
    """Yield a stack that is ready, in one process."""
    folder.mkdir(parents=True)
    certificates = CertificateFiles.make(folder) if over_tls else None
    document = configuration(honest, attacked, certificates)
    with running(HERE, ONE_PROCESS, document, folder / "suite") as suite:
        doors = {door.name: door.address for door in suite.doors}
        ca = str(certificates.ca) if certificates is not None else ""
        state = folder / "suite" / "state"
        keys = tuple(_created_key(state) for _ in range(created_keys))
        yield Stack(suite.pid, Target(http=doors[EDGE], grpc=doors[GRPC], ca=ca), state, keys)


def _created_key(state: Path) -> str:
    command = [
        str(CHECKOUT / ".venv" / "bin" / "penstock"),
        "keys",
        "create",
        "--tenant",
        HONEST,
        "--state",
        str(state),
    ]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
