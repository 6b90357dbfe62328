"""The local Triton: how it is started, what it is given, and how it is asked whether it serves.

The environment is the one that `deploy/triton/install.sh` makes. `deploy/triton/README.md` says why each flag is there.
"""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from penstock_suite.adapters.process import Command, Probe
from penstock_suite.domain.failure import SuiteFailure

if TYPE_CHECKING:
    import grpc

EXIT_TIMEOUT_SECONDS = 5
MATRIX_THREADS = "1"  # of numpy's matrix products: more of them contend with the services for the same cores
# Loading a model is running its code, and shared memory is everybody's: both are for whoever has the key.
_RESTRICTED = "model-repository,model-config,shared-memory"
CONTROL_KEY_NAME = "penstock-control"
_SERVER_READY = "/inference.GRPCInferenceService/ServerReady"
# ServerReadyResponse{ready: true} on the wire: field 1, varint 1.
_READY = b"\x08\x01"
_PROBE_TIMEOUT_SECONDS = 1.0
_STOP_TIMEOUT = timedelta(seconds=15)


@dataclass(frozen=True, slots=True)
class ExplicitControl:
    """Models are loaded and unloaded on request, by whoever sends the key; these are loaded at the start."""

    models: tuple[str, ...]
    key: str


def triton_command(
    environment: Path, repository: Path, *, grpc_port: int, metrics_port: int, control: ExplicitControl | None = None
) -> tuple[list[str], dict[str, str]]:
    """Argv of a tritonserver on loopback, and the variables to set over the present ones.

    Without ``control`` every model of the repository is loaded, and stays. Raises FileNotFoundError, naming what is missing, if install.sh has not made the environment.
    """
    environment = environment.absolute()
    packages = _packages(environment)
    server = packages / "pytriton" / "tritonserver"
    argv = [
        str(server / "bin" / "tritonserver"),
        f"--model-repository={repository.absolute()}",
        f"--backend-directory={environment / 'backends'}",
        *_control_flags(control),
        "--allow-http=false",
        "--grpc-address=127.0.0.1",
        f"--grpc-port={grpc_port}",
        "--metrics-address=127.0.0.1",
        f"--metrics-port={metrics_port}",
        "--allow-gpu-metrics=false",
        "--disable-auto-complete-config",
        f"--exit-timeout-secs={EXIT_TIMEOUT_SECONDS}",
    ]
    return argv, _variables(environment, packages)


def _control_flags(control: ExplicitControl | None) -> list[str]:
    if control is None:
        return ["--model-control-mode=none"]
    return [
        "--model-control-mode=explicit",
        *(f"--load-model={model}" for model in control.models),
        f"--grpc-restricted-protocol={_RESTRICTED}:{CONTROL_KEY_NAME}={control.key}",
    ]


def _packages(environment: Path) -> Path:
    found = sorted(environment.glob("lib/python3.*/site-packages/pytriton"))
    if not found or not (environment / "backends").is_dir():
        raise FileNotFoundError(f"no Triton in {environment}: run deploy/triton/install.sh {environment}")
    return found[0].parent


def _variables(environment: Path, packages: Path) -> dict[str, str]:
    # The stub links libpython: without the interpreter's own lib folder (pyenv, uv) it takes the system's, pairs it
    # with the wrong standard library and dies on `_recursion_count`.
    libraries = [packages / "nvidia_pytriton.libs", _interpreter_home(environment) / "lib"]
    inherited = os.environ.get("LD_LIBRARY_PATH")
    return {
        "LD_LIBRARY_PATH": os.pathsep.join([*map(str, libraries), *([inherited] if inherited else [])]),
        # The stub takes its packages from the first python3 on the path.
        "PATH": os.pathsep.join([str(environment / "bin"), os.environ.get("PATH", os.defpath)]),
        "OPENBLAS_NUM_THREADS": MATRIX_THREADS,
        "TOKENIZERS_PARALLELISM": "false",
    }


def _interpreter_home(environment: Path) -> Path:
    """The prefix of the Python that made the environment: two levels above its real executable."""
    return (environment / "bin" / "python3").resolve().parent.parent


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
    import grpc

    ask = channel.unary_unary(_SERVER_READY)

    async def is_ready() -> bool:
        try:
            answer: bytes = await ask(b"", timeout=_PROBE_TIMEOUT_SECONDS)
        except grpc.aio.AioRpcError:
            return False
        return answer == _READY

    return is_ready
