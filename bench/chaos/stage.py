"""What a scenario plays on: upstreams by name, replicas over them, and a crowd of callers."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chaos.figures import Scale
from chaos.load import Crowd
from chaos.players import Account, Direct, Player
from chaos.replicas import Fleet, replicas, upstream
from chaos.ways import Callers

SERVED_MODEL = "m"
"""What every upstream calls its model."""
_REPLICAS, _FEWER_REPLICAS = 3, 2


@dataclass(frozen=True)
class Stage:
    """All of it."""

    fleet: Fleet
    players: Mapping[str, Player]
    crowd: Crowd

    def player(self, name: str) -> Player:
        """Return an upstream."""
        return self.players[name]


@asynccontextmanager
async def staged(
    scale: Scale,
    folder: Path,
    play: tuple[Direct, Account],
    models: Mapping[str, Sequence[str]],
    upstreams: Mapping[str, Mapping[str, Any]] | None = None,
    **sections: Any,
) -> AsyncGenerator[Stage]:
    """Yield a stage whose models are answered by the upstreams they name, in order.

    ``upstreams`` says more of some, as ``replicas.upstream`` takes it; ``replica_names`` there are several players of one.
    """
    async with AsyncExitStack() as stack:
        players: dict[str, Player] = {}

        async def address(name: str) -> str:
            players[name] = await stack.enter_async_context(Player(name, *play))
            return players[name].base_url

        entries: list[dict[str, Any]] = []
        for name in dict.fromkeys(each for order in models.values() for each in order):
            more = dict((upstreams or {}).get(name, {}))
            addresses = [await address(each) for each in more.pop("replica_names", (name,))]
            entries.append(upstream(name, addresses, SERVED_MODEL, **more))
        public = [
            {"name": model, "candidates": [f"{name}/{SERVED_MODEL}" for name in order]}
            for model, order in models.items()
        ]
        document = {"upstreams": entries, "models": public, **sections}
        fleet = await stack.enter_async_context(replicas(folder, int(scale.of(_REPLICAS, _FEWER_REPLICAS)), document))
        callers = await stack.enter_async_context(Callers())
        yield Stage(fleet, players, Crowd(callers, fleet.replicas, scale.seed))
