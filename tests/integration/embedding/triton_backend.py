"""A Python backend for the Triton of the tests: real vectors, in float32 by ``bert_reference.py``, which lies beside it.

The variable ``BERT_WEIGHTS`` names the safetensors file. Parameters of ``config.pbtxt``: with ``gate``, a named pipe, each
batch waits until somebody opens it to write; ``fault`` says how an answer is spoilt.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import triton_python_backend_utils as triton  # pyright: ignore[reportMissingImports] - Triton brings it
from bert_reference import BertReference

triton: Any


class TritonPythonModel:
    def initialize(self, args: dict[str, str]) -> None:
        parameters = json.loads(args["model_config"])["parameters"]
        self._parameters = {name: value["string_value"] for name, value in parameters.items()}
        self._bert: BertReference | None = None

    def execute(self, requests: list[Any]) -> list[Any]:
        if gate := self._parameters.get("gate"):
            Path(gate).open("rb").close()
        return [self._answer(request) for request in requests]

    def _answer(self, request: Any) -> Any:
        fault = self._parameters.get("fault")
        if fault == "error":
            return triton.InferenceResponse(error=triton.TritonError("out of memory at 0x7f"))
        vectors = self._vectors(*(self._tensor(request, name) for name in ("input_ids", "attention_mask")))
        if fault == "nan":
            vectors[0, 0] = np.nan
        if fault == "missing":
            vectors = vectors[1:]
        return triton.InferenceResponse([triton.Tensor("embedding", vectors)])

    def _tensor(self, request: Any, name: str) -> Any:
        return triton.get_input_tensor_by_name(request, name).as_numpy()

    def _vectors(self, token_ids: Any, mask: Any) -> Any:
        self._bert = self._bert or BertReference(Path(os.environ["BERT_WEIGHTS"]))
        # Of another length than 1: what comes back is normalised here.
        rows = [self._bert.vector(row[:length]) * 3 for row, length in zip(token_ids, mask.sum(axis=1), strict=True)]
        return np.array(rows, np.float32)
