"""What workers ask of the database costs as much with many jobs as with few: nothing looks at all there are."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Generator
from contextlib import closing, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, event
from tests.integration.gateway.jobs_world import LEASE, NOW, JobsWorld, new_job

from penstock_common.llm.types import TextDelta
from penstock_common.sql.database import open_database
from penstock_gateway.domain.jobs.events import Generated
from penstock_gateway.domain.jobs.job import JobEnd, JobError, JobState
from penstock_gateway.domain.jobs.ports import Held, Requeued

LOOKS_AT_ALL = re.compile(r"SCAN (jobs|job_contents|job_events)\b")
SAID = (Generated((TextDelta("so"),)),)
DAY = timedelta(days=1)


@contextmanager
def _statements() -> Generator[dict[str, Any]]:
    """Yield what is executed, with its first parameters."""
    seen = dict[str, Any]()

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, _context: Any, is_many: bool) -> None:
        if statement.startswith(("SELECT", "UPDATE", "DELETE", "WITH")):
            seen.setdefault(statement, parameters[0] if is_many else parameters)

    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        event.remove(Engine, "before_cursor_execute", note)


async def test_no_statement_of_a_worker_looks_at_all_jobs(tmp_path: Path) -> None:
    """SQLite says how it would find what each asks for."""
    async with open_database(f"sqlite:///{tmp_path}/jobs.db") as engine:
        world = await JobsWorld.over(engine)
        await world.accept(*(new_job() for _ in range(40)))
        with _statements() as seen:
            claimed = [Held(one.job.id, one.job.epoch) for one in await world.claim()]
            await world.queue.beat(claimed, NOW + LEASE)
            assert await world.queue.append(claimed[0], SAID, NOW, after=0) == 1
            assert await world.queue.commit(claimed[0], JobEnd(state=JobState.SUCCEEDED, result=b"x"), NOW, SAID)
            assert await world.queue.put_back(claimed[1], Requeued(due_at=NOW, error=JobError("A", "b")), NOW)
            assert await world.queue.reclaim(NOW + 2 * LEASE, NOW, 9)
            assert await world.queue.expire(NOW + 2 * DAY, 9)
            await world.queue.forget(NOW, NOW - DAY, 9)
            await world.queue.forget_lanes(NOW - DAY, 9)
    assert len(seen) > 15
    with closing(sqlite3.connect(tmp_path / "jobs.db")) as database:
        plans = {text: database.execute(f"EXPLAIN QUERY PLAN {text}", given).fetchall() for text, given in seen.items()}
    at_all = {text: [row[3] for row in plan] for text, plan in plans.items() if LOOKS_AT_ALL.search(str(plan))}
    assert not at_all
