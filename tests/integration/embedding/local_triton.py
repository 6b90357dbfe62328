"""A real Triton with embedding models, which a test may kill and start again."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from pathlib import Path
from typing import Any

import grpc
import pytest
from tritonclient.grpc import service_pb2, service_pb2_grpc

from penstock_common.testing.ports import free_ports
from penstock_suite.adapters.triton import triton_command

ENVIRONMENT = Path(os.environ.get("PENSTOCK_TRITON_ENV", Path(__file__).parents[3] / ".triton"))
HERE = Path(__file__).parent
_START_SECONDS = 60

_CONFIG = """
name: "%(name)s"
backend: "python"
max_batch_size: %(max_batch)d
instance_group [ { kind: KIND_CPU, count: 1 } ]
parameters [ %(parameters)s ]
input [
  { name: "input_ids", data_type: TYPE_INT64, dims: [ -1 ] },
  { name: "attention_mask", data_type: TYPE_INT64, dims: [ -1 ] }
]
output [ { name: "%(output)s", data_type: TYPE_FP32, dims: [ 384 ] } ]
"""


class LocalTriton:
    """Serves what was added before it was started, or a repository of its own; ``target`` stays the same."""

    def __init__(
        self, folder: Path, weights: Path, repository: Path | None = None, backends: Path | None = None
    ) -> None:
        if not (ENVIRONMENT / "backends").is_dir():
            pytest.skip(f"no Triton in {ENVIRONMENT}: run deploy/triton/install.sh")
        self._folder = folder
        self._repository = repository or folder / "repository"
        self._backends = backends or ENVIRONMENT / "backends"
        self._weights = weights
        self._process: subprocess.Popen[bytes] | None = None
        self._ports = free_ports(2)
        self.target = f"127.0.0.1:{self._ports[0]}"

    def add(self, name: str, *, max_batch: int = 64, output: str = "embedding", **parameters: str) -> None:
        version = self._repository / name / "1"
        version.mkdir(parents=True)
        shutil.copy(HERE / "triton_backend.py", version / "model.py")
        shutil.copy(HERE / "bert_reference.py", version)
        pairs = [f'{{ key: "{key}", value: {{ string_value: "{value}" }} }}' for key, value in parameters.items()]
        listed = ", ".join(pairs)
        values = {"name": name, "max_batch": max_batch, "output": output, "parameters": listed}
        (self._repository / name / "config.pbtxt").write_text(_CONFIG % values)

    def start(self) -> None:
        """Return when every model is ready."""
        grpc_port, metrics_port = self._ports
        argv, variables = triton_command(ENVIRONMENT, self._repository, grpc_port=grpc_port, metrics_port=metrics_port)
        argv = [flag for flag in argv if not flag.startswith("--backend-directory")]
        argv.append(f"--backend-directory={self._backends}")
        environment = {**os.environ, **variables, "BERT_WEIGHTS": str(self._weights)}
        with (self._folder / "triton.log").open("ab") as log:
            self._process = subprocess.Popen(argv, env=environment, stdout=log, stderr=log, start_new_session=True)
        stub: Any = service_pb2_grpc.GRPCInferenceServiceStub
        ready: Any = service_pb2.ServerReadyRequest  # pyright: ignore[reportAttributeAccessIssue] - generated, untyped
        with grpc.insecure_channel(self.target) as channel:
            assert stub(channel).ServerReady(ready(), timeout=_START_SECONDS, wait_for_ready=True).ready

    def kill(self) -> None:
        """Without notice, with its models' processes: some would wait for it forever."""
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None
