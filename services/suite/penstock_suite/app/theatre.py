"""A stack in this process whose upstreams are scripted: what rehearsals and their tests play in."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from penstock_common.configuration import Configuration
from penstock_faults.caller import Question, ask
from penstock_faults.http.server import ScriptedUpstream
from penstock_faults.named import SCRIPTS, SEEN
from penstock_faults.record import Record, Seen
from penstock_faults.stage import Stage
from penstock_faults.table import Mode, Outage, Row
from penstock_faults.verdict import Play, Sight, Weathered
from penstock_gateway.app.administration import upgrade_schema
from penstock_gateway.app.gateway import Listen
from penstock_gateway.settings import StorageSettings
from penstock_suite.app.wiring import Wiring, all_here
from penstock_suite.domain.rehearsal import DATABASE, REHEARSAL_KEY, TRITON, PublicModel, staged

_SECRET_BYTES = 32
_LEAVING_SECONDS = 10.0
"""How long an upstream may take to see that its client has left, before anybody believes that it stays."""


@dataclass(frozen=True)
class Theatre:
    """A stack whose upstreams play: ``records`` are what each upstream saw."""

    socket: Path
    stage: Stage
    records: Mapping[str, Record]

    async def ask(self, model: str, mode: Mode, **more: Any) -> Sight:
        """Return what a caller sees; the gate of a break opens once it has seen some of the answer."""
        if mode is Mode.WHOLE:
            self.stage.gates.open(SEEN)
        question = Question(model=model, key=REHEARSAL_KEY, mode=mode, socket=self.socket, more=more)
        return await ask(question, lambda _text: self.stage.gates.open(SEEN))

    def asked(self) -> dict[str, Sequence[Seen]]:
        """Return the requests of each candidate, in the order in which they were first asked."""
        return {
            f"{upstream}/{model}": [seen for seen in self.records[upstream].requests if seen.model == model]
            for upstream, model in self.stage.candidates
        }


class House:
    """Where theatres stand: a folder with an empty database, which each gets a copy of."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @asynccontextmanager
    async def theatre(self, document: Mapping[str, Any], model: PublicModel, stage: Stage) -> AsyncGenerator[Theatre]:
        """Yield a stack of the document's model with nobody but scripted upstreams behind it."""
        async with AsyncExitStack() as stack:
            folder = Path(stack.enter_context(TemporaryDirectory(dir=self._folder)))
            (folder / "secret").write_bytes(b"r" * _SECRET_BYTES)
            shutil.copy(self._folder / DATABASE, folder)
            records: dict[str, Record] = {}
            addresses: dict[str, str] = {}
            for upstream, wire in sorted(model.wires.items()):
                opened = _scripted_triton(upstream, stage) if wire == TRITON else _scripted_http(upstream, stage, wire)
                records[upstream], addresses[upstream] = await stack.enter_async_context(opened)
            configuration = Configuration(staged(document, model, addresses, folder), "the rehearsal")
            socket = folder / "gateway.sock"
            listen = Listen(grpc=f"unix:{folder}/grpc.sock", http=f"unix:{socket}")
            wiring = Wiring(configuration, all_here(configuration), stack)
            gateway = await wiring.gateway(listen, upgrades_schema=False, shares_limits=False)
            await gateway.set_ready()
            yield Theatre(socket, stage, records)

    async def play(self, document: Mapping[str, Any], model: PublicModel, row: Row, mode: Mode) -> Play:
        """Return what became of one request while the upstreams played a row."""
        async with self.theatre(document, model, Stage(row.first, row.others)) as scene:
            sight = await scene.ask(model.name, mode)
            if row.cancelled:
                await _all_left(scene.asked())
            alone = model.is_alone(larger_window=row.larger_window)
            return Play(row=row, mode=mode, sight=sight, alone=alone, asked=scene.asked())

    async def weather(self, document: Mapping[str, Any], model: PublicModel, outage: Outage, mode: Mode) -> Weathered:
        """Return what became of one request after another while whoever was asked first was down, and then well."""
        async with self.theatre(document, model, Stage(outage.first, SCRIPTS["good"])) as scene:
            sights: list[tuple[float, Sight]] = []
            clock = next(iter(scene.records.values()))
            weathered = Weathered(outage=outage, first="", sights=sights, asked=())
            last = outage.down_seconds + outage.back_within_seconds
            while weathered.back_at is None and clock.elapsed() < last:
                at = clock.elapsed()
                sights.append((at, await scene.ask(model.name, mode)))
                weathered.first, weathered.asked = next(iter(scene.asked().items()))
                await asyncio.sleep(outage.between_seconds)
            return weathered


async def built_house(folder: Path) -> House:
    """Return a house in a folder that is its own."""
    await upgrade_schema(StorageSettings.model_validate({"sql": f"sqlite:///{folder}/{DATABASE}"}))
    return House(folder)


@asynccontextmanager
async def _scripted_http(name: str, stage: Stage, wire: str) -> AsyncGenerator[tuple[Record, str]]:
    async with ScriptedUpstream(lambda model: stage.part_of(name, model), gates=stage.gates, wire=wire) as server:
        yield server.record, server.base_url


@asynccontextmanager
async def _scripted_triton(name: str, stage: Stage) -> AsyncGenerator[tuple[Record, str]]:
    # What it speaks with is loaded where somebody has a Triton.
    from penstock_faults.triton import TritonUpstream

    async with TritonUpstream(lambda model: stage.part_of(name, model), gates=stage.gates) as server:
        yield server.record, server.target


async def _all_left(asked: Mapping[str, Sequence[Seen]]) -> None:
    """Wait until the first upstream has seen its client leave, as long as anybody would believe that it still does."""
    first = next(iter(asked.values()), ())
    try:
        async with asyncio.timeout(_LEAVING_SECONDS):
            for seen in first:
                await seen.left.wait()
    except TimeoutError:
        # The verdict says so.
        return
