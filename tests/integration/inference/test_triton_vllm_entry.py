"""An entry of deploy/triton/vllm on a real Triton. The backend is a stand-in: vLLM wants a GPU and gigabytes."""

import subprocess
import sys
from pathlib import Path

import pytest

VLLM = Path(__file__).parents[3] / "deploy" / "triton" / "vllm"
# A Python-based backend, as vLLM's is: it says what it was told, in two responses.
STAND_IN = """
import json
import os

import numpy as np
import triton_python_backend_utils as pb_utils


def text(name, value):
    return pb_utils.Tensor(name, np.array([value.encode()], dtype=np.object_))


def count(name, value):
    return pb_utils.Tensor(name, np.array([value], dtype=np.uint32))


class TritonPythonModel:
    def initialize(self, args):
        with open(os.path.join(pb_utils.get_model_dir(), "model.json")) as file:
            self.arguments = json.load(file)
        assert pb_utils.using_decoupled_model_transaction_policy(json.loads(args["model_config"]))

    def execute(self, requests):
        for request in requests:
            sender = request.get_response_sender()
            for name in ("stream", "return_finish_reason", "return_num_input_tokens", "return_num_output_tokens"):
                assert pb_utils.get_input_tensor_by_name(request, name).as_numpy()[0]
            for said, reason in ((self.arguments["model"], ""), (" is told", "stop")):
                tensors = [
                    text("text_output", said),
                    text("finish_reason", reason),
                    count("num_input_tokens", 5),
                    count("num_output_tokens", 1),
                ]
                sender.send(pb_utils.InferenceResponse(tensors))
            sender.send(flags=pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL)
"""


@pytest.fixture
def backends(tmp_path):
    from_environment = Path(__file__).parents[3] / ".triton" / "backends"
    if not from_environment.is_dir():
        pytest.skip("no Triton in .triton: run deploy/triton/install.sh .triton")
    folder = tmp_path / "backends"
    (folder / "vllm").mkdir(parents=True)
    (folder / "vllm" / "model.py").write_text(STAND_IN)
    (folder / "python").symlink_to(from_environment / "python")
    return folder


async def test_a_rendered_entry_loads_and_answers_through_the_contract(serve, start_triton, backends, tmp_path):
    models = tmp_path / "models"
    command = [sys.executable, VLLM / "render.py", "org/some-model", "--repository", models, "--quantization", "awq"]
    subprocess.run(command, check=True, capture_output=True)
    target = await start_triton(models, ["some-model"], backends=backends)
    settings = [{"name": "some-model", "context_window": 8192}]
    service = await serve({"name": "gpu", "provider": "triton", "grpc": target, "models": settings})
    outcome = await service.ask("gpu/some-model")
    assert outcome.error is None
    assert outcome.answer.text == "org/some-model is told"
    assert (outcome.answer.usage.input_tokens, outcome.answer.usage.output_tokens) == (5, 2)
