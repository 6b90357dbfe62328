"""What every test may ask for."""

import os
import sys

import pytest
from hypothesis import HealthCheck, settings

# A busy machine is no defect: neither an example's time nor that of making one is judged.
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")

# With its bytecode kept each start of Python but the first is seconds shorter, and tests start hundreds.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# ONNX Runtime's wheel tells its maker of every session otherwise.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

# Servers are started as another user, which forks; gRPC's own handlers of a fork break the child now and then.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "false")

from penstock_common.testing.postgres_server import PostgresServer, postgres_programs  # noqa: E402 - as above
from penstock_common.testing.transports import TRANSPORTS  # noqa: E402 - as above


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Return what ``--numprocesses auto`` starts: tests wait as long as they compute, and three keep two cores busy."""
    return max(3, os.cpu_count() or 1)


@pytest.fixture(params=TRANSPORTS)
def transport(request):
    """Each of the suite's transports in turn."""
    return request.param


@pytest.fixture(scope="session")
def postgres():
    """A PostgreSQL that all tests share; each takes a database of its own."""
    try:
        postgres_programs()
    except FileNotFoundError as error:
        pytest.skip(str(error))
    with PostgresServer() as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request, tmp_path):
    """An empty database, on each engine in turn."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/penstock.db"
    return request.getfixturevalue("postgres").create_database()
