"""`penstock config reload`: asks the stack that runs on a folder to read its configuration again, and waits for the end."""

from __future__ import annotations

import os
import signal
import time
from datetime import timedelta

from penstock_suite.adapters.process import came_true
from penstock_suite.adapters.state_files import is_running, open_state_folder, read_last_reload, read_run_record
from penstock_suite.app.plan import state_root
from penstock_suite.app.running_stack import nothing_runs
from penstock_suite.domain.failure import Refused, SuiteFailure, Unreachable
from penstock_suite.domain.reload import Reload
from penstock_suite.domain.requests import Selection


async def reload_stack(selection: Selection, patience: timedelta) -> Reload:
    """Return what became of the reload.

    Raises:
        Unreachable: if no stack runs on the folder, or it ends meanwhile.
        Refused: if it is somebody else's.
        SuiteFailure: if it does not answer within ``patience``.
    """
    state = open_state_folder(state_root(selection.state))
    record = read_run_record(state)
    if record is None:
        raise nothing_runs(state)
    asked_ns = time.monotonic_ns()
    try:
        os.kill(record.pid, signal.SIGHUP)
    except ProcessLookupError:
        raise nothing_runs(state) from None
    except PermissionError:
        raise Refused(f"the stack, process {record.pid}, is another user's") from None
    answer: list[Reload] = []

    async def is_answered() -> bool:
        last = read_last_reload(state)
        # One that had begun before may have read the file as it was.
        if last is not None and last.began_ns >= asked_ns:
            answer.append(last)
        return bool(answer)

    if await came_true(is_answered, patience, lambda: not is_running(record.pid)):
        return answer[0]
    if not is_running(record.pid):
        raise Unreachable(f"the stack, process {record.pid}, has ended; see {state.log('penstock')}")
    raise SuiteFailure(
        f"the stack did not answer within {patience.total_seconds():g} s; see {state.log('penstock')} and 'penstock status'"
    )
