from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence

import pytest

from penstock_embedding.adapters.model_worker import ModelIdentity, ModelWorker
from penstock_embedding.domain.account import Account
from penstock_embedding.domain.batching import PreparedText
from penstock_embedding.domain.embedder import Vector

IDENTITY = ModelIdentity("gate", "1")
LONG = "x" * 5000


class GateModel:
    """Runs a batch only when the test opens the gate, and records what ran where."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.entered = threading.Event()
        self.ran: list[str] = []
        self.prepared_by: list[threading.Thread] = []

    def prepare(self, texts: Sequence[str]) -> list[PreparedText]:
        self.prepared_by.append(threading.current_thread())
        return [PreparedText(text, len(text), False) for text in texts]

    def run(self, batch: Sequence[PreparedText]) -> list[Vector]:
        self.entered.set()
        assert self.gate.wait(30)
        self.ran.extend(text.content for text in batch)
        return [[1.0] for _ in batch]


async def test_the_loop_goes_on_while_the_model_runs_and_texts_are_prepared() -> None:
    model = GateModel()
    async with ModelWorker.open(model, IDENTITY) as worker, asyncio.TaskGroup() as group:
        job = group.create_task(worker.run(await worker.prepare(["busy"]), None, Account()))
        await asyncio.to_thread(model.entered.wait)
        for text in ("short", LONG):
            (prepared,) = await worker.prepare([text])
            assert prepared.content == text
        assert not job.done()
        model.gate.set()
    assert model.ran == ["busy"]


async def test_only_long_texts_are_prepared_by_a_thread() -> None:
    model = GateModel()
    async with ModelWorker.open(model, IDENTITY) as worker:
        await worker.prepare(["short", "too"])
        await worker.prepare([LONG])
    assert [thread is threading.main_thread() for thread in model.prepared_by] == [True, False]


async def test_closing_waits_for_what_runs_and_drops_what_waits() -> None:
    model = GateModel()
    jobs: list[asyncio.Task[list[Vector]]] = []
    async with ModelWorker.open(model, IDENTITY) as worker:
        texts = await worker.prepare(["0", "1"])
        jobs.extend(asyncio.create_task(worker.run([text], None, Account())) for text in texts)
        await asyncio.to_thread(model.entered.wait)
        asyncio.get_running_loop().call_soon(model.gate.set)
    outcomes = await asyncio.gather(*jobs, return_exceptions=True)
    assert outcomes[0] == [[1.0]]
    assert model.ran[0] == "0"
    assert outcomes[1] == [[1.0]] or isinstance(outcomes[1], asyncio.CancelledError)


async def test_a_failure_of_the_model_reaches_the_caller() -> None:
    class Broken(GateModel):
        def run(self, batch: Sequence[PreparedText]) -> list[Vector]:
            raise ZeroDivisionError

    async with ModelWorker.open(Broken(), IDENTITY) as worker:
        with pytest.raises(ZeroDivisionError):
            await worker.run(await worker.prepare(["a"]), None, Account())
