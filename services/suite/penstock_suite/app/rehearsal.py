"""`penstock rehearse`: the table of recovery against a configuration, with scripted upstreams in the place of its own.

Each row has a stack of its own, in this process: what one row teaches about an upstream is nothing to the next.
"""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from penstock_common.configuration import Configuration
from penstock_faults.caller import Question, ask
from penstock_common.logging import configure_logging
from penstock_faults.named import SCRIPTS, SEEN
from penstock_faults.openai.server import OpenAIUpstream
from penstock_faults.record import Record, Seen
from penstock_faults.stage import Stage
from penstock_faults.table import ROWS, Mode, Row
from penstock_faults.verdict import Play, Sight, faults_in
from penstock_gateway.app.administration import upgrade_schema
from penstock_gateway.app.gateway import Listen
from penstock_gateway.settings import StorageSettings
from penstock_router.settings import Settings as RouterSettings
from penstock_suite.app.plan import known_part, load
from penstock_suite.app.wiring import Wiring, all_here
from penstock_suite.domain.failure import Misconfigured
from penstock_suite.domain.rehearsal import (
    DATABASE,
    REHEARSAL_KEY,
    Document,
    PublicModel,
    Rehearsed,
    public_models,
    staged,
    with_timers,
)
from penstock_suite.domain.requests import RehearseRequest

ShowRow = Callable[[Rehearsed], None]


_AT_ONCE = 4
_SECRET_BYTES = 32


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
            for upstream in sorted(model.upstreams):
                opening = _scripted_triton if upstream in model.tritons else _scripted_openai
                records[upstream], addresses[upstream] = await stack.enter_async_context(opening(upstream, stage))
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


async def built_house(folder: Path) -> House:
    """Return a house in a folder that is its own."""
    await upgrade_schema(StorageSettings.model_validate({"sql": f"sqlite:///{folder}/{DATABASE}"}))
    return House(folder)


@asynccontextmanager
async def _scripted_openai(name: str, stage: Stage) -> AsyncGenerator[tuple[Record, str]]:
    async with OpenAIUpstream(lambda model: stage.part_of(name, model), gates=stage.gates) as server:
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


_LEAVING_SECONDS = 10.0


async def rehearse(request: RehearseRequest, show: ShowRow) -> None:
    """Tell what became of each row, in the order of the table, streamed and whole.

    Raises:
        ConfigurationError: if the configuration cannot be used.
        Misconfigured: if it has no model of that name, or the table no row.
    """
    rows = rows_named(request.only)
    document, model = _staged_model(request)
    with (
        Path(os.devnull).open("w", encoding="utf-8") as nowhere,
        TemporaryDirectory(prefix="penstock-rehearsal-") as at,
    ):
        # What the stack would log of each row is what the rows are there to provoke.
        configure_logging(stream=nowhere)
        house = await built_house(Path(at))
        turns = asyncio.Semaphore(_AT_ONCE)

        async def one(row: Row, mode: Mode) -> Rehearsed:
            if skipped := _why_not(model, row):
                return Rehearsed(model=model.name, row=row.id, did=row.first.about, mode=mode, skipped=skipped)
            async with turns:
                return _told(model, await house.play(document, model, row, mode))

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one(row, mode)) for row in rows for mode in Mode]
            for task in tasks:
                show(await task)


def rows_named(names: Sequence[str]) -> list[Row]:
    """Return the rows that are named, by number, name or both; all of them where none is.

    Raises:
        Misconfigured: if there is none of a name.
    """
    for name in names:
        if not any(name in _names_of(row) for row in ROWS):
            raise Misconfigured(f"--only: there is no row '{name}'; there are {', '.join(row.id for row in ROWS)}")
    return [row for row in ROWS if not names or _names_of(row) & set(names)]


def _names_of(row: Row) -> set[str]:
    return {row.id, row.name, str(row.number)}


def _staged_model(request: RehearseRequest) -> tuple[Document, PublicModel]:
    """Return the configuration, and the model of it that is rehearsed."""
    configuration = known_part(request.selection, load(request.selection))
    # Says with file and line what is wrong with upstreams and models, and reads nobody's key.
    configuration.settings(RouterSettings)
    document = dict(configuration.document)
    models = {model.name: model for model in public_models(document)}
    if not models:
        raise Misconfigured(f"{configuration.source} has no model to rehearse with: name one under 'models'")
    if request.model and request.model not in models:
        raise Misconfigured(f"--model: there is no '{request.model}'; there are {', '.join(models)}")
    with_others = [model for model in models.values() if len(model.candidates) > 1]
    chosen = models[request.model] if request.model else (*with_others, *models.values())[0]
    return (document if request.timers is None else with_timers(document, request.timers)), chosen


def _why_not(model: PublicModel, row: Row) -> str:
    """Return why a row cannot be played for the model; empty where it can."""
    if len(model.candidates) == 1 and row.others is not SCRIPTS["good"]:
        return "the model has no other candidate"
    if not model.on_triton[0]:
        return ""
    from penstock_faults.triton import plays

    return "" if plays(row.first) else "only HTTP can go wrong so, and a Triton is asked first"


def _told(model: PublicModel, played: Play) -> Rehearsed:
    return Rehearsed(
        model=model.name,
        row=played.row.id,
        did=played.row.first.about,
        mode=played.mode.value,
        sees=played.sight.told,
        attempts={candidate: len(requests) for candidate, requests in played.asked.items()},
        seconds=round(played.sight.seconds, 3),
        faults=tuple(faults_in(played)),
    )
