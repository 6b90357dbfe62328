"""`penstock rehearse`: the table of recovery against a configuration, with scripted upstreams in the place of its own.

Each row has a stack of its own, in this process: what one row teaches about an upstream is nothing to the next.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from penstock_common.logging import configure_logging
from penstock_faults.named import SCRIPTS
from penstock_faults.table import OUTAGE, ROWS, Mode, Outage, Row
from penstock_faults.verdict import Play, Weathered, faults_in, faults_in_outage
from penstock_router.settings import Settings as RouterSettings
from penstock_suite.app.plan import known_part, load
from penstock_suite.app.theatre import House, built_house
from penstock_suite.domain.failure import Misconfigured
from penstock_suite.domain.rehearsal import TRITON, Document, PublicModel, Rehearsed, public_models, with_timers
from penstock_suite.domain.requests import RehearseRequest

ShowRow = Callable[[Rehearsed], None]

_AT_ONCE = 4
_TABLE: tuple[Row | Outage, ...] = tuple(sorted((*ROWS, OUTAGE), key=lambda row: row.number))


async def rehearse(request: RehearseRequest, show: ShowRow) -> None:
    """Tell what became of each row, in the order of the table, streamed and whole.

    Raises:
        ConfigurationError: if the configuration cannot be used.
        Misconfigured: if it has no model of that name, or the table no row.
    """
    rows = rows_named(request.only)
    document, model = _staged_model(request)
    turns = asyncio.Semaphore(_AT_ONCE)

    async def one(house: House, row: Row | Outage, mode: Mode) -> Rehearsed:
        if skipped := _why_not(model, row):
            return Rehearsed(model=model.name, row=row.id, did=did(row), mode=mode, skipped=skipped)
        async with turns:
            if isinstance(row, Outage):
                return _weathered(model, await house.weather(document, model, row, mode), mode)
            return _played(model, await house.play(document, model, row, mode))

    with TemporaryDirectory(prefix="penstock-rehearsal-") as folder, _silence():
        house = await built_house(Path(folder))
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one(house, row, mode)) for row in rows for mode in Mode]
            for task in tasks:
                show(await task)


@contextmanager
def _silence() -> Generator[None]:
    """Keep what the stack logs to itself: it is what the rows are there to provoke."""
    with Path(os.devnull).open("w", encoding="utf-8") as nowhere:
        configure_logging(stream=nowhere)
        try:
            yield
        finally:
            # Whoever still has something to say must not meet a closed file.
            configure_logging()


def rows_named(names: Sequence[str]) -> list[Row | Outage]:
    """Return the rows that are named, by number, name or both; all of them where none is.

    Raises:
        Misconfigured: if there is none of a name.
    """
    for name in names:
        if not any(name in _names_of(row) for row in _TABLE):
            raise Misconfigured(f"--only: there is no row '{name}'; there are {', '.join(row.id for row in _TABLE)}")
    return [row for row in _TABLE if not names or _names_of(row) & set(names)]


def _names_of(row: Row | Outage) -> set[str]:
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


def _why_not(model: PublicModel, row: Row | Outage) -> str:
    """Return why a row cannot be played for the model; empty where it can."""
    needs_others = isinstance(row, Outage) or row.others is not SCRIPTS["good"]
    if len(model.candidates) == 1 and needs_others:
        return "the model has no other candidate"
    if model.providers[0] != TRITON:
        return ""
    from penstock_faults.triton import plays

    return "" if plays(row.first) else "only HTTP can go wrong so, and a Triton is asked first"


def did(row: Row | Outage) -> str:
    """Return what the upstreams did, in words."""
    others = "" if isinstance(row, Outage) or row.others is SCRIPTS["good"] else f"; the next one {row.others.about}"
    return row.first.about + others


def _played(model: PublicModel, played: Play) -> Rehearsed:
    return Rehearsed(
        model=model.name,
        row=played.row.id,
        did=did(played.row),
        mode=played.mode.value,
        sees=played.sight.told,
        attempts={candidate: len(requests) for candidate, requests in played.asked.items()},
        seconds=round(played.sight.seconds, 3),
        faults=tuple(faults_in(played)),
    )


def _weathered(model: PublicModel, weathered: Weathered, mode: Mode) -> Rehearsed:
    back = weathered.back_at
    told = "never used again" if back is None else f"used again {back - weathered.well_at:.1f} s after it was well"
    return Rehearsed(
        model=model.name,
        row=weathered.outage.id,
        did=did(weathered.outage),
        mode=mode.value,
        sees=f"{len(weathered.sights)} requests; {told}",
        attempts={weathered.first: len(weathered.asked)},
        seconds=round(weathered.sights[-1][0], 3),
        faults=tuple(faults_in_outage(weathered)),
    )
