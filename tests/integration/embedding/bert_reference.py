"""BERT sentence embeddings in float32 and plain numpy, one text at a time: what the graph must agree with.

Runs as a program of its own, with one BLAS thread: on a busy machine OpenBLAS'
threads spin for one another, and a second becomes ten.
"""

from __future__ import annotations

import io
import json
import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file

HEADS = 12
LAYERS = 6
EPSILON = 1e-12


def _erf(x: Any) -> Any:
    """Abramowitz and Stegun, 7.1.26: at most 1.5e-7 off."""
    t = 1 / (1 + 0.3275911 * np.abs(x))
    series = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))))
    return np.sign(x) * (1 - series * np.exp(-(x**2)))


class BertReference:
    def __init__(self, weights: Path) -> None:
        self._weights = load_file(weights)

    def vector(self, token_ids: list[int]) -> Any:
        states = self._weights["embeddings.word_embeddings.weight"][token_ids]
        states = states + self._weights["embeddings.position_embeddings.weight"][: len(token_ids)]
        states = states + self._weights["embeddings.token_type_embeddings.weight"][0]
        states = self._norm(states, "embeddings.LayerNorm")
        for layer in range(LAYERS):
            states = self._layer(states, f"encoder.layer.{layer}.")
        mean = states.mean(axis=0)
        return mean / np.linalg.norm(mean)

    def _layer(self, states: Any, name: str) -> Any:
        query, key, value = (
            self._dense(states, f"{name}attention.self.{kind}").reshape(len(states), HEADS, -1).transpose(1, 0, 2)
            for kind in ("query", "key", "value")
        )
        scores = query @ key.transpose(0, 2, 1) / math.sqrt(query.shape[-1])
        shares = np.exp(scores - scores.max(axis=-1, keepdims=True))
        shares /= shares.sum(axis=-1, keepdims=True)
        mixed = (shares @ value).transpose(1, 0, 2).reshape(len(states), -1)
        attended = self._dense(mixed, name + "attention.output.dense") + states
        attended = self._norm(attended, name + "attention.output.LayerNorm")
        wide = self._dense(attended, name + "intermediate.dense")
        wide = wide * 0.5 * (1 + _erf(wide / math.sqrt(2)))
        return self._norm(self._dense(wide, name + "output.dense") + attended, name + "output.LayerNorm")

    def _dense(self, states: Any, name: str) -> Any:
        return states @ self._weights[name + ".weight"].T + self._weights[name + ".bias"]

    def _norm(self, states: Any, name: str) -> Any:
        centred = states - states.mean(axis=-1, keepdims=True)
        deviation = np.sqrt((centred**2).mean(axis=-1, keepdims=True) + EPSILON)
        return centred / deviation * self._weights[name + ".weight"] + self._weights[name + ".bias"]


def reference_vectors(weights: Path, token_ids: list[list[int]]) -> Any:
    """Return one vector per text, computed in a process of its own."""
    finished = subprocess.run(
        [sys.executable, __file__, str(weights)],
        input=json.dumps(token_ids).encode(),
        stdout=subprocess.PIPE,
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
        check=True,
    )
    return np.load(io.BytesIO(finished.stdout))


if __name__ == "__main__":
    reference = BertReference(Path(sys.argv[1]))
    # numpy wants to seek in a real file, which a pipe cannot.
    packed = io.BytesIO()
    np.save(packed, np.array([reference.vector(ids) for ids in json.load(sys.stdin)]))
    sys.stdout.buffer.write(packed.getvalue())
