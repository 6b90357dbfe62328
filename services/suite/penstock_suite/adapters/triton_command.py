"""How the local Triton server is started: its command line and its environment variables.

The environment is the one that `deploy/triton/install.sh` makes. `deploy/triton/README.md` says why each flag is there.
"""

import os
from dataclasses import dataclass
from pathlib import Path

EXIT_TIMEOUT_SECONDS = 5
MATRIX_THREADS = "1"  # of numpy's matrix products: more of them contend with the services for the same cores
# Loading a model is running its code, and shared memory is everybody's: both are for whoever has the key.
_RESTRICTED = "model-repository,model-config,shared-memory"
CONTROL_KEY_NAME = "penstock-control"


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
