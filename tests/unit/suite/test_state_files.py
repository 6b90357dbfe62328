"""What a stack keeps in its folder."""

import pytest
from msgspec.structs import replace

from penstock_suite.adapters.state_files import (
    open_state_folder,
    read_worker_plan,
    write_worker_plan,
    write_worker_plans,
)
from penstock_suite.domain.failure import SuiteFailure
from penstock_suite.domain.run_record import WorkerPlan


def plan(name):
    return WorkerPlan(
        name=name, document={}, source="penstock.yaml", revision="before", revisions="", grpc="", grpc_socket="",
        http_socket="", local_triton_models={}, grace_seconds=1.0,
    )  # fmt: skip


def test_plans_of_workers_are_written_all_or_none(tmp_path):
    state = open_state_folder(tmp_path / "state")
    plans = [plan("worker-0"), plan("worker-1")]
    for one in plans:
        write_worker_plan(state, one)
    # Nobody can write there.
    blocked = state.worker_plan("worker-1").with_suffix(".new")
    blocked.mkdir()
    changed = [replace(one, revision="after") for one in plans]
    with pytest.raises(SuiteFailure, match="cannot be written"):
        write_worker_plans(state, changed)
    assert [read_worker_plan(state.worker_plan(one.name)) for one in plans] == plans
    blocked.rmdir()
    write_worker_plans(state, changed)
    assert [read_worker_plan(state.worker_plan(one.name)) for one in plans] == changed
    assert state.worker_plan("worker-0").stat().st_mode & 0o777 == 0o600
