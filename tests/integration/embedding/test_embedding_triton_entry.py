"""What deploy/triton/embedding/render.py writes: held against the graph, and on a real Triton behind a stand-in backend."""

from __future__ import annotations

import asyncio
import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import yaml
from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2

sys.path.insert(0, str(Path(__file__).parent))

from batched import batched_vectors  # noqa: E402
from embedding_texts import SENTENCES  # noqa: E402
from local_triton import ENVIRONMENT, LocalTriton  # noqa: E402

from penstock_common.contract.embedding import EmbedRequest  # noqa: E402
from penstock_common.contract.wire.embedding import EMBED  # noqa: E402
from penstock_common.testing.transports import IN_PROCESS, channel_to  # noqa: E402
from penstock_embedding.adapters.model_files import ModelFiles  # noqa: E402
from penstock_embedding.adapters.onnx_model import OnnxModel  # noqa: E402
from penstock_embedding.adapters.tokenization import tensors_of  # noqa: E402
from penstock_embedding.app import build  # noqa: E402
from penstock_embedding.settings import Settings  # noqa: E402

HERE = Path(__file__).parent
SCRIPT = HERE.parents[2] / "deploy" / "triton" / "embedding" / "render.py"
LEAST_COSINE = 0.99
NAME = "all-MiniLM-L6-v2"
TYPES = {onnx.TensorProto.INT64: "TYPE_INT64", onnx.TensorProto.FLOAT: "TYPE_FP32"}
pytestmark = pytest.mark.timeout(180)


def render(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(SCRIPT), "--repository", str(folder), *options]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def rendered(model_files: ModelFiles, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """The entry's folder, and the configuration that was printed."""
    repository = tmp_path_factory.mktemp("entry")
    finished = render(repository, "--instances", "2")
    assert finished.returncode == 0, finished.stderr
    return repository / NAME, yaml.safe_load(finished.stdout)


def config_of(folder: Path) -> Any:
    config: Any = model_config_pb2
    return text_format.Parse((folder / "config.pbtxt").read_text(), config.ModelConfig())


def assert_fits(folder: Path) -> None:
    """The configuration names the graph's tensors, their types and, after the batch, their sizes."""
    config = config_of(folder)
    graph = onnx.load(str(folder / "1" / "model.onnx")).graph
    for named, tensors in ((config.input, graph.input), (config.output, graph.output)):
        sizes = [[axis.dim_value or -1 for axis in tensor.type.tensor_type.shape.dim][1:] for tensor in tensors]
        types = [TYPES[tensor.type.tensor_type.elem_type] for tensor in tensors]
        data_type: Any = model_config_pb2
        assert [tensor.name for tensor in named] == [tensor.name for tensor in tensors]
        assert [data_type.DataType.Name(tensor.data_type) for tensor in named] == types
        assert [list(tensor.dims) for tensor in named] == sizes


def test_the_entry_names_the_graphs_tensors(rendered: tuple[Path, dict[str, Any]]) -> None:
    folder, _ = rendered
    config = config_of(folder)
    assert_fits(folder)
    assert (config.name, config.backend, config.max_batch_size) == (NAME, "onnxruntime", 64)
    assert [group.count for group in config.instance_group] == [2]


def test_a_version_is_not_overwritten(rendered: tuple[Path, dict[str, Any]]) -> None:
    folder, _ = rendered
    finished = render(folder.parent)
    assert finished.returncode == 2
    assert "is there already" in finished.stderr
    assert render(folder.parent, "--instances", "2", "--version", "2").returncode == 0
    assert (folder / "2" / "model.onnx").read_bytes() == (folder / "1" / "model.onnx").read_bytes()


async def test_the_entry_and_the_printed_section_serve_together(
    model_files: ModelFiles, model: OnnxModel, rendered: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    folder, section = rendered
    server = LocalTriton(tmp_path, model_files.weights, repository=folder.parent, backends=_stand_in(tmp_path))
    try:
        await asyncio.to_thread(server.start)
        # The stand-in computes in numpy: seconds, where other work runs beside it.
        section["embedding"]["triton"] |= {"target": server.target, "timeout": "60s"}
        async with build(Settings.model_validate(section)) as service, channel_to(service, IN_PROCESS) as channel:
            response = await channel.call(EMBED, EmbedRequest(texts=SENTENCES))
        there = np.array([vector.values for vector in response.vectors])
        assert (there * batched_vectors(model, SENTENCES)).sum(axis=1).min() >= LEAST_COSINE
    finally:
        server.kill()


def _stand_in(folder: Path) -> Path:
    """Return a backends folder whose ONNX Runtime is the tests' numpy."""
    backends = folder / "backends"
    (backends / "onnxruntime").mkdir(parents=True)
    shutil.copy(HERE / "triton_backend.py", backends / "onnxruntime" / "model.py")
    shutil.copy(HERE / "bert_reference.py", backends / "onnxruntime")
    (backends / "python").symlink_to(ENVIRONMENT / "backends" / "python")
    return backends


def test_the_float16_graph_of_a_gpu_agrees_with_our_own(
    model_files: ModelFiles, model: OnnxModel, tmp_path: Path
) -> None:
    pytest.importorskip("sentence_transformers", reason="sentence-transformers is not installed: run 'make parity'")
    finished = render(tmp_path, "--device", "gpu", "--path", str(model_files.folder))
    assert finished.returncode == 0, finished.stderr
    assert_fits(tmp_path / NAME)
    graph = tmp_path / NAME / "1" / "model.onnx"
    session = onnxruntime.InferenceSession(str(graph), providers=["CPUExecutionProvider"])
    token_ids, mask = tensors_of(model.prepare(SENTENCES))
    outputs: Any = session.run(["embedding"], {"input_ids": token_ids, "attention_mask": mask})
    assert (outputs[0] * batched_vectors(model, SENTENCES)).sum(axis=1).min() >= LEAST_COSINE


def test_a_float16_graph_without_torch_says_what_to_do(model_files: ModelFiles, tmp_path: Path) -> None:
    if importlib.util.find_spec("sentence_transformers") is not None:
        pytest.skip("sentence-transformers is installed")
    finished = render(tmp_path, "--device", "gpu", "--path", str(model_files.folder))
    assert finished.returncode == 2
    assert "torch is not installed: run this by scripts/torch.sh" in finished.stderr
    assert not list(tmp_path.rglob("*"))
