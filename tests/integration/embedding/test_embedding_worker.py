from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence

import pytest

from penstock_common.errors import Overloaded
from penstock_embedding.adapters.model_worker import ModelIdentity, ModelWorker
from penstock_embedding.domain.embedder import TokenizedText, Vector

IDENTITY = ModelIdentity("gate", "1")


class GateModel:
    """Runs a job only when the test opens the gate, and records what ran."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.entered = threading.Event()
        self.ran: list[str] = []

    def tokenize(self, texts: Sequence[str]) -> list[TokenizedText]:
        self.entered.set()
        assert self.gate.wait(30)
        self.ran.extend(texts)
        return []

    def vectors(self, batch: Sequence[TokenizedText]) -> list[Vector]:
        return []


async def test_a_waiting_job_whose_caller_leaves_never_runs() -> None:
    model = GateModel()
    async with ModelWorker.running(model, IDENTITY, max_waiting=8) as worker, asyncio.TaskGroup() as group:
        running = group.create_task(worker.tokenize(["running"]))
        await asyncio.to_thread(model.entered.wait)
        leaving = group.create_task(worker.tokenize(["leaving"]))
        staying = group.create_task(worker.tokenize(["staying"]))
        await asyncio.sleep(0)
        leaving.cancel()
        await asyncio.wait([leaving])
        model.gate.set()
        await asyncio.wait([running, staying])
    assert leaving.cancelled()
    assert model.ran == ["running", "staying"]


async def test_a_full_queue_refuses_and_recovers() -> None:
    model = GateModel()
    async with ModelWorker.running(model, IDENTITY, max_waiting=1) as worker, asyncio.TaskGroup() as group:
        jobs = [group.create_task(worker.tokenize([str(number)])) for number in range(2)]
        await asyncio.to_thread(model.entered.wait)
        with pytest.raises(Overloaded, match="1 embedding requests wait already"):
            await worker.tokenize(["too many"])
        model.gate.set()
        await asyncio.wait(jobs)
        await worker.tokenize(["again"])
    assert model.ran == ["0", "1", "again"]


async def test_closing_drops_what_waits() -> None:
    model = GateModel()
    jobs: list[asyncio.Task[list[TokenizedText]]] = []
    async with ModelWorker.running(model, IDENTITY, max_waiting=8) as worker:
        jobs.extend(asyncio.create_task(worker.tokenize([str(number)])) for number in range(3))
        await asyncio.to_thread(model.entered.wait)
        asyncio.get_running_loop().call_soon(model.gate.set)
    outcomes = await asyncio.gather(*jobs, return_exceptions=True)
    assert outcomes[0] == []
    assert model.ran[0] == "0"
    assert all(outcome == [] or isinstance(outcome, asyncio.CancelledError) for outcome in outcomes)


async def test_the_loop_goes_on_while_the_model_runs() -> None:
    model = GateModel()
    async with ModelWorker.running(model, IDENTITY, max_waiting=8) as worker, asyncio.TaskGroup() as group:
        job = group.create_task(worker.tokenize(["busy"]))
        await asyncio.to_thread(model.entered.wait)
        assert not job.done()
        model.gate.set()
