"""Takes documents in, in processes that end themselves at counted checkpoints: FOLDER [STAGE COUNT]…, and one to the end."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from knowledge_world import TENANT, open_world

from penstock_common.contract import knowledge_calls as calls
from penstock_common.contract.knowledge import IndexSpec, Splitter
from penstock_common.errors import PenstockError


class Killer:
    """Ends the process, as nothing can be done about, where a stage begins for the n-th time."""

    def __init__(self, stage: str, count: int) -> None:
        self.stage, self.left = stage, count

    def __call__(self, stage: str) -> None:
        if stage == self.stage:
            self.left -= 1
            if not self.left:
                os.kill(os.getpid(), signal.SIGKILL)


async def main(folder: Path, stage: str, count: int) -> None:
    """Do what is in the folder's plan, as far as it was not acknowledged, then take all in and build what is to be built."""
    plan = json.loads((folder / "plan.json").read_text())
    done = folder / "done"
    url = f"sqlite:///{folder}/k.db"
    killer = Killer(stage, count)
    async with open_world(url, folder, checkpoint=killer, runs=False) as world:
        await world.taking.free_all()
        await world.versions.free_all()
        acknowledged = int(done.read_text()) if done.exists() else 0
        for number, step in enumerate(plan):
            if number < acknowledged:
                continue
            await _do(world, step)
            done.write_text(str(number + 1))
        while await world.ingest.take_one():
            pass
        while await world.builder.build_some():
            pass
        await world.sweeper.sweep()


async def _do(world, step) -> None:
    kind, *what = step
    if kind == "base":
        request = calls.PutBaseRequest(tenant=TENANT, id="kb", spec=IndexSpec("one", Splitter("recursive", 32, 0)))
        await world.documents.put_base(request)
    elif kind == "put":
        request = calls.PutDocumentRequest(tenant=TENANT, base="kb", id=what[0], content=what[1].encode())
        await world.documents.put_document(request)
    elif kind == "delete":
        await world.documents.delete_document(calls.DeleteDocumentRequest(TENANT, "kb", what[0]))
    elif kind == "take":
        while await world.ingest.take_one():
            pass
    else:
        try:
            request = calls.BuildIndexRequest(TENANT, "kb", IndexSpec("two", Splitter("recursive", 64, 0)))
            await world.indexes.build_index(request)
        except PenstockError:
            # Begun before the process was killed.
            pass


def lives(folder: Path, kills: list[tuple[str, int]]) -> list[int]:
    """Return how each process has ended, one after the other; what they load is loaded once."""
    ends: list[int] = []
    for stage, count in [*kills, ("never", 0)]:
        child = os.fork()
        if not child:
            asyncio.run(main(folder, stage, count))
            os._exit(0)
        ends.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    return ends


if __name__ == "__main__":
    given = sys.argv[2:]
    print(json.dumps(lives(Path(sys.argv[1]), list(zip(given[::2], map(int, given[1::2]), strict=True)))))
