"""The tensors of a model that makes embeddings, and what is sent and comes back.

They are those of our own graph, which Triton's ONNX backend serves as it is:
``input_ids`` and ``attention_mask``, int64 ``[texts, tokens]``, to
``embedding``, float32 ``[texts, values]``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from tritonclient.grpc import service_pb2

from penstock_embedding.adapters.tokenization import tensors_of
from penstock_embedding.domain.batching import PreparedText
from penstock_embedding.domain.embedder import Vector

TOKEN_IDS = "input_ids"  # noqa: S105 - a tensor's name
ATTENTION_MASK = "attention_mask"
OUTPUT = "embedding"

_INPUTS = (TOKEN_IDS, ATTENTION_MASK)
_WANTED = {TOKEN_IDS: "INT64", ATTENTION_MASK: "INT64", OUTPUT: "FP32"}
_AXES = 2
_VALUE_BYTES = 4
_SMALLEST = 1e-12
# The generated code has no types.
_pb: Any = service_pb2


class Malformed(Exception):
    """What came is not what was asked for."""


def check_tensors(metadata: Any) -> None:
    """Raise Malformed, with what the model has and what it should have, if a ``ModelMetadataResponse`` names others."""
    inputs = {tensor.name: tensor for tensor in metadata.inputs}
    outputs = {tensor.name: tensor for tensor in metadata.outputs}
    found = {**inputs, OUTPUT: outputs.get(OUTPUT)}
    fits = inputs.keys() == set(_INPUTS) and all(
        tensor is not None and tensor.datatype == _WANTED[name] and len(tensor.shape) == _AXES
        for name, tensor in found.items()
    )
    if not fits:
        raise Malformed(
            f"it takes {_listed(metadata.inputs)} and gives {_listed(metadata.outputs)}; wanted are "
            f"{TOKEN_IDS} and {ATTENTION_MASK}, INT64 [texts, tokens], to {OUTPUT}, FP32 [texts, values]"
        )


def request_of(model: str, version: str, batch: Sequence[PreparedText]) -> Any:
    """Return the ``ModelInferRequest`` of texts that run together."""
    request = _pb.ModelInferRequest(model_name=model, model_version=version)
    for name, tensor in zip(_INPUTS, tensors_of(batch), strict=True):
        request.inputs.add(name=name, datatype=_WANTED[name], shape=tensor.shape)
        request.raw_input_contents.append(tensor.astype("<i8", copy=False).tobytes())
    request.outputs.add(name=OUTPUT)
    return request


def vectors_from(response: Any, texts: int) -> list[Vector]:
    """Return the L2-normalised vectors of a ``ModelInferResponse``.

    Raises:
        Malformed: if they are not one per text, or are none.
    """
    raw = response.raw_output_contents
    if [output.name for output in response.outputs] != [OUTPUT] or len(raw) != 1:
        raise Malformed("the answer has other tensors")
    shape = tuple(response.outputs[0].shape)
    if len(shape) != _AXES or shape[0] != texts or not shape[1] or len(raw[0]) != _VALUE_BYTES * shape[0] * shape[1]:
        raise Malformed(f"the tensor of {texts} texts has the shape {list(shape)} and {len(raw[0])} bytes")
    vectors: npt.NDArray[np.float32] = np.frombuffer(raw[0], "<f4").reshape(shape)
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    if not np.isfinite(lengths).all() or lengths.min() < _SMALLEST:
        raise Malformed("a vector is no direction")
    return (vectors / lengths).tolist()


def _listed(tensors: Any) -> str:
    return ", ".join(f"{tensor.name} {tensor.datatype} {list(tensor.shape)}" for tensor in tensors) or "nothing"
