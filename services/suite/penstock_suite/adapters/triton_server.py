"""The local Triton: where it is, how it is asked whether it serves, what it is given."""

from __future__ import annotations

import signal
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import grpc

from penstock_suite.adapters.probe import Probe
from penstock_suite.adapters.process import Command
from penstock_suite.adapters.triton_command import ExplicitControl, triton_command
from penstock_suite.domain.failure import SuiteFailure

_SERVER_READY = "/inference.GRPCInferenceService/ServerReady"
# ServerReadyResponse{ready: true} on the wire: field 1, varint 1.
_READY = b"\x08\x01"
_PROBE_TIMEOUT_SECONDS = 1.0
_STOP_TIMEOUT = timedelta(seconds=15)


@dataclass(frozen=True, slots=True)
class TritonFolders:
    """The environment that ``deploy/triton/install.sh`` makes, and a model repository."""

    environment: Path
    repository: Path


def triton_server_command(
    folders: TritonFolders, grpc_port: int, metrics_port: int, control: ExplicitControl | None = None
) -> Command:
    """Return the command of a Triton on loopback.

    Raises:
        SuiteFailure: if the environment or the repository is missing; the sentence says what to do.
    """
    if not folders.repository.is_dir():
        raise SuiteFailure(
            f"there is no Triton model repository at {folders.repository}: name one under 'local.triton_repository', "
            "or start with --without-triton"
        )
    try:
        argv, environment = triton_command(
            folders.environment, folders.repository, grpc_port=grpc_port, metrics_port=metrics_port, control=control
        )
    except FileNotFoundError:
        raise SuiteFailure(
            f"there is no Triton in {folders.environment}: run 'make setup' or "
            f"'deploy/triton/install.sh {folders.environment}', or start with --without-triton"
        ) from None
    return Command(
        name="triton",
        title="Triton",
        argv=tuple(argv),
        environment=environment,
        stop_timeout=_STOP_TIMEOUT,
        # In order: killed, it would leave its models' processes and their shared memory behind.
        death_signal=signal.SIGTERM,
    )


def missing_model(folders: TritonFolders, models: list[str]) -> str:
    """Return the first of ``models`` that the repository does not hold; empty if all are there."""
    return next((name for name in models if not (folders.repository / name).is_dir()), "")


def triton_probe(channel: grpc.aio.Channel) -> Probe:
    """Return a probe that is true when Triton and its models are ready."""
    ask = channel.unary_unary(_SERVER_READY)

    async def is_ready() -> bool:
        try:
            answer: bytes = await ask(b"", timeout=_PROBE_TIMEOUT_SECONDS)
        except grpc.aio.AioRpcError:
            return False
        return answer == _READY

    return is_ready
